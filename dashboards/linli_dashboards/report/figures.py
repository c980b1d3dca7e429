"""The figures of a report, reckoned from what the platform answered; what is not known is ``None``."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from linli_core.units import convert
from linli_core.vocabulary import vocabulary
from linli_dashboards.ask import MAIN
from linli_dashboards.report.material import (
    COLD,
    UTILITIES,
    Alarm,
    ColdDay,
    CompleteDay,
    Material,
    PointKey,
)
from linli_dashboards.report.month import Month
from linli_dashboards.report.register import Reckoned

PRIORITIES: Final = ("high", "medium", "low")
_WORST: Final = 10
_MOST: Final = 0.95
"""A day's sum of fewer meters than this would look like saving."""
_KELVIN: Final = 273.15
_ACTIVATION_K: Final = 10_000.0
"""The activation energy over the gas constant (83.144 kJ/mol), as the alarm engine takes it."""


@dataclass(frozen=True, slots=True)
class Share:
    """Readings that came of those that should have.

    Attributes:
        expected: As far as known.
        good: Good ones among those of which that is known.
        unusable: That came, and were no values: the device did not answer, or was out of order.
        missing: That never came.
        late: That came later.
        unknown: Days of points of which nobody can say what should have come.
    """

    expected: int = 0
    good: int = 0
    unusable: int = 0
    missing: int = 0
    late: int = 0
    unknown: int = 0

    @property
    def part(self) -> float | None:
        """0 to 1; ``None`` where nothing was expected for certain."""
        return min(1.0, self.good / self.expected) if self.expected else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many devices there are, and how many brought anything in the month."""

    name: str
    devices: int
    heard: int


@dataclass(frozen=True, slots=True)
class Community:
    """One community beside the others."""

    area: str
    devices: int
    heard: int
    share: Share
    alarms: int
    high: int


@dataclass(frozen=True, slots=True)
class Response:
    """How alarms of one priority were answered.

    Attributes:
        raised: How many.
        acknowledged: How many of them a person acknowledged.
        middle, ninth: Seconds until then: the middle one, and within which nine of ten were.
        in_time: Within the time their rules ask for.
        timed: How many have a rule that asks for one.
        standing: Not over yet.
    """

    priority: str
    raised: int
    acknowledged: int
    middle: float | None
    ninth: float | None
    in_time: int
    timed: int
    standing: int


@dataclass(frozen=True, slots=True)
class Use:
    """What was consumed of a utility.

    Attributes:
        utility: Which.
        is_main: Of main meters, and of no others; else of all others.
        unit: Of the figures.
        meters: Registers that counted.
        total: Their sum; ``None`` where none did.
        before: Of last year's; ``None`` where there is none.
        change: Against last year, 0.1 for a tenth more, of the meters that counted in both; ``None`` where none did.
        both: How many did.
        partial, broken: How many did not count the whole month, or went back.
        dayless: How many told a total and are in no sum of days.
        days, days_before: Sums of each day, of the same meters; ``None`` where too few of them told.
        largest: The ten meters that counted most.
    """

    utility: str
    is_main: bool
    unit: str
    meters: int
    total: float | None
    before: float | None
    change: float | None
    both: int
    partial: int
    broken: int
    dayless: int
    days: tuple[float | None, ...] = field(repr=False)
    days_before: tuple[float | None, ...] = field(repr=False)
    largest: tuple[tuple[PointKey, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ColdUnit:
    """How one cold point fared.

    Attributes:
        lowest, mean, highest: Of the month.
        kinetic: The mean kinetic temperature, of hourly means.
        out: For how long a temperature alarm stood.
        alarms: How many there were.
        standing: One still stands.
        out_days: For how long on each day.
        share: How complete its record is.
        days: Its days.
    """

    point: PointKey
    lowest: float
    mean: float
    highest: float
    kinetic: float
    out: timedelta
    alarms: int
    standing: bool
    out_days: Mapping[date, timedelta] = field(repr=False)
    share: Share = field(repr=False)
    days: Mapping[date, ColdDay] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """What a gateway lost, for one reason."""

    gateway: str
    cause: str
    ranges: int
    messages: int
    readings: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report."""

    material: Material = field(repr=False)
    kinds: tuple[Coverage, ...]
    communities: tuple[Community, ...]
    share: Share
    share_days: tuple[Share, ...]
    worst: tuple[tuple[tuple[str, str], Share], ...]
    responses: tuple[Response, ...]
    alarm_days: Mapping[str, tuple[int | None, ...]]
    worst_rules: tuple[tuple[str, int, int], ...]
    uses: tuple[Use, ...]
    cold: tuple[ColdUnit, ...]
    lost: tuple[Lost, ...]

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return sum(kind.devices for kind in self.kinds)

    @property
    def heard(self) -> int:
        """How many of them brought anything."""
        return sum(kind.heard for kind in self.kinds)

    @property
    def raised(self) -> int:
        """Alarms of the month."""
        return sum(response.raised for response in self.responses)

    @property
    def out(self) -> timedelta:
        """For how long temperature alarms stood, of all cold points."""
        return sum((unit.out for unit in self.cold), timedelta())

    @property
    def lost_messages(self) -> int:
        """Messages in the ledger."""
        return sum(lost.messages for lost in self.lost)


