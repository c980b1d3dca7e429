"""What a dwelling's water, heat and electricity meters count, and how they say it. Pure: ``now`` is an argument."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from linli_core.codecs.mbus import Identity, LongFrame, MeterTime
from linli_core.codecs.mbus.encode import (
    BCD8,
    encode_answer,
    encode_dib,
    encode_number,
    encode_time,
    encode_vib,
)
from linli_core.codecs.mbus.record import Function
from linli_core.codecs.mbus.vif import Measurand
from linli_core.instant import DAY, SECOND, Instant, to_datetime
from linli_sim.loadcurve import share_of_day

_HOURS_OF_DAY: Final = 24
_INT16: Final = 0x2
_INT32: Final = 0x4
_PHASE: Final = 0x7C
"""VIFE that says: a phase follows."""


def record(
    measurand: Measurand,
    unit: str,
    exponent: int,
    number: float,
    *,
    coding: int = BCD8,
    storage: int = 0,
    tariff: int = 0,
    function: Function = Function.INSTANTANEOUS,
    extensions: bytes = b"",
) -> bytes:
    """Return one record; ``number`` is in the unit and is sent with as many digits as the exponent leaves."""
    raw = round(number / 10.0**exponent)
    return (
        encode_dib(coding, storage=storage, tariff=tariff, function=function)
        + encode_vib(measurand, unit, exponent, extensions)
        + encode_number(coding, raw)
    )


def time_record(measurand: Measurand, time: MeterTime, *, storage: int = 0) -> bytes:
    """Return a record with a date, or a date and time."""
    coding, data = encode_time(time)
    return encode_dib(coding, storage=storage) + encode_vib(measurand) + data


class Model(Protocol):
    """One kind of meter."""

    def telegrams(self, now: Instant) -> Sequence[Sequence[bytes]]:
        """Return the records of each telegram of a readout."""
        ...


@dataclass(frozen=True)
class Consumption:
    """What flows over the day: a curve that is never negative, and its integral, so that counters and flows agree.

    Attributes:
        mean: Mean rate, per hour.
        start: Counter at the epoch of the simulation.
        since: That epoch.
        shift: Hours by which this dwelling's day is late.
    """

    mean: float
    start: float
    since: Instant
    shift: float

    def rate(self, now: Instant) -> float:
        """Return the present rate, per hour."""
        return self.mean * share_of_day(self._hour(now)) / _MEAN_SHARE

    def total(self, now: Instant) -> float:
        """Return the counter; it never goes back."""
        days, rest = divmod(now - self.since, DAY)
        whole, part = divmod(_HOURS_OF_DAY * rest / DAY, 1.0)
        first = self._hour(self.since)
        today = sum(_hour_area(first + hour, 1.0) for hour in range(int(whole))) + _hour_area(first + whole, part)
        return self.start + self.mean * (days * _HOURS_OF_DAY + today / _MEAN_SHARE)

    def _hour(self, now: Instant) -> float:
        # Whole hours of shift only: the curve is straight within an hour, which keeps its integral exact.
        return _HOURS_OF_DAY * (now % DAY) / DAY + math.floor(self.shift)


def _hour_area(start: float, part: float) -> float:
    """Return the curve's integral over part of an hour by its straight pieces."""
    middle = math.floor(start) + 1.0
    end = start + part
    if end <= middle:
        return part * (share_of_day(start) + share_of_day(end)) / 2
    return _hour_area(start, middle - start) + (end - middle) * (share_of_day(middle) + share_of_day(end)) / 2


_MEAN_SHARE: Final = sum(share_of_day(float(hour)) for hour in range(_HOURS_OF_DAY)) / _HOURS_OF_DAY


def _meter_time(now: Instant) -> MeterTime:
    moment = to_datetime(now)
    return MeterTime((moment.year, moment.month, moment.day), (moment.hour, moment.minute, 0), seconds=False)


def _first_of_month(now: Instant) -> tuple[Instant, MeterTime]:
    moment = to_datetime(now)
    since = timedelta(
        days=moment.day - 1,
        hours=moment.hour,
        minutes=moment.minute,
        seconds=moment.second,
        microseconds=moment.microsecond,
    )
    return now - since // timedelta(microseconds=1), MeterTime((moment.year, moment.month, 1))


class WaterMeter:
    """Volume, flow, the volume of the last due date."""

    def __init__(self, use: Consumption) -> None:
        self.use = use

    def telegrams(self, now: Instant) -> Sequence[Sequence[bytes]]:
        """Return the records of the one telegram."""
        due, date = _first_of_month(now)
        return (
            (
                record(Measurand.VOLUME, "m3", -3, self.use.total(now)),
                record(Measurand.VOLUME_FLOW, "m3/h", -3, self.use.rate(now), coding=_INT32),
                time_record(Measurand.DATE_TIME, _meter_time(now)),
                record(Measurand.VOLUME, "m3", -3, self.use.total(max(due, self.use.since)), storage=1),
                time_record(Measurand.DATE, date, storage=1),
                record(Measurand.ERROR_FLAGS, "1", 0, 0, coding=_INT16),
            ),
        )


