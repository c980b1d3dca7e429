"""Sensors on I2C. The bus is as ``machine.I2C``: ``writeto``, ``readfrom``, ``readfrom_mem``; OSError is no answer."""

import asyncio
import struct

from linli_node.crc import crc8
from linli_node.errors import SensorError

_FULL = 65535
_TIMED_OUT = (110, 116)
"""What a port says where somebody holds the clock low: Linux and the RP2040, an ESP32."""


class _Device:
    def __init__(self, config, bus):
        self._bus = bus
        self._address = config["address"]
        self._config = config

    async def read(self):
        """Measure and return; what the bus does not do is told as a sensor that does not answer."""
        try:
            return await self._measure()
        except OSError as exc:
            if exc.args and exc.args[0] in _TIMED_OUT:
                raise SensorError("the I2C bus is held low", "no_communication") from None
            raise SensorError("nothing answers at address " + hex(self._address), "no_communication") from None

    def _words(self, count):
        """Return 16-bit words, each followed by Sensirion's checksum (polynomial 0x31, start 0xFF)."""
        data = bytes(self._bus.readfrom(self._address, 3 * count))
        if not any(data):
            raise SensorError("it says nothing but zeros", "malformed_answer")
        words = []
        for place in range(0, 3 * count, 3):
            if crc8(data[place : place + 2], 0x31, 0xFF) != data[place + 2]:
                raise SensorError("an answer with a wrong checksum", "malformed_answer")
            words.append(data[place] << 8 | data[place + 1])
        return words