def reckon(material: Material, left_out: Collection[tuple[str, str]] = ()) -> Figures:
    """Return the figures; devices that are left out (gateway, device) are in no sum of consumption."""
    month = material.month
    by_device: dict[tuple[str, str], list[CompleteDay]] = defaultdict(list)
    for day in material.complete:
        by_device[_device_of(day.point)].append(day)
    heard = {key for key, days in by_device.items() if any(day.good for day in days)} | material.newest
    shares = {key: share_of(days) for key, days in by_device.items()}
    ranked = sorted(
        ((key, share) for key, share in shares.items() if share.part is not None and share.part < 1.0),
        key=lambda pair: (pair[1].part or 0.0, pair[0]),
    )
    by_day: dict[date, list[CompleteDay]] = defaultdict(list)
    for day in material.complete:
        by_day[day.day].append(day)
    rules = Counter(alarm.rule for alarm in material.alarms)
    subjects = {rule: {(it.gateway, it.device) for it in material.alarms if it.rule == rule} for rule in rules}
    return Figures(
        material=material,
        kinds=_kinds(material, heard),
        communities=_communities(material, heard, by_device),
        share=share_of(material.complete),
        share_days=tuple(share_of(by_day[day]) for day in month),
        worst=tuple(ranked[:_WORST]),
        responses=tuple(_response(priority, material) for priority in PRIORITIES),
        alarm_days={priority: _alarm_days(priority, material) for priority in PRIORITIES},
        worst_rules=tuple((rule, count, len(subjects[rule])) for rule, count in rules.most_common(_WORST)),
        uses=tuple(_uses(material, left_out)),
        cold=_cold_units(material),
        lost=_lost(material),
    )


def share_of(days: Iterable[CompleteDay]) -> Share:
    """Return what came of what should have."""
    expected = good = unusable = missing = late = unknown = 0
    for day in days:
        late += day.late
        if day.expected is None:
            unknown += 1
        else:
            expected += day.expected
            missing += day.missing or 0
            good += min(day.good, day.expected)
            unusable += max(0, day.expected - (day.missing or 0) - day.good)
    return Share(expected, good, unusable, missing, late, unknown)


def kinetic_mean(hours: Sequence[float]) -> float:
    """Return the mean kinetic temperature of means of equal length, in degrees Celsius."""
    mean = sum(math.exp(-_ACTIVATION_K / (hour + _KELVIN)) for hour in hours) / len(hours)
    return -_ACTIVATION_K / math.log(mean) - _KELVIN


def _device_of(point: str) -> tuple[str, str]:
    gateway, device, _ = point.split("/", 2)
    return gateway, device


def _kinds(material: Material, heard: set[tuple[str, str]]) -> tuple[Coverage, ...]:
    devices: Counter[str] = Counter()
    speaking: Counter[str] = Counter()
    for key, device in material.devices.items():
        if not device.is_in_service:
            continue
        devices[device.kind] += 1
        speaking[device.kind] += key in heard
    return tuple(Coverage(kind, count, speaking[kind]) for kind, count in devices.most_common())


