"""Telegrams made from nothing but their grammar: what no meter that was recorded ever sent. Pure.

Damage seldom makes a chain of five VIFE or a list within lists; these do, with lengths that fit and with lengths that
lie. Written from the frames' facts, apart from the codecs: what is fuzzed takes no part in it.
"""

import random
from collections.abc import Callable
from typing import Final

from linli_sim.fuzz.damage import REPAIRS, damaged

_SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6, 0)
"""Bytes of an M-Bus record by its DIF's low four bits; ``None``: told by the first of them."""

_TELLING: Final = (0x00, 0x01, 0x0F, 0x13, 0x13, 0x1E, 0x1F, 0x2F, 0x32, 0x7C, 0x7F, 0x80, 0x93, 0xFB, 0xFC, 0xFD, 0xFF)


def made(chance: random.Random, protocol: str) -> bytes:
    """Return a telegram of a protocol; its checksum is right, and one in four is damaged besides."""
    whole = REPAIRS[protocol](_MAKERS[protocol](chance))
    return damaged(chance, [whole], REPAIRS[protocol]) if chance.random() < 0.25 else whole


def _filled(chance: random.Random, count: int) -> bytes:
    """Return bytes as registers have them: digits, all alike, or anything."""
    way = chance.randrange(4)
    if way == 0:
        return bytes(chance.randrange(10) << 4 | chance.randrange(10) for _ in range(count))
    if way == 1:
        return bytes((chance.choice((0x00, 0xFF, 0x80, 0x99, 0xFE)),)) * count
    return chance.randbytes(count)


def _code(chance: random.Random) -> int:
    return chance.choice((chance.choice(_TELLING), chance.randrange(256))) & 0x7F


def _chain(chance: random.Random, first: int, most: int) -> bytes:
    """Return a byte and what extends it, each but the last with its extension bit."""
    codes = [first, *(_code(chance) for _ in range(chance.choice((0, 0, 0, 1, 2, most))))]
    return bytes(code | 0x80 for code in codes[:-1]) + bytes((codes[-1] & 0x7F,))


def _record(chance: random.Random) -> bytes:
    dif = chance.choice((chance.randrange(128), chance.randrange(8) << 4 | 0x0D))
    vif = chance.choice((_code(chance), 0x7B, 0x7C, 0x7D, 0x7F, 0x13, 0x06))
    vib = _chain(chance, vif, 11)
    if vif == 0x7C:  # a unit in letters stands behind the VIF
        text = chance.choice((b"", b"hWk", b"3m", chance.randbytes(chance.randrange(12))))
        vib = vib[:1] + bytes((len(text),)) + text + vib[1:]
    size = _SIZES[dif & 0x0F]
    if size is None:
        lvar = chance.choice((0, 1, 3, 3, 5, 8, 0xBF, 0xC2, 0xD3, 0xE4, 0xF4, chance.randrange(256)))
        # A compact profile begins with how its elements are coded and how far they are apart.
        spacing = bytes(
            (chance.randrange(4) << 6 | chance.randrange(4) << 4 | chance.randrange(8), chance.randrange(256))
        )
        count = lvar if lvar < 0xC0 else lvar & 0x0F
        body = bytes((lvar,)) + chance.choice((_filled(chance, count), (spacing + _filled(chance, count))[:count]))
    else:
        body = _filled(chance, size)
    return _chain(chance, dif, 11) + vib + body


def made_records(chance: random.Random) -> bytes:
    """Return M-Bus records from nothing but their grammar, and what may stand behind them."""
    data = b"".join(_record(chance) for _ in range(chance.randrange(7)))
    return (data + chance.choice((b"", b"", b"\x0f" + _filled(chance, 5), b"\x1f", b"\x2f\x2f")))[:220]


def _header(chance: random.Random, ci: int) -> bytes:
    identity = (
        _filled(chance, 4) + chance.randbytes(2) + bytes((chance.randrange(256), chance.choice((2, 3, 4, 6, 7, 8))))
    )
    configuration = chance.choice((0, 0, 0, 0x0510, 0x0520, 0x0710, chance.randrange(65536))).to_bytes(2, "little")
    tail = bytes((chance.randrange(256), chance.choice((0, 0, 8, 16, chance.randrange(256))))) + configuration
    return {0x72: identity + tail, 0x7A: tail}.get(ci, b"")


