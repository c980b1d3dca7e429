"""DS18B20 (Maxim datasheet 19-7487): a temperature on 1-Wire.

The bus has ``reset()`` (whether anybody is there), ``write(bytes)`` and ``read(count)``.
"""

import asyncio
import binascii
import time

from linli_node.crc import crc_reflected
from linli_node.errors import SensorError

_SKIP_ROM, _MATCH_ROM = 0xCC, 0x55
_CONVERT, _READ = 0x44, 0xBE
_CONVERSION_MS = 750  # 12 bits, table 2
_POWER_ON = 0x0550  # 85 °C: what the register holds before the first conversion
_LOWEST, _HIGHEST = -55 * 16, 125 * 16


class Ds18b20:
    """One probe; on a bus with several each needs its code in ``rom``."""

    def __init__(self, config, bus):
        self._bus = bus
        self._quantity = config["quantity"]
        self.quantities = (config["quantity"],)
        self._rom = binascii.unhexlify(config["rom"]) if config["rom"] else b""
        self._begun_at = None

    def _select(self, command):
        if not self._bus.reset():
            raise SensorError("nothing answers on the 1-Wire bus", "no_communication")
        self._bus.write(bytes([_MATCH_ROM]) + self._rom if self._rom else bytes([_SKIP_ROM]))
        self._bus.write(bytes([command]))

    def begin(self):
        """Begin to convert, unless that has begun; return how many milliseconds it takes yet, and needs nobody."""
        if self._begun_at is None:
            try:
                self._select(_CONVERT)
            except SensorError:
                return 0  # told when it is read
            self._begun_at = time.ticks_ms()
        return self._left()

    def _left(self):
        return max(0, _CONVERSION_MS - time.ticks_diff(time.ticks_ms(), self._begun_at))

    async def read(self):
        """Convert, wait, and return the temperature."""
        if self._begun_at is None:
            self._select(_CONVERT)
            self._begun_at = time.ticks_ms()
        await asyncio.sleep_ms(self._left())
        self._begun_at = None
        self._select(_READ)
        data = bytes(self._bus.read(9))
        # A short to ground reads as nine zeros, whose checksum is right.
        if not any(data):
            raise SensorError("it says nothing but zeros", "malformed_answer")
        # The configuration byte is never zero.
        if crc_reflected(data, 0x8C, 0) or not data[4]:
            raise SensorError("the probe's answer has a wrong checksum", "malformed_answer")
        raw = data[0] | data[1] << 8
        raw -= (raw & 0x8000) << 1
        if raw == _POWER_ON:
            raise SensorError("the probe lost its supply while it measured")
        if not _LOWEST <= raw <= _HIGHEST:
            raise SensorError("the probe says " + str(raw / 16) + " degrees", "out_of_range")
        # A sixteenth of a degree has four digits.
        return [(self._quantity, "Cel", (raw * 625, 4))]