def _communities(
    material: Material, heard: set[tuple[str, str]], by_device: Mapping[tuple[str, str], Sequence[CompleteDay]]
) -> tuple[Community, ...]:
    roots = [area.id for area in material.areas.values() if area.kind == "community"]
    found = []
    for root in sorted(roots):
        own = {key for key in material.devices if _lies_in(material, material.place_of(key), root)}
        # Those of a gateway itself too.
        alarms = [it for it in material.alarms if _lies_in(material, material.place_of((it.gateway, it.device)), root)]
        read = [key for key in own if material.devices[key].is_in_service]
        found.append(
            Community(
                area=root,
                devices=len(read),
                heard=sum(key in heard for key in read),
                share=share_of(day for key in own for day in by_device.get(key, ())),
                alarms=len(alarms),
                high=sum(it.priority == "high" for it in alarms),
            )
        )
    return tuple(found)


def _lies_in(material: Material, at: str | None, root: str) -> bool:
    passed: set[str] = set()
    while at is not None and at not in passed:
        if at == root:
            return True
        passed.add(at)
        area = material.areas.get(at)
        at = area.parent if area is not None else None
    return False


def _response(priority: str, material: Material) -> Response:
    alarms = [alarm for alarm in material.alarms if alarm.priority == priority]
    waits = sorted(wait for alarm in alarms if (wait := _wait(alarm)) is not None)
    timed = [(alarm, rule.respond_within) for alarm in alarms if (rule := material.rules.get(alarm.rule)) is not None]
    asked = [(alarm, within) for alarm, within in timed if within > 0]
    return Response(
        priority=priority,
        raised=len(alarms),
        acknowledged=len(waits),
        middle=median(waits) if waits else None,
        ninth=waits[min(len(waits) - 1, math.ceil(len(waits) * 0.9) - 1)] if waits else None,
        in_time=sum((wait := _wait(alarm)) is not None and wait <= within for alarm, within in asked),
        timed=len(asked),
        standing=sum(alarm.returned_at is None for alarm in alarms),
    )


def _wait(alarm: Alarm) -> float | None:
    """Return the seconds until a person acknowledged an alarm; clocks that were set back make no negative ones."""
    if alarm.acknowledged_at is None:
        return None
    return max(0.0, (alarm.acknowledged_at - alarm.learnt_at).total_seconds())


def _alarm_days(priority: str, material: Material) -> tuple[int | None, ...]:
    month = material.month
    counted = Counter(month.day_of(alarm.raised_at) for alarm in material.alarms if alarm.priority == priority)
    today = month.day_of(material.made_at)
    return tuple(counted[day] if day <= today else None for day in month)


def _uses(material: Material, left_out: Collection[tuple[str, str]]) -> Iterator[Use]:
    main = {key for key, device in material.devices.items() if device.kind.startswith(MAIN)}
    for utility in UTILITIES:
        yield _use(utility, material, main.union(left_out), is_main=False)
        if main:
            keys = {
                key[:2] for registers in (material.registers, material.registers_before) for key in registers[utility]
            }
            of_main = _use(utility, material, (keys - main).union(left_out), is_main=True)
            if of_main.meters:
                yield of_main


