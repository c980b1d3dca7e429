"""What a report is made of, as the platform answers it. Nothing is reckoned here but what is too much to be kept."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from math import inf
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language
from linli_core.errors import ConfigError
from linli_core.vocabulary import vocabulary
from linli_dashboards.asking import Platform, Value
from linli_dashboards.report.month import Month
from linli_dashboards.report.register import Midnights, Reckoned, Register

OUTSIDE: Final = "outside-alarm"
"""The kind of what stands for an alarm of another system: no device that anybody reads."""

UTILITIES: Final[Mapping[str, tuple[str, str]]] = {
    "electricity": ("energy_import", "kWh"),
    "water": ("water_volume", "m3"),
    "hot_water": ("hot_water_volume", "m3"),
    "gas": ("gas_volume", "m3"),
    "heat": ("heat_energy", "kWh"),
}
"""The register that tells what was consumed of each utility, and the unit in which people read it."""

COLD: Final = ("air_temperature", "product_temperature")
"""What is watched of food that must stay cold."""

_SERVED: Final = frozenset({"active", "retired"})
_COMPLETE_ROWS: Final = 10_000
_POINTS: Final = 10_000
_DAYS: Final = 40
_ROWS: Final = 400_000
"""Of hours that are asked for at once: what the platform answers is held in memory."""
_ALARMS: Final = 1_000
_LOSSES: Final = 10_000
_TOLD: Final = 10_000
_LATER: Final = timedelta(days=60)
"""An exchange may be told of so much later."""
_BEFORE: Final = timedelta(days=60)
"""Alarms of food that stand longer than this when a month begins are not about food any more."""


class Titles(msgspec.Struct, frozen=True):
    """A text in both languages."""

    zh: str = ""
    en: str = ""

    def of(self, lang: Language, fallback: str) -> str:
        """Return the text; the other language's, or ``fallback``, where there is none."""
        return (self.zh or self.en if lang == "zh" else self.en or self.zh) or fallback


class Health(msgspec.Struct, frozen=True):
    """How the platform fares.

    Attributes:
        zone: By whose midnights it counts days; empty if it knows no name for that.
        utc_offset: By how many seconds that clock is ahead of UTC now; ``None`` where the platform does not say.
    """

    version: str
    time: datetime
    zone: str = ""
    utc_offset: int | None = None


class Area(msgspec.Struct, frozen=True):
    """A place in the tree of areas."""

    id: str
    kind: str
    titles: Titles
    parent: str | None = None


class Gateway(msgspec.Struct, frozen=True):
    """A gateway."""

    id: str
    state: str
    titles: Titles
    area: str | None = None


class Device(msgspec.Struct, frozen=True):
    """A device."""

    gateway: str
    id: str
    state: str
    kind: str
    titles: Titles
    area: str | None = None

    @property
    def is_in_service(self) -> bool:
        """Whether it is one that is read now: not taken out since, and no alarm of another system."""
        return self.state == "active" and self.kind != OUTSIDE


class CompleteDay(msgspec.Struct, frozen=True, order=True):
    """How complete one day of one point is."""

    point: str
    day: date
    expected: int | None
    received: int
    good: int
    late: int
    missing: int | None


class Latest(msgspec.Struct, frozen=True):
    """The newest reading of a point."""

    time: datetime
    quality: str


class Point(msgspec.Struct, frozen=True):
    """A point with its newest reading."""

    gateway: str
    device: str
    latest: Latest | None


class Alarm(msgspec.Struct, frozen=True):
    """An alarm."""

    id: int
    rule: str
    gateway: str
    device: str
    point: str
    category: str
    priority: str
    title: Titles
    raised_at: datetime
    learnt_at: datetime
    returned_at: datetime | None
    acknowledged_at: datetime | None


class Rule(msgspec.Struct, frozen=True):
    """A rule in force."""

    id: str
    quantity: str
    title: Titles
    respond_within: float


class RegisterTold(msgspec.Struct, frozen=True):
    """What a gateway told of a register, or of its meter: that it was exchanged, jumped, fell."""

    gateway: str
    device: str
    kind: str
    at: datetime
    data: dict[str, Any] = {}

    @property
    def moment(self) -> int:
        """When it was so, in seconds since 1970; what a person told of later says when."""
        said = self.data.get("swapped_at")
        return int((datetime.fromisoformat(said) if isinstance(said, str) else self.at).timestamp())


class Loss(msgspec.Struct, frozen=True):
    """An entry of the loss ledger."""

    gateway: str
    messages: int
    cause: str
    readings: int | None
    booked_at: datetime
    observed_from: datetime | None = None
    observed_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class ColdDay:
    """A day of a point that must stay cold."""

    day: date
    lowest: float
    mean: float
    highest: float


