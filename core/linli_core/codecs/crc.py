"""Cyclic redundancy checks that take the lowest bit first, by table. Pure."""

Table = tuple[int, ...]


def table_of(polynomial: int) -> Table:
    """Return the table of a polynomial of 16 bits, written lowest bit first (``0x8408`` for 1021)."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def remainder(data: bytes, table: Table, start: int) -> int:
    """Return the register after all bytes."""
    crc = start
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc
