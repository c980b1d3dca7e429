"""Checksums put right in damaged telegrams, as far as they still have the shape; anything else stays as it is. Pure."""

from typing import Final

_HDLC_POLYNOMIAL: Final = 0x8408
_P1_POLYNOMIAL: Final = 0xA001
_WMBUS_POLYNOMIAL: Final = 0x3D65
_BLOCK: Final = 16
_FIRST: Final = 10


def frame68(data: bytes) -> bytes:
    """DL/T 645 and CJ/T 188: the sum of all from the first 68H, before the last byte 16H."""
    begin = data.find(0x68)
    if begin < 0 or len(data) - begin < 4:
        return data
    return data[:-2] + bytes((sum(data[begin:-2]) % 256, 0x16))


def mbus(data: bytes) -> bytes:
    """EN 13757-2: both lengths, and the sum of what lies between the header and the last two bytes."""
    if data[:1] != b"\x68" or not 9 <= len(data) <= 261:
        return data
    length = bytes((len(data) - 6,))
    return b"\x68" + length + length + b"\x68" + data[4:-2] + bytes((sum(data[4:-2]) % 256, 0x16))


def block_check(data: bytes) -> bytes:
    """IEC 62056-21: the exclusive or of all after the first start character up to ETX, as the last byte."""
    begin = next((place for place, byte in enumerate(data) if byte in {1, 2}), -1)
    end = data.rfind(3)
    if begin < 0 or end < begin:
        return data
    check = 0
    for byte in data[begin + 1 : end + 1]:
        check ^= byte
    return data[: end + 1] + bytes((check,))


def p1(data: bytes) -> bytes:
    """DSMR P1: CRC-16 of all from ``/`` to ``!``, in hexadecimal after it."""
    begin, end = data.find(b"/"), data.rfind(b"!")
    if begin < 0 or end < begin:
        return data
    return data[: end + 1] + f"{_reflected(data[begin : end + 1], _P1_POLYNOMIAL, 0):04X}\r\n".encode()


def hdlc(data: bytes) -> bytes:
    """DLMS over HDLC: the length in the frame format, header check and frame check of one frame."""
    if len(data) < 12 or data[:1] != b"\x7e":
        return data
    body = bytearray(data[1:-3])
    body[0] = 0xA0 | (len(body) + 2) >> 8 & 7
    body[1] = (len(body) + 2) & 0xFF
    addresses, place = 0, 2
    while addresses < 2 and place < len(body):
        addresses += body[place] & 1
        place += 1
    place += 1
    if place + 2 <= len(body):
        body[place : place + 2] = _check(bytes(body[:place]))
    return b"\x7e" + bytes(body) + _check(bytes(body)) + b"\x7e"


def wmbus(data: bytes) -> bytes:
    """EN 13757-4 without block checksums, as receivers hand it on: only the length can be wrong."""
    return bytes((min(len(data) - 1, 255),)) + data[1:] if len(data) > _FIRST else data


def wmbus_format_a(data: bytes) -> bytes:
    """Return a telegram without block checksums with those of frame format A."""
    out = b""
    begin, length = 0, _FIRST
    while begin < len(data):
        block = data[begin : begin + length]
        out += block + _wmbus_check(block)
        begin, length = begin + length, _BLOCK
    return out


def _check(data: bytes) -> bytes:
    return (_reflected(data, _HDLC_POLYNOMIAL, 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


def _reflected(data: bytes, polynomial: int, start: int) -> int:
    register = start
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register


def _wmbus_check(data: bytes) -> bytes:
    register = 0
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (_WMBUS_POLYNOMIAL if register & 0x8000 else 0)) & 0xFFFF
    return (register ^ 0xFFFF).to_bytes(2, "big")