PointKey = tuple[str, str, str]
"""Gateway, device, point."""


@dataclass(frozen=True, slots=True)
class Material:
    """All that a report is made of.

    Attributes:
        month: Of which month.
        made_at: When the platform was asked.
        version: Of the platform.
        area: Id of the area; empty for all.
        areas, gateways: Those of the area and below it.
        devices: Those too that were taken out of service since: what they counted in the month is no less true.
        complete: Days of each point of these devices.
        newest: Devices whose newest good reading is of the month; its days may not be counted yet.
        alarms: Raised in the month.
        standing: Raised in the two months before, and not over when it began.
        rules: Those in force, by id.
        registers: What each register counted, by utility.
        registers_before: The same a year earlier.
        cold: Days of each cold point.
        cold_hours: Means of its hours, in degrees Celsius.
        losses: Of the month.
    """

    month: Month
    made_at: datetime
    version: str
    area: str
    areas: Mapping[str, Area]
    gateways: Mapping[str, Gateway]
    devices: Mapping[tuple[str, str], Device]
    complete: Sequence[CompleteDay] = field(repr=False)
    newest: frozenset[tuple[str, str]] = field(repr=False)
    alarms: Sequence[Alarm] = field(repr=False)
    standing: Sequence[Alarm] = field(repr=False)
    rules: Mapping[str, Rule] = field(repr=False)
    registers: Mapping[str, Mapping[PointKey, Reckoned]] = field(repr=False)
    registers_before: Mapping[str, Mapping[PointKey, Reckoned]] = field(repr=False)
    cold: Mapping[PointKey, Sequence[ColdDay]] = field(repr=False)
    cold_hours: Mapping[PointKey, Sequence[float]] = field(repr=False)
    losses: Sequence[Loss] = field(repr=False)

    def place_of(self, key: tuple[str, str]) -> str | None:
        """Return the area in which a device lies, or a gateway whose device is none that is known."""
        device, gateway = self.devices.get(key), self.gateways.get(key[0])
        return (device.area if device is not None else None) or (gateway.area if gateway is not None else None)


def gather(platform: Platform, area: str, month_of: Callable[[Health], Month]) -> Material:
    """Ask the platform for a month of an area.

    Args:
        platform: The platform.
        area: Id of the area; empty for all.
        month_of: Returns the month, by the platform's clock and zone.

    Raises:
        ConfigError: It does not answer, refuses, or there is no such area.
    """
    health = platform.get("health", Health)
    month = month_of(health)
    areas = {each.id: each for each in platform.get("areas", list[Area])}
    if area and area not in areas:
        found = f"no area is called {area[:63]!r}"
        known = ", ".join(sorted(areas)[:10]) or "none: declare them (linli-platform registry)"
        raise ConfigError("--area", found, f"known are {known}")
    within = _below(area, areas)
    gateways = {each.id: each for each in platform.get("gateways", list[Gateway])}
    registered: set[tuple[str, str]] = set()
    devices = {}
    for each in platform.get("devices", list[Device]):
        place = each.area or (gateways[each.gateway].area if each.gateway in gateways else None)
        registered.add((each.gateway, each.id))
        if each.state in _SERVED and (not area or place in within):
            devices[each.gateway, each.id] = each
    own_gateways = {key for key, each in gateways.items() if not area or each.area in within}
    busy = sorted({gateway for gateway, _ in devices})
    complete = list(_complete(platform, devices, month.days))

    def lies_within(alarm: Alarm) -> bool:
        key = alarm.gateway, alarm.device
        return not area or key in devices or (key not in registered and alarm.gateway in own_gateways)

    alarms = [alarm for alarm in _alarms(platform, month) if lies_within(alarm)]
    standing = [alarm for alarm in alarms if alarm.raised_at < month.start and _held_at(alarm, month.start)]
    rules = {rule.id: rule for rule in platform.get("rules", list[Rule])}
    registers = {name: _registers(platform, UTILITIES[name][0], month, devices, busy) for name in UTILITIES}
    before = {name: _registers(platform, UTILITIES[name][0], month.last_year, devices, busy) for name in UTILITIES}
    cold: dict[PointKey, list[ColdDay]] = {}
    hours: dict[PointKey, list[float]] = {}
    for quantity in COLD:
        _cold(platform, quantity, month, devices, busy, cold, hours)
    told = platform.get("losses", list[Loss], limit=_LOSSES)
    losses = [loss for loss in told if (loss.gateway in own_gateways or loss.gateway in busy) and _is_of(loss, month)]
    return Material(
        month=month,
        made_at=health.time,
        version=health.version,
        area=area,
        areas={key: each for key, each in areas.items() if not area or key in within},
        gateways={key: each for key, each in gateways.items() if key in own_gateways or key in busy},
        devices=devices,
        complete=complete,
        newest=frozenset(_heard_last(platform, month)),
        alarms=[alarm for alarm in alarms if alarm.raised_at >= month.start],
        standing=standing,
        rules=rules,
        registers=registers,
        registers_before=before,
        cold=cold,
        cold_hours=hours,
        losses=losses,
    )


