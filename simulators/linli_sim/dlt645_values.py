"""What a dwelling's electricity meter counts, in the identifiers of DL/T 645. Pure: ``now`` is an argument.

Written from the standard's tables by hand, apart from the gateway's rules.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from linli_core.codecs.bcd import encode_number
from linli_core.instant import HOUR, SECOND, Instant, to_datetime
from linli_sim.mbus_meters import Consumption

_BEIJING: Final = timedelta(hours=8)
_TARIFFS: Final = (10, 30, 35, 25)
"""Percent of the energy in sharp, peak, flat and valley hours."""

_PHASES: Final = (0.5, 0.3, 0.2)
_FACTOR: Final = Decimal("0.95")


@dataclass(frozen=True)
class Household:
    """One dwelling's electricity.

    Attributes:
        address: Of its meter; the meter number is the same.
        use: What flows, in W and Wh.
    """

    address: str
    use: Consumption

    def of_2007(self, now: Instant, *, is_open: bool = False) -> Mapping[int, bytes]:
        """Return what a meter of 2007 holds."""
        total, tariffs = self._energy(now)
        watt, volts, amperes = self._present(now, is_open=is_open)
        settled, _ = self._energy(max(self.use.since, now - 24 * HOUR))
        power = encode_number(Decimal(watt) / 1000, 3, 4, signed=True)
        phases = [encode_number(Decimal(round(watt * part)) / 1000, 3, 4, signed=True) for part in _PHASES]
        voltages = [encode_number(volt, 2, 1) for volt in volts]
        currents = [encode_number(ampere, 3, 3, signed=True) for ampere in amperes]
        energies = [encode_number(total, 4, 2), *(encode_number(part, 4, 2) for part in tariffs)]
        factor = encode_number(_FACTOR, 2, 3, signed=True)
        word_3 = b"\x10\x00" if is_open else b"\x00\x00"
        words = [bytes(2), bytes(2), word_3, bytes(2), bytes(2), bytes(2), bytes(2)]
        date, time = _clock(now)
        held = {
            0x00000000: energies[0],
            0x0001FF00: b"".join(energies),
            0x00010001: encode_number(settled, 4, 2),
            0x00020000: bytes(4),
            0x0201FF00: b"".join(voltages),
            0x0202FF00: b"".join(currents),
            0x0203FF00: power + b"".join(phases),
            0x02060000: factor,
            0x0206FF00: factor * 4,
            0x02800002: encode_number(Decimal("50.01"), 2, 2),
            0x04000101: date,
            0x04000102: time,
            0x04000401: bytes.fromhex(self.address)[::-1],
            0x04000402: bytes.fromhex(self.address)[::-1],
            0x040005FF: b"".join(words),
        }
        held |= {0x00010000 | place << 8: energy for place, energy in enumerate(energies)}
        held |= {0x02010000 | place << 8: voltage for place, voltage in enumerate(voltages, start=1)}
        held |= {0x02020000 | place << 8: current for place, current in enumerate(currents, start=1)}
        held |= {0x02030000 | place << 8: part for place, part in enumerate([power, *phases])}
        held |= {0x04000500 | place: word for place, word in enumerate(words, start=1)}
        return held

    def of_1997(self, now: Instant) -> Mapping[int, bytes]:
        """Return what a meter of 1997 holds."""
        total, tariffs = self._energy(now)
        watt, volts, amperes = self._present(now)
        energies = [encode_number(total, 4, 2), *(encode_number(part, 4, 2) for part in tariffs)]
        date, time = _clock(now)
        held = {
            0x901F: b"".join(energies) + b"\xaa",
            0x9020: bytes(4),
            0xB630: encode_number(Decimal(watt) / 1000, 3, 4),
            0xC010: date,
            0xC011: time,
            0xC032: bytes.fromhex(self.address)[::-1],
        }
        held |= {0x9010 | place: energy for place, energy in enumerate(energies)}
        held |= {0xB610 | place: encode_number(round(volt), 2) for place, volt in enumerate(volts, start=1)}
        held |= {0xB620 | place: encode_number(ampere, 2, 2) for place, ampere in enumerate(amperes, start=1)}
        return held

    def _energy(self, now: Instant) -> tuple[Decimal, list[Decimal]]:
        """Return the total and its tariffs in kWh, whole hundredths that add up."""
        hundredths = round(self.use.total(now) / 10)
        parts = [hundredths * percent // 100 for percent in _TARIFFS]
        parts[-1] += hundredths - sum(parts)
        return Decimal(hundredths) / 100, [Decimal(part) / 100 for part in parts]

    def _present(self, now: Instant, *, is_open: bool = False) -> tuple[int, list[Decimal], list[Decimal]]:
        watt = 0 if is_open else round(self.use.rate(now))
        volts = [Decimal(round(2300 + 15 * math.sin(now / (97 * SECOND) + phase))) / 10 for phase in range(3)]
        amperes = [
            Decimal(round(1000 * watt * part / float(volt))) / 1000 for part, volt in zip(_PHASES, volts, strict=True)
        ]
        return watt, volts, amperes


def households(count: int, seed: int, since: Instant) -> list[Household]:
    """Return dwellings whose counters begin to move at ``since``; the same seed gives the same ones."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable community, no secret
    return [
        Household(
            f"{2026_0000_0000 + seed % 100 * 1_0000 + number:012d}",
            Consumption(420.0 * chance.uniform(0.5, 1.6), 6.0e6 * chance.uniform(0.2, 1.8), since, chance.gauss(0, 1)),
        )
        for number in range(1, count + 1)
    ]


def _clock(now: Instant) -> tuple[bytes, bytes]:
    local = to_datetime(now) + _BEIJING
    date = (local.isoweekday() % 7, local.day, local.month, local.year % 100)
    time = (local.second, local.minute, local.hour)
    return _packed(date), _packed(time)


def clock_188(now: Instant) -> bytes:
    """Return the seven bytes of a clock of CJ/T 188."""
    local: datetime = to_datetime(now) + _BEIJING
    return _packed(
        (local.second, local.minute, local.hour, local.day, local.month, local.year % 100, local.year // 100)
    )


def _packed(parts: tuple[int, ...]) -> bytes:
    return bytes(part // 10 << 4 | part % 10 for part in parts)
