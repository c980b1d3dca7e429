"""Signatures of updates: Ed25519 (RFC 8032), verified only: whoever steals a board's public key can sign nothing.

MicroPython has whole numbers of any length and SHA-256, but no SHA-512: that is here too (FIPS 180-4). What is
verified is a manifest of a few kilobytes; the files it names are checked by SHA-256, which is native.
"""

_P = (1 << 255) - 19
_L = (1 << 252) + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_MASK = (1 << 64) - 1


def _primes(count):
    found, number = [], 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(value, power):
    """Return the whole part of a root, by Newton's way from above."""
    guess = 1 << (len(bin(value)) - 2) // power + 1
    while True:
        better = ((power - 1) * guess + value // guess ** (power - 1)) // power
        if better >= guess:
            return guess
        guess = better


def sha512(message, step=None):
    """Return the digest (FIPS 180-4 §6.4), its constants computed from the primes they are made of (§4.2.3, §5.3.5)."""
    primes = _primes(80)
    constants = [_root(prime << 192, 3) & _MASK for prime in primes]
    state = [_root(prime << 128, 2) & _MASK for prime in primes[:8]]
    length = len(message)
    padded = message + b"\x80" + bytes(-(length + 17) % 128) + (8 * length).to_bytes(16, "big")
    for start in range(0, len(padded), 128):
        if step is not None:
            step()
        _block(state, [int.from_bytes(padded[at : at + 8], "big") for at in range(start, start + 128, 8)], constants)
    return b"".join(word.to_bytes(8, "big") for word in state)


def _block(state, words, constants):
    for place in range(16, 80):
        first, last = words[place - 15], words[place - 2]
        low = (first >> 1 | first << 63) ^ (first >> 8 | first << 56) ^ first >> 7
        high = (last >> 19 | last << 45) ^ (last >> 61 | last << 3) ^ last >> 6
        words.append((words[place - 16] + (low & _MASK) + words[place - 7] + (high & _MASK)) & _MASK)
    a, b, c, d, e, f, g, h = state
    for place in range(80):
        high = ((e >> 14 | e << 50) ^ (e >> 18 | e << 46) ^ (e >> 41 | e << 23)) & _MASK
        one = h + high + (e & f ^ (e ^ _MASK) & g) + constants[place] + words[place]
        low = ((a >> 28 | a << 36) ^ (a >> 34 | a << 30) ^ (a >> 39 | a << 25)) & _MASK
        two = low + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (one + two) & _MASK, a, b, c, (d + one) & _MASK, e, f, g
    for place, value in enumerate((a, b, c, d, e, f, g, h)):
        state[place] = (state[place] + value) & _MASK


def _add(one, two):
    """Add two points in extended coordinates (RFC 8032 §5.1.4)."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _point(data):
    """Return a point from its 32 bytes (§5.1.3); ``None`` if they are none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (not x and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _bytes(point):
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def verify(key, message, signature, step=None):
    """Tell whether a signature of 64 bytes is that of a message under a public key of 32 (§5.1.7).

    A board computes for seconds: ``step`` is called all along, for its watchdog.
    """
    if len(key) != 32 or len(signature) != 64:
        return False
    point = _point(key)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or scalar >= _L:
        return False
    hashed = int.from_bytes(sha512(signature[:32] + key + message, step), "little") % _L
    base = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    minus = (_P - point[0], point[1], 1, _P - point[3])
    both = _add(base, minus)
    # scalar · base − hashed · key, both by one row of doublings; it must be the signature's first half.
    total = (0, 1, 1, 0)
    for bit in range(252, -1, -1):
        total = _add(total, total)
        if step is not None and not bit % 16:
            step()
        which = (scalar >> bit & 1) | (hashed >> bit & 1) << 1
        if which:
            total = _add(total, (base, minus, both)[which - 1])
    return _bytes(total) == signature[:32]
