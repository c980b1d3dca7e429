"""The checksum of EN 13757: polynomial 3D65, nothing reflected, start 0, the result inverted, high byte first."""

from typing import Final

_POLYNOMIAL: Final = 0x3D65


def _row(byte: int) -> int:
    register = byte << 8
    for _ in range(8):
        register = register << 1 ^ (_POLYNOMIAL if register & 0x8000 else 0)
    return register & 0xFFFF


_TABLE: Final = tuple(_row(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """Return the checksum of some bytes as a number; on the air its high byte goes first."""
    register = 0
    for byte in data:
        register = (register << 8 & 0xFF00) ^ _TABLE[register >> 8 ^ byte]
    return register ^ 0xFFFF


def crc_bytes(data: bytes) -> bytes:
    """Return the checksum as it goes over the air."""
    return crc16(data).to_bytes(2, "big")
