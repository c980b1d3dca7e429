"""PZEM-004T version 3 (Peacefair manual): mains voltage, current, power, energy over Modbus RTU at 9600 baud.

The bus has ``write(bytes)`` and ``async read(count, limit_ms)``.
"""

import struct

from linli_node.crc import crc_reflected
from linli_node.errors import SensorError

_READ_INPUT = 4
_REGISTERS = 10
_ANYBODY = 248
_LIMIT_MS = 500


def _sealed(frame):
    return frame + struct.pack("<H", crc_reflected(frame, 0xA001, 0xFFFF))


class Pzem004t:
    """One module; address 248 asks whichever is alone on the line."""

    quantities = ("voltage", "current", "active_power", "energy_import", "frequency", "power_factor")

    def __init__(self, config, bus):
        self._bus = bus
        self._address = config["address"]

    async def read(self):
        """Return what it measures."""
        self._bus.write(_sealed(struct.pack(">BBHH", self._address, _READ_INPUT, 0, _REGISTERS)))
        length = 5 + 2 * _REGISTERS
        data = bytes(await self._bus.read(length, _LIMIT_MS))
        if not data:
            raise SensorError("the module does not answer", "no_communication")
        # Several may be on one line: the late answer of another is none of this one.
        is_own = self._address in (_ANYBODY, data[0])
        is_sound = is_own and not crc_reflected(data, 0xA001, 0xFFFF)
        if is_sound and len(data) == 5 and data[1] == _READ_INPUT | 0x80:
            raise SensorError("the module refuses (code " + str(data[2]) + ")", "refused_by_device")
        if not is_sound or len(data) != length or data[1] != _READ_INPUT or data[2] != 2 * _REGISTERS:
            raise SensorError("the module's answer is damaged", "malformed_answer")
        words = struct.unpack(">10H", data[3:-2])
        # Two registers, the low one first (manual, table of registers).
        return [
            ("voltage", "V", (words[0], 1)),
            ("current", "A", (words[1] | words[2] << 16, 3)),
            ("active_power", "W", (words[3] | words[4] << 16, 1)),
            ("energy_import", "Wh", words[5] | words[6] << 16),
            ("frequency", "Hz", (words[7], 1)),
            ("power_factor", "/", (words[8], 2)),
        ]