def _scaled(raw, span, offset):
    """Return ``offset + span * raw / 65535`` in hundredths, rounded, in whole numbers."""
    return offset * 100 + (span * 100 * raw + _FULL // 2) // _FULL, 2


def _within(value, least, most):
    """Return a value in hundredths that a sensor can measure."""
    if not least <= value <= most:
        raise SensorError("it says " + str(value // 100) + ", which it cannot measure", "out_of_range")
    return value


class Sht3x(_Device):
    """SHT3x (Sensirion datasheet): single shot, high repeatability, no clock stretching."""

    quantities = ("temperature", "relative_humidity")

    async def _measure(self):
        self._bus.writeto(self._address, b"\x24\x00")
        await asyncio.sleep_ms(16)
        temperature, humidity = self._words(2)
        return [
            ("temperature", "Cel", _scaled(temperature, 175, -45)),
            ("relative_humidity", "%RH", _scaled(humidity, 100, 0)),
        ]


class Sht4x(_Device):
    """SHT4x (Sensirion datasheet): high precision; its humidity runs from -6 to 119 and is cut to what there is."""

    quantities = ("temperature", "relative_humidity")

    async def _measure(self):
        self._bus.writeto(self._address, b"\xfd")
        await asyncio.sleep_ms(10)
        temperature, humidity = self._words(2)
        relative = min(10000, max(0, _scaled(humidity, 125, -6)[0]))
        return [("temperature", "Cel", _scaled(temperature, 175, -45)), ("relative_humidity", "%RH", (relative, 2))]


class Scd4x(_Device):
    """SCD4x (Sensirion datasheet): CO2, temperature, humidity; measures every 5 s once it is told to begin."""

    quantities = ("co2", "temperature", "relative_humidity")

    def __init__(self, config, bus):
        super().__init__(config, bus)
        self._begun = False

    async def _begin(self):
        try:
            self._bus.writeto(self._address, b"\x21\xb1")
        except OSError:
            # While it measures it takes no order to begin: a node that started anew finds it so. Or nobody is there,
            # which the next question tells.
            self._begun = True
            return
        self._begun = True
        await asyncio.sleep_ms(5000)

    async def _measure(self):
        if not self._begun:
            await self._begin()
        # Not longer than a read may take, the five seconds of its first measurement included.
        for left in (2, 1, 0):
            self._bus.writeto(self._address, b"\xe4\xb8")
            await asyncio.sleep_ms(1)
            if self._words(1)[0] & 0x07FF:
                break
            if not left:
                self._begun = False
                raise SensorError("it has nothing new to say", "waiting_for_initial_data")
            await asyncio.sleep_ms(1000)
        self._bus.writeto(self._address, b"\xec\x05")
        await asyncio.sleep_ms(1)
        co2, temperature, humidity = self._words(3)
        if not co2:
            raise SensorError("it says that there is no CO2 at all", "out_of_range")
        return [
            ("co2", "ppm", co2),
            ("temperature", "Cel", _scaled(temperature, 175, -45)),
            ("relative_humidity", "%RH", _scaled(humidity, 100, 0)),
        ]


class Bme280(_Device):
    """BME280 (Bosch datasheet BST-BME280-DS001, §4.2.3 and its compensation in whole numbers)."""

    quantities = ("temperature", "air_pressure", "relative_humidity")

    def _calibrate(self):
        memory = self._bus.readfrom_mem
        if bytes(memory(self._address, 0xD0, 1)) != b"\x60":
            raise SensorError("what answers there is no BME280")
        low = bytes(memory(self._address, 0x88, 26))
        words = struct.unpack("<HhhHhhhhhhhh", low[:24])
        high = bytes(memory(self._address, 0xE1, 7))
        h2, h3 = struct.unpack("<hB", high[:3])
        signed = struct.unpack("<bbb", high[3:4] + high[5:6] + high[6:7])
        h4, h5, h6 = signed[0] << 4 | high[4] & 0x0F, signed[1] << 4 | high[4] >> 4, signed[2]
        return words[:3], words[3:], (low[25], h2, h3, h4, h5, h6)

    async def _measure(self):
        # Each time: it has no checksum, and what was read wrongly once would be wrong for years. So would that of
        # another part, put in its place while the node goes on.
        calibration = self._calibrate()
        # Once of each, then asleep again (§5.4.3, §5.4.5): humidity is set before the rest takes effect.
        self._bus.writeto(self._address, b"\xf2\x01")
        self._bus.writeto(self._address, b"\xf4\x25")
        await asyncio.sleep_ms(10)
        data = bytes(self._bus.readfrom_mem(self._address, 0xF7, 8))
        pressure, temperature = data[0] << 12 | data[1] << 4 | data[2] >> 4, data[3] << 12 | data[4] << 4 | data[5] >> 4
        if temperature == 0x80000 or pressure == 0x80000:
            raise SensorError("it has measured nothing", "waiting_for_initial_data")
        return self._compensated(calibration, temperature, pressure, data[6] << 8 | data[7])

    @staticmethod
    def _compensated(calibration, raw_t, raw_p, raw_h):
        if not raw_t and not raw_p:
            # A data line that is shorted to ground says yes to all, and nothing but zeros.
            raise SensorError("it says nothing but zeros", "malformed_answer")
        (t1, t2, t3), (p1, p2, p3, p4, p5, p6, p7, p8, p9), (h1, h2, h3, h4, h5, h6) = calibration
        fine = ((raw_t >> 3) - (t1 << 1)) * t2 >> 11
        fine += (((raw_t >> 4) - t1) * ((raw_t >> 4) - t1) >> 12) * t3 >> 14
        found = [("temperature", "Cel", (_within(fine * 5 + 128 >> 8, -4000, 8500), 2))]
        a = fine - 128000
        b = a * a * p6 + (a * p5 << 17) + (p4 << 35)
        a = (a * a * p3 >> 8) + (a * p2 << 12)
        a = ((1 << 47) + a) * p1 >> 33
        if not a:
            raise SensorError("its calibration cannot be read")
        p = ((1048576 - raw_p << 31) - b) * 3125 // a
        p = (p + (p9 * (p >> 13) * (p >> 13) >> 25) + (p8 * p >> 19) >> 8) + (p7 << 4)
        found.append(("air_pressure", "Pa", (_within(p * 100 + 128 >> 8, 3000000, 11000000), 2)))
        h = fine - 76800
        h = ((raw_h << 14) - (h4 << 20) - h5 * h + 16384 >> 15) * (
            (((h * h6 >> 10) * ((h * h3 >> 11) + 32768) >> 10) + 2097152) * h2 + 8192 >> 14
        )
        h -= ((h >> 15) * (h >> 15) >> 7) * h1 >> 4
        h = min(419430400, max(0, h)) >> 12
        found.append(("relative_humidity", "%RH", (h * 100 + 512 >> 10, 2)))
        return found


class Ads1115(_Device):
    """ADS1115 (TI datasheet SBAS444): 4–20 mA across a shunt; 3.6 and less, 21 and more are a fault (NE 43)."""

    def __init__(self, config, bus):
        super().__init__(config, bus)
        self.quantities = (config["quantity"],)

    async def _measure(self):
        config = self._config
        # One conversion, this input against ground, ±2.048 V, 128 in a second, comparator off (table 8).
        self._bus.writeto(self._address, bytes([1, 0x80 | (4 + config["input"]) << 4 | 2 << 1 | 1, 0x83]))
        await asyncio.sleep_ms(9)
        raw = struct.unpack(">h", bytes(self._bus.readfrom_mem(self._address, 0, 2)))[0]
        # 62.5 µV a bit; in µA.
        current = raw * 62500 // int(config["shunt_ohm"] * 1000)
        if current <= 3600:
            raise SensorError("the loop carries " + str(current) + " µA: a wire is broken, or the supply is off")
        # At the end of its range the converter tells no more: with 100 ohms that is 20.48 mA.
        if current >= 21000 or raw == 0x7FFF:
            raise SensorError("the loop carries " + str(current) + " µA: a short, or a fault of the transmitter")
        low, high = config["at_4ma"], config["at_20ma"]
        value = low + (high - low) * (current - 4000) / 16000
        return [(config["quantity"], _UNITS[config["quantity"]], (round(value * 1000), 3))]


_UNITS = {
    "water_level": "m",
    "water_pressure": "Pa",
    "temperature": "Cel",
    "tank_fill": "/100",
    "differential_pressure": "Pa",
}
KINDS = {"sht3x": Sht3x, "sht4x": Sht4x, "scd4x": Scd4x, "bme280": Bme280, "ads1115": Ads1115}