class HeatMeter:
    """Energy, volume, power, flow, temperatures, the energy of the last due date."""

    def __init__(self, use: Consumption) -> None:
        self.use = use

    def telegrams(self, now: Instant) -> Sequence[Sequence[bytes]]:
        """Return the records of the one telegram."""
        due, date = _first_of_month(now)
        power = self.use.rate(now)
        drop = 12.0 + 6.0 * power / (self.use.mean * 2.5)
        flow = power / (1.163e3 * drop)  # W over Wh/(m3 K) and K
        supply = 52.0 + drop / 2
        return (
            (
                record(Measurand.ENERGY, "Wh", 3, self.use.total(now)),
                record(Measurand.VOLUME, "m3", -2, self.use.total(now) / (1.163e3 * 15.0)),
                record(Measurand.POWER, "W", 0, power, coding=_INT32),
                record(Measurand.VOLUME_FLOW, "m3/h", -3, flow, coding=_INT32),
                record(Measurand.FLOW_TEMPERATURE, "Cel", -1, supply, coding=_INT16),
                record(Measurand.RETURN_TEMPERATURE, "Cel", -1, supply - drop, coding=_INT16),
                record(Measurand.TEMPERATURE_DIFFERENCE, "K", -2, drop, coding=_INT16),
                time_record(Measurand.DATE_TIME, _meter_time(now)),
                record(Measurand.ENERGY, "Wh", 3, self.use.total(max(due, self.use.since)), storage=1),
                time_record(Measurand.DATE, date, storage=1),
                record(Measurand.ERROR_FLAGS, "1", 0, 0, coding=_INT16),
            ),
        )


class ElectricityMeter:
    """Two telegrams: energy with tariffs and power; then voltages and currents of the phases."""

    def __init__(self, use: Consumption) -> None:
        self.use = use

    def telegrams(self, now: Instant) -> Sequence[Sequence[bytes]]:
        """Return the records of the two telegrams."""
        energy = round(self.use.total(now))
        day = energy * 7 // 10
        power = self.use.rate(now)
        phases = bytes((1, 2, 3))
        volts = [230.0 + 1.5 * math.sin(now / (97.0 * SECOND) + phase) for phase in phases]
        amperes = [power * share / 230.0 for share in (0.5, 0.3, 0.2)]
        return (
            (
                record(Measurand.ENERGY, "Wh", 0, energy),
                record(Measurand.ENERGY, "Wh", 0, day, tariff=1),
                record(Measurand.ENERGY, "Wh", 0, energy - day, tariff=2),
                record(Measurand.POWER, "W", 0, power, coding=_INT32),
                record(Measurand.POWER, "W", 0, self.use.mean * 6.0, coding=_INT32, function=Function.MAXIMUM),
                time_record(Measurand.DATE_TIME, _meter_time(now)),
            ),
            tuple(
                record(measurand, unit, exponent, number, coding=_INT16, extensions=bytes((_PHASE, phase)))
                for measurand, unit, exponent, numbers in (
                    (Measurand.VOLTAGE, "V", -1, volts),
                    (Measurand.CURRENT, "A", -2, amperes),
                )
                for phase, number in zip(phases, numbers, strict=True)
            ),
        )


_KINDS: Final = (
    ("water", "LNW", 0x16, WaterMeter, 0.012, 150.0),
    ("heat", "LNH", 0x04, HeatMeter, 900.0, 9.0e6),
    ("electricity", "LNE", 0x02, ElectricityMeter, 420.0, 6.0e6),
)
"""Name, manufacturer, medium, model, mean consumption an hour (m3, Wh, Wh), typical counter."""


@dataclass(frozen=True)
class SimulatedMeter:
    """One meter of the simulated dwellings."""

    kind: str
    address: int
    identity: Identity
    model: Model

    def frames(self, now: Instant, readout: int) -> list[LongFrame]:
        """Return the telegrams of a readout; ``readout`` counts them for the access number."""
        pages = self.model.telegrams(now)
        return [
            encode_answer(
                self.identity,
                records,
                address=self.address,
                access_number=readout * len(pages) + place,
                more_follow=place < len(pages) - 1,
            )
            for place, records in enumerate(pages)
        ]


def make_meters(count: int, seed: int, since: Instant) -> list[SimulatedMeter]:
    """Return meters with addresses from 1 on: water, heat, electricity in turn.

    Args:
        count: 250 at most; there are no more primary addresses.
        seed: The same seed gives the same meters.
        since: When their counters begin to move.
    """
    chance = random.Random(seed)  # noqa: S311 - a repeatable community, no secret
    meters: list[SimulatedMeter] = []
    for address in range(1, count + 1):
        kind, maker, medium, model, mean, start = _KINDS[(address - 1) % len(_KINDS)]
        use = Consumption(mean * chance.uniform(0.5, 1.6), start * chance.uniform(0.2, 1.8), since, chance.gauss(0, 1))
        number = f"{10_000_000 + seed % 1000 * 10_000 + address:08d}"
        meters.append(SimulatedMeter(kind, address, Identity(number, maker, 1, medium), model(use)))
    return meters