def _use(utility: str, material: Material, left_out: Collection[tuple[str, str]], *, is_main: bool) -> Use:
    quantity, unit = UTILITIES[utility]
    factor = float(convert(Decimal(1), vocabulary()[quantity].unit, unit))
    month = material.month
    now, before = (
        {key: it for key, it in registers[utility].items() if key[:2] not in left_out}
        for registers in (material.registers, material.registers_before)
    )
    totals = {key: it.total * factor for key, it in now.items() if it.total is not None}
    earlier = {key: it.total * factor for key, it in before.items() if it.total is not None}
    # Like with like: a meter that is new, or was swapped, says nothing of saving.
    both = [
        key
        for key in totals.keys() & earlier.keys()
        if not any(it.partial or it.broken for it in (now[key], before[key]))
    ]
    base = sum(earlier[key] for key in both)
    # Days are compared of the same meters too; where last year is not known at all, this year's are shown alone.
    with_days = {key for key, it in now.items() if it.days}
    charted = {key for key in with_days if key in before and before[key].days} or with_days
    largest = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    return Use(
        utility=utility,
        is_main=is_main,
        unit=unit,
        meters=len(totals),
        total=sum(totals.values()) if totals else None,
        before=sum(earlier.values()) if earlier else None,
        change=sum(totals[key] for key in both) / base - 1 if base else None,
        both=len(both),
        partial=sum(it.partial for it in now.values() if it.total is not None),
        broken=sum(it.broken for it in now.values()),
        dayless=len(totals.keys() - charted),
        days=_sums([now[key] for key in charted], month, factor),
        days_before=_sums([before[key] for key in charted if key in before], month.last_year, factor),
        largest=tuple(largest[:_WORST]),
    )


def _sums(registers: Iterable[Reckoned], month: Month, factor: float) -> tuple[float | None, ...]:
    """Return what registers counted on each day; ``None`` where more than a few of them did not tell."""
    known = list(registers)
    sums: list[float | None] = []
    for day in month:
        told = [register.days[day] for register in known if day in register.days]
        sums.append(sum(told) * factor if told and len(told) >= len(known) * _MOST else None)
    return tuple(sums)


def _cold_units(material: Material) -> tuple[ColdUnit, ...]:
    by_point: dict[str, list[CompleteDay]] = defaultdict(list)
    for day in material.complete:
        by_point[day.point].append(day)
    units = [_cold_unit(key, days, material, by_point) for key, days in material.cold.items()]
    return tuple(sorted(units, key=lambda unit: (-unit.out, unit.point)))


def _cold_unit(
    key: PointKey, days: Sequence[ColdDay], material: Material, by_point: Mapping[str, Sequence[CompleteDay]]
) -> ColdUnit:
    month = material.month
    ours = [alarm for alarm in material.alarms if _warms(alarm, key, material)]
    earlier = [alarm for alarm in material.standing if _warms(alarm, key, material)]
    out_days: dict[date, timedelta] = defaultdict(timedelta)
    end = min(month.end, material.made_at)
    for began, ended in _merged((alarm.raised_at, min(alarm.returned_at or end, end)) for alarm in earlier + ours):
        for day in month:
            begin, until = max(began, month.begin(day)), min(ended, month.begin(day + timedelta(days=1)))
            if until > begin:
                out_days[day] += until - begin
    hours = material.cold_hours[key]
    return ColdUnit(
        point=key,
        lowest=min(day.lowest for day in days),
        mean=sum(hours) / len(hours),
        highest=max(day.highest for day in days),
        kinetic=kinetic_mean(hours),
        out=sum(out_days.values(), timedelta()),
        alarms=len(ours),
        standing=any(alarm.returned_at is None for alarm in earlier + ours),
        out_days=out_days,
        share=share_of(by_point.get(f"{key[0]}/{key[2]}", ())),
        days={day.day: day for day in days},
    )


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return stretches of time without overlaps: two alarms of one hour are one hour."""
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged


def _warms(alarm: Alarm, key: PointKey, material: Material) -> bool:
    """Tell whether an alarm is one about the temperature of a cold point."""
    rule = material.rules.get(alarm.rule)
    # A rule that is an expression names no quantity; its subject does.
    watched = (rule.quantity if rule is not None else "") or alarm.point.rpartition("/")[2].partition(".")[0]
    return alarm.category == "food" and (alarm.gateway, alarm.point) == (key[0], key[2]) and watched in COLD


def _lost(material: Material) -> tuple[Lost, ...]:
    found: dict[tuple[str, str], list[tuple[int, int | None]]] = defaultdict(list)
    for loss in material.losses:
        found[loss.gateway, loss.cause].append((loss.messages, loss.readings))
    return tuple(
        Lost(
            gateway,
            cause,
            len(parts),
            sum(messages for messages, _ in parts),
            None if any(readings is None for _, readings in parts) else sum(readings or 0 for _, readings in parts),
        )
        for (gateway, cause), parts in sorted(found.items())
    )