def _below(root: str, areas: Mapping[str, Area]) -> frozenset[str]:
    within = {root}
    while True:
        more = {each.id for each in areas.values() if each.parent in within} - within
        if not more:
            return frozenset(within)
        within |= more


def _complete(
    platform: Platform, devices: Mapping[tuple[str, str], Device], days: Sequence[date]
) -> Iterator[CompleteDay]:
    """Yield the days of the points of some devices."""
    for gateway, same in groupby(sorted(devices), key=lambda key: key[0]):
        own = list(same)
        # All of a gateway at once, day by day, where that takes fewer questions than one for each device.
        if len(own) > len(days):
            names = {device for _, device in own}
            found = _complete_days(platform, days, gateway=gateway)
            yield from (each for each in found if each.point.split("/", 2)[1] in names)
        else:
            for _, device in own:
                yield from _complete_days(platform, days, gateway=gateway, device=device)


def _complete_days(platform: Platform, days: Sequence[date], **of: str) -> Iterator[CompleteDay]:
    at, length = 0, len(days)
    while at < len(days):
        asked = days[at : at + length]
        rows = platform.get("completeness", list[CompleteDay], **of, from_=asked[0], to=asked[-1], limit=_COMPLETE_ROWS)
        if len(rows) < _COMPLETE_ROWS:
            yield from rows
            at += len(asked)
        elif len(asked) > 1:
            length = len(asked) // 2
        elif "device" in of:
            yield from rows
            at += 1
        else:
            # More points behind one gateway than one answer holds.
            names = sorted(each.id for each in platform.get("devices", list[Device], gateway=of["gateway"]))
            for name in names:
                yield from _complete_days(platform, days[at:], **of, device=name)
            return


def _heard_last(platform: Platform, month: Month) -> Iterator[tuple[str, str]]:
    offset = 0
    while True:
        page = platform.get("points", list[Point], limit=_POINTS, offset=offset)
        for point in page:
            newest = point.latest
            if newest is not None and newest.quality == "good" and month.start <= newest.time < month.end:
                yield point.gateway, point.device
        if len(page) < _POINTS:
            return
        offset += len(page)


def _alarms(platform: Platform, month: Month) -> Iterator[Alarm]:
    before: int | None = None
    since = (month.start - _BEFORE).isoformat().replace("+00:00", "Z")
    while True:
        page = platform.get("alarms", list[Alarm], since=since, before=before, limit=_ALARMS)
        yield from (alarm for alarm in page if alarm.raised_at < month.end)
        if len(page) < _ALARMS:
            return
        before = page[-1].id


def _held_at(alarm: Alarm, moment: datetime) -> bool:
    return alarm.returned_at is None or alarm.returned_at > moment


def _is_of(loss: Loss, month: Month) -> bool:
    # What was lost lies in the month; where nobody knows when it was made, what was learnt in it.
    begin, end = loss.observed_from or loss.booked_at, loss.observed_to or loss.booked_at
    return begin < month.end and end >= month.start


def _asked(
    platform: Platform, fields: str, quantity: str, span: tuple[datetime, datetime], gateway: str, group: str
) -> Iterator[tuple[PointKey, list[list[Value]]]]:
    """Yield for each point its rows: time in milliseconds, then the fields."""
    if quantity not in vocabulary():
        # No figure is better than one that silently is none.
        raise ConfigError("report", f"no quantity is called {quantity!r}", "name one of docs/vocabulary.md")
    start, end = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in span)
    # Ids of gateways hold no quotation mark: lower case, digits, hyphens.
    statement = (
        f"SELECT {fields} FROM \"{quantity}\" WHERE time >= '{start}' AND time < '{end}' "  # noqa: S608
        f"AND gateway = '{gateway}' GROUP BY {group}, device, point fill(none)"
    )
    for series in platform.ask(statement):
        yield (gateway, series.tags["device"], series.tags["point"]), series.values


def _hours(month: Month) -> str:
    """Return hours by the community's clock: there are zones whose midnight is at half past of ours."""
    return f"time(1h, {int(month.start.timestamp()) % 3_600 // 60}m)"


