"""Cyclic redundancy checks of sensors; our records have the 32-bit one of ``binascii``, native on every port."""


def crc8(data, polynomial, start):
    """Return the 8-bit register, highest bit first: Sensirion's is ``crc8(data, 0x31, 0xFF)``."""
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ polynomial) & 0xFF if crc & 0x80 else crc << 1
    return crc


def crc_reflected(data, polynomial, start):
    """Return the register, lowest bit first, as wide as the polynomial.

    1-Wire's is ``crc_reflected(data, 0x8C, 0)``, Modbus's ``crc_reflected(data, 0xA001, 0xFFFF)``.
    """
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
    return crc