def _mbus(chance: random.Random) -> bytes:
    ci = chance.choice((0x72, 0x72, 0x72, 0x78, 0x7A, 0x73, 0x70, 0x71, chance.randrange(256)))
    data = _header(chance, ci) + (_filled(chance, 16) if ci == 0x73 else made_records(chance))
    return (
        b"\x68\0\0\x68" + bytes((chance.choice((0x08, 0x18, 0x28)), chance.randrange(251), ci)) + data[:240] + b"\0\0"
    )


def _wmbus(chance: random.Random) -> bytes:
    ci = chance.choice((0x72, 0x7A, 0x78, 0x79, 0x8C, 0x8D, 0x8E, 0x90, 0xA0, 0xA2, 0xB7, chance.randrange(256)))
    maker = chance.choice((b"\x2d\x2c", b"\x01\x06", b"\x68\x50", b"\x24\x23", b"\xe6\x1e", chance.randbytes(2)))
    sender = maker + _filled(chance, 4) + bytes((chance.randrange(256), chance.choice((3, 4, 6, 7, 8))))
    layers = b""
    if ci in {0x8C, 0x8D, 0x8E}:
        layers = chance.randbytes({0x8C: 2, 0x8D: 8, 0x8E: 10}[ci])
        inner = chance.choice((0x72, 0x7A, 0x78, 0x79, 0x90))
        layers += bytes((inner,))
    else:
        inner = ci
    body = _header(chance, inner) + (_filled(chance, chance.randrange(60)) if inner >= 0xA0 else made_records(chance))
    return (b"\0\x44" + sender + bytes((ci,)) + layers + body)[:255]


def _frame68(chance: random.Random) -> bytes:
    """DL/T 645: six bytes of address, a control code, data moved by 33H."""
    identifier = chance.choice(
        (bytes((0, chance.randrange(3), chance.randrange(64), chance.randrange(12))), chance.randbytes(4))
    )
    data = identifier[:: chance.choice((1, -1))] + _filled(
        chance, chance.choice((0, 1, 2, 3, 4, 5, 8, 20, 40, 60, 160))
    )
    control = chance.choice(
        (0x91, 0x91, 0xB1, 0x92, 0xB2, 0xD1, 0x81, 0xA1, 0xC1, 0x93, 0x11, 0x08, chance.randrange(256))
    )
    body = bytes((byte + 0x33) % 256 for byte in data[:200])
    address = _filled(chance, 6)
    return b"\xfe" * chance.randrange(5) + b"\x68" + address + b"\x68" + bytes((control, len(body))) + body + b"\0\x16"


def _cjt188(chance: random.Random) -> bytes:
    """CJ/T 188: meter type, seven bytes of address, control code, identifier in either order, serial number, data."""
    kind = chance.choice((0x10, 0x11, 0x12, 0x13, 0x19, 0x20, 0x21, 0x30, 0x40, chance.randrange(256)))
    identifier = chance.choice((b"\x90\x1f", b"\x1f\x90", b"\xd1\x20", b"\x81\x0a", b"\x81\x02", chance.randbytes(2)))
    data = (
        identifier
        + bytes((chance.randrange(256),))
        + _filled(chance, chance.choice((0, 5, 14, 15, 16, 19, 40, 43, 60)))
    )
    control = chance.choice((0x81, 0x81, 0x81, 0xC1, 0x83, 0x89, 0x84, 0xA4, 0x01, chance.randrange(256)))
    return b"\xfe\xfe\x68" + bytes((kind,)) + _filled(chance, 7) + bytes((control, len(data))) + data + b"\0\x16"


