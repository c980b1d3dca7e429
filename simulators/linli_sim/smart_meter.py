"""A smart meter's registers over time, and what it says of them: a P1 telegram, a readout, a pushed list."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from linli_core.codecs.dlms import Item
from linli_core.codecs.dlms.clock import encode_time
from linli_core.instant import SECOND, Instant, to_datetime
from linli_sim.dlms_push import OCTETS, UNSIGNED_32, code, described, push

_DAY: Final = 86400
_EPOCH: Final = 1_767_225_600
"""Seconds of 2026-01-01T00:00:00Z, when the meters were new."""

_LONG_UNSIGNED: Final = 0x12
_CRC_POLYNOMIAL: Final = 0xA001


@dataclass(frozen=True, slots=True)
class SmartMeter:
    """One meter; everything it shows is a function of time.

    Attributes:
        number: What is printed on it.
    """

    number: str

    def energy(self, now: Instant) -> Decimal:
        """Return the imported energy in Wh: half a kilowatt on average, more in the evening."""
        seconds = now // SECOND - _EPOCH
        wave = math.sin(seconds % _DAY / _DAY * math.tau) * 1500
        return Decimal(round(seconds / 3600 * 500 - wave + 1500))

    def power(self, now: Instant) -> int:
        """Return the present power in W."""
        return round(500 - 400 * math.cos((now // SECOND - _EPOCH) % _DAY / _DAY * math.tau))

    def telegram(self, now: Instant) -> bytes:
        """Return a P1 telegram of version 5, its clock at UTC+1."""
        stamp = f"{to_datetime(now + 3600 * SECOND):%y%m%d%H%M%S}W"
        kilowatthours = f"{self.energy(now) / 1000:010.3f}"
        lines = (
            "/LNL5\\2LINLI-SIM",
            "",
            "1-3:0.2.8(50)",
            f"0-0:1.0.0({stamp})",
            f"0-0:96.1.1({self.number.encode().hex().upper()})",
            f"1-0:1.8.1({kilowatthours}*kWh)",
            "1-0:2.8.1(000000.000*kWh)",
            f"1-0:1.7.0({self.power(now) / 1000:06.3f}*kW)",
            "1-0:32.7.0(230.0*V)",
            "0-1:24.1.0(003)",
            "0-1:96.1.0(4C494E4C49474153)",
            f"0-1:24.2.1({stamp})({self.energy(now) / 10000:09.3f}*m3)",
            "!",
        )
        body = "\r\n".join(lines).encode("ascii")
        return body + f"{_crc(body):04X}\r\n".encode("ascii")

    def readout(self, now: Instant) -> bytes:
        """Return the data of an IEC 62056-21 readout, its clock at UTC."""
        moment = to_datetime(now)
        text = (
            f"F.F(00000000)\r\nC.1.0({self.number})\r\n0.9.1({moment:%H%M%S})\r\n0.9.2({moment:%y%m%d})\r\n"
            f"1.8.0({self.energy(now) / 1000:011.3f}*kWh)\r\n2.8.0(0000000.000*kWh)\r\n32.7.0(230.0*V)\r\n"
        )
        return text.encode("ascii")

    def notification(self, now: Instant, invoke: int = 1) -> bytes:
        """Return a data-notification with a list that names its values."""
        moment = to_datetime(now)
        time = encode_time(datetime(*moment.timetuple()[:6], tzinfo=UTC), 0)
        rows = (
            Item(2, (code("0-0:96.1.0"), Item(OCTETS, self.number.encode()))),
            described("1-0:1.8.0", Item(UNSIGNED_32, int(self.energy(now))), 0, 30),
            described("1-0:1.7.0", Item(UNSIGNED_32, self.power(now)), 0, 27),
            described("1-0:32.7.0", Item(_LONG_UNSIGNED, 2300), -1, 35),
        )
        return push(Item(1, rows), bytes((len(time),)) + time, invoke & 0xFFFFFFFF)


def _crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _CRC_POLYNOMIAL if crc & 1 else crc >> 1
    return crc