def _registers(
    platform: Platform,
    quantity: str,
    month: Month,
    devices: Mapping[tuple[str, str], Device],
    gateways: Sequence[str],
) -> dict[PointKey, Reckoned]:
    """Return what each register counted, by the hours around each midnight and all between them."""
    found: dict[PointKey, Register] = {}
    midnights = Midnights(month)
    busy = Counter(gateway for gateway, _ in devices)
    for gateway in gateways:
        length = timedelta(days=max(1, min(_DAYS, _ROWS // (24 * busy[gateway]))))
        start, end = month.start - timedelta(hours=1), month.end + timedelta(hours=1)
        while start < end:
            span = (start, min(end, start + length))
            fields = "first(value) AS first, last(value) AS last"
            for key, rows in _asked(platform, fields, quantity, span, gateway, _hours(month)):
                if key[:2] in devices:
                    register = found.setdefault(key, Register(midnights))
                    for at, first, last in rows:
                        if isinstance(first, float | int) and isinstance(last, float | int):
                            register.hour(int(at or 0) // 1_000, first, last)
            start += length
    reckoned = {key: register.reckoned() for key, register in found.items()}
    swaps = _swaps(platform, month, gateways)
    # Few: the platform follows them reading by reading. Hours say nothing of doubt, nor of the minute of an exchange.
    for device in sorted((swaps.keys() & devices.keys()) | {key[:2] for key, it in reckoned.items() if it.broken}):
        reckoned.update(_followed(platform, quantity, midnights, device, swaps.get(device, [])))
    return _totals(reckoned)


def _swaps(platform: Platform, month: Month, gateways: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Return the devices of which anything was told of a register, with the moments at which they were exchanged."""
    found: dict[tuple[str, str], list[int]] = {}
    start, end = (at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (month.start - timedelta(hours=1), month.end + _LATER))
    for gateway in gateways:
        for told in platform.get("registers", list[RegisterTold], gateway=gateway, from_=start, to=end, limit=_TOLD):
            moments = found.setdefault((told.gateway, told.device), [])
            if told.kind == "swapped":
                moments.append(told.moment)
    return found


def _followed(
    platform: Platform, quantity: str, midnights: Midnights, device: tuple[str, str], swaps: Sequence[int]
) -> Iterator[tuple[PointKey, Reckoned]]:
    """Yield what the registers of a device counted, over exchanges and without readings in doubt, by the platform."""
    month = midnights.month
    start, end = (
        at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (month.start - timedelta(hours=1), month.end + timedelta(hours=1))
    )
    statement = (
        f"SELECT counted, value FROM \"{quantity}\" WHERE time >= '{start}' AND time < '{end}' "  # noqa: S608
        f"AND gateway = '{device[0]}' AND device = '{device[1]}' GROUP BY device, point"
    )
    was_exchanged = any(midnights.start <= moment < midnights.end for moment in swaps)
    for series in platform.ask(statement):
        register, before, is_broken = Register(midnights), -inf, was_exchanged
        for at, counted, value in series.values:
            # What is in doubt is not counted.
            if isinstance(counted, float | int) and isinstance(value, float | int):
                second = int(at or 0) // 1_000
                # An hour may come in parts.
                register.hour(second - (second - midnights.start) % 3_600, counted, counted)
                before, is_broken = value, is_broken or value < before
        yield (*device, series.tags["point"]), replace(register.reckoned(), broken=is_broken)


def _totals(found: dict[PointKey, Reckoned]) -> dict[PointKey, Reckoned]:
    """Leave out tariffs, phases and stored values where the total is there too."""
    whole = {key[:2] for key in found if "." not in key[2]}
    return {
        key: reckoned
        for key, reckoned in found.items()
        if "." not in key[2] or (key[:2] not in whole and key[2].partition(".")[2][:1] == "t")
    }


def _cold(
    platform: Platform,
    quantity: str,
    month: Month,
    devices: Mapping[tuple[str, str], Device],
    gateways: Sequence[str],
    days: dict[PointKey, list[ColdDay]],
    hours: dict[PointKey, list[float]],
) -> None:
    span = (month.start, month.end)
    fields = "min(value) AS lowest, mean(value) AS mean, max(value) AS highest"
    for gateway in gateways:
        for key, rows in _asked(platform, fields, quantity, span, gateway, _hours(month)):
            if key[:2] not in devices:
                continue
            by_day: dict[date, list[tuple[float, float, float]]] = {}
            for at, low, mean, high in rows:
                if isinstance(low, float | int) and isinstance(mean, float | int) and isinstance(high, float | int):
                    start = datetime.fromtimestamp(float(at or 0) / 1000, month.start.tzinfo)
                    by_day.setdefault(month.day_of(start), []).append((low, mean, high))
            if not by_day:
                continue
            hours[key] = [mean for parts in by_day.values() for _, mean, _ in parts]
            days[key] = [
                ColdDay(
                    day,
                    min(low for low, _, _ in parts),
                    sum(mean for _, mean, _ in parts) / len(parts),
                    max(high for _, _, high in parts),
                )
                for day, parts in sorted(by_day.items())
            ]
