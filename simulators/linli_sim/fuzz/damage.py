"""Damage to telegrams, and the repair of their checksums: behind a right checksum a codec believes what it reads. Pure.

The checksums are computed here on their own: what is fuzzed takes no part in it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from linli_sim.fuzz import checksums

_TELLING: Final = (0x00, 0x01, 0x0F, 0x10, 0x16, 0x33, 0x68, 0x7E, 0x7F, 0x80, 0xAA, 0xCC, 0xEE, 0xFE, 0xFF)
"""Bytes that mean something in one protocol or another."""
_MOST: Final = 600
"""Bytes of a telegram at most: lengths lie well before that."""


def damaged(chance: random.Random, telegrams: Sequence[bytes], repair: Callable[[bytes], bytes]) -> bytes:
    """Return one of the telegrams with damage, its checksum repaired three times out of four."""
    data = bytearray(chance.choice(telegrams))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        chance.choice(_WAYS)(chance, data, telegrams)
    whole = bytes(data[:_MOST])
    return repair(whole) if chance.random() < 0.75 else whole


def _place(chance: random.Random, data: bytearray) -> int:
    return chance.randrange(len(data)) if data else 0


def _flip(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[_place(chance, data)] ^= 1 << chance.randrange(8)


def _write(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[_place(chance, data)] = chance.choice((*_TELLING, chance.randrange(256)))


def _fill(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    begin = _place(chance, data)
    count = min(chance.randrange(1, 9), len(data) - begin)
    data[begin : begin + count] = bytes((chance.choice((0x00, 0xFF, 0xEE, 0x33, 0xCC)),)) * count


def _cut(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    begin = _place(chance, data)
    del data[begin : begin + chance.randrange(1, 9)]


def _insert(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[(begin := _place(chance, data)) : begin] = chance.randbytes(chance.randrange(1, 9))


def _repeat(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    begin = _place(chance, data)
    data[begin:begin] = data[begin : begin + chance.randrange(1, 17)]


def _join(chance: random.Random, data: bytearray, telegrams: Sequence[bytes]) -> None:
    other = chance.choice(telegrams)
    data[_place(chance, data) :] = other[chance.randrange(len(other) or 1) :]


def _append(chance: random.Random, data: bytearray, telegrams: Sequence[bytes]) -> None:
    data += chance.choice(telegrams)


_WAYS: Final = (_flip, _flip, _write, _write, _fill, _cut, _insert, _repeat, _join, _append)

REPAIRS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "cjt188": checksums.frame68,
    "dlms": checksums.hdlc,
    "dlt645": checksums.frame68,
    "iec62056-21": checksums.block_check,
    "mbus": checksums.mbus,
    "p1": checksums.p1,
    "wmbus": checksums.wmbus,
}
"""Protocol → what puts its telegrams' checksums right."""