def _item(chance: random.Random, depth: int) -> bytes:
    """A value of A-XDR; structures hold values, to a depth that the decoder must bound."""
    tag = chance.choice(
        (0, 1, 1, 2, 2, 2, 3, 5, 6, 9, 10, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, chance.randrange(256))
    )
    if tag in {1, 2}:
        count = chance.choice((0, 1, 2, 3, 5)) if depth else 0
        inner = b"".join(_item(chance, depth - 1) for _ in range(count))
        return bytes((tag, chance.choice((count, count, count, 0x80, 0x7F)))) + inner
    if tag in {9, 10, 12}:
        text = chance.choice((bytes((1, 0, chance.randrange(99), 8, 0, 255)), _filled(chance, chance.randrange(14))))
        return bytes((tag, chance.choice((len(text), len(text), 0x84)))) + text
    size = {3: 1, 5: 4, 6: 4, 15: 1, 16: 2, 17: 1, 18: 2, 20: 8, 21: 8, 22: 1, 23: 4, 24: 8, 25: 12, 26: 5, 27: 4}.get(
        tag, 0
    )
    return bytes((tag,)) + _filled(chance, size)


def _register(chance: random.Random) -> bytes:
    """An element as pushes have it: code, value, scaler and unit."""
    code = bytes(
        (
            chance.choice((0, 1, 1, 6, 7, 8)),
            chance.randrange(4),
            chance.randrange(99),
            chance.randrange(10),
            chance.randrange(9),
            255,
        )
    )
    scale = b"\x02\x02\x0f" + bytes(
        (chance.randrange(256), 0x16, chance.choice((27, 30, 33, 35, chance.randrange(256))))
    )
    return b"\x02\x03\x09\x06" + code + _item(chance, 1) + chance.choice((scale, _item(chance, 1)))


def _dlms(chance: random.Random) -> bytes:
    count = chance.randrange(6)
    elements = b"".join(chance.choice((_register, lambda c: _item(c, 6)))(chance) for _ in range(count))
    body = chance.choice((bytes((chance.choice((1, 2)), count)) + elements, _item(chance, 12)))
    time = chance.choice((b"\0", b"\x0c" + _filled(chance, 12)))
    apdu = bytes((chance.choice((0x0F, 0x0F, 0x0F, 0xC2, 0xDB, 0xE0)),)) + chance.randbytes(4) + time + body
    return b"\x7e\xa0\0\x41\x03\x13\0\0\xe6\xe7\0" + apdu[:560] + b"\0\0\x7e"


def _lines(chance: random.Random) -> str:
    found = ""
    for _ in range(chance.randrange(9)):
        code = ".".join(str(chance.randrange(chance.choice((3, 100, 256)))) for _ in range(chance.choice((2, 3, 3, 3))))
        front = chance.choice(("", "1-0:", "0-1:", "0-0:", f"{chance.randrange(300)}-{chance.randrange(70)}:"))
        values = ""
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 9))):
            digits = chance.choice(
                (
                    f"{chance.randrange(10**6)}.{chance.randrange(1000):03}",
                    "FFFFFF",
                    "-0.0",
                    "",
                    "210101000000W",
                    "1" * 30,
                )
            )
            unit = chance.choice(("", "*kWh", "*m3", "*mWh", "kvar", "*%", "*" + "x" * chance.randrange(20)))
            values += f"({digits}{unit})"
        found += (
            chance.choice((front, "C.", "F.", ""))
            + code
            + chance.choice(("", "*01", "*255", "&3"))
            + values
            + chance.choice(("\r\n", "\r\n", "\n", ""))
        )
    return found


def _p1(chance: random.Random) -> bytes:
    return b"/LNL5\\2X\r\n\r\n" + _lines(chance).encode()[:560] + b"!0000\r\n"


def _iec(chance: random.Random) -> bytes:
    start = chance.choice((b"\x02", b"/LNL5X\r\n\x02", b"\x01P0\x02", b"\x01R1\x02"))
    return start + _lines(chance).encode()[:560] + chance.choice((b"!\r\n", b"")) + b"\x03\0"


_MAKERS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "cjt188": _cjt188,
    "dlms": _dlms,
    "dlt645": _frame68,
    "iec62056-21": _iec,
    "mbus": _mbus,
    "p1": _p1,
    "wmbus": _wmbus,
}
"""Protocol → what makes a telegram of it, without a right checksum yet."""
