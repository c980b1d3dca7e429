"""From the platform's rows to what a page shows; plain data, so that templates hold no logic worth testing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from linli_core.alarm import NEEDS_ACKNOWLEDGEMENT, Hiding, Priority
from linli_core.catalogue import Language, counted, text
from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_core.model import Quality, Reason, parse_point, quality_from_code
from linli_platform.alarms import AlarmRow
from linli_platform.api.context import ApiContext
from linli_platform.api.quantities import facts
from linli_platform.registry import Device, Gateway, Titles
from linli_platform.store import Aggregate, LatestRow, SeriesInfo
from linli_platform.web import show
from linli_platform.web.chart import Dot, sparkline

STALE: Final = 2 * MINUTE
STALE_UNKNOWN: Final = 15 * MINUTE
HEADLINE_POINTS: Final = 5
_FOR_EVER: Final = 2**61
_SAVED: Final = Reason.SAVING_POWER.label
_RANK: Final = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}
_FIRST: Final = ("active_power", "energy_import", "voltage", "current", "volume", "flow", "temperature", "heat_energy")


@dataclass(frozen=True, slots=True)
class Age:
    """How old something is; the page counts it up."""

    at_ms: int
    shown: str
    exact: str
    stale_ms: int = 0
    stale: bool = False


@dataclass(frozen=True, slots=True)
class PointView:
    """A point's newest reading."""

    series: SeriesInfo
    title: str
    shown: str
    unit: str
    mark: str
    mark_text: str
    age: Age
    missing: bool


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device's card."""

    gateway: str
    id: str
    title: str
    state: str
    points: list[PointView]
    count: int

    @property
    def more(self) -> int:
        """How many points the card leaves out."""
        return self.count - len(self.points)


@dataclass(frozen=True, slots=True)
class RoomView:
    """A cold room's card."""

    device: DeviceView
    temperature: PointView | None
    door: PointView | None
    door_is_open: bool | None
    alarmed: bool
    spark: Markup


@dataclass(frozen=True, slots=True)
class HidingView:
    """What is hidden, by whom, why and until when (``None``: as long as what hides it stands)."""

    row: Hiding
    kind: str
    reason: str
    where: str
    actor: str
    until: Instant | None
    begins_later: bool
    alarms: list[AlarmView]


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm's card."""

    row: AlarmRow
    title: str
    consequence: str
    response: str
    value: str
    where: str
    href: str
    since: Age
    returned: Age | None
    needs_you: bool
    needs_action: bool
    hiding: HidingView | None


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway's card."""

    row: Gateway
    title: str
    state: str
    devices: int
    silent: list[str]
    fruitless: list[str]
    left_out: list[str]
    refused: int
    lost: int
    last_seen: Age | None


@dataclass(frozen=True, slots=True)
class StateView:
    """The community at one glance."""

    mood: str
    headline: str
    hint: str


class Views:
    """Answers one page's questions at one instant, in one language; blocks, so callers use a thread."""

    def __init__(self, context: ApiContext, lang: Language, zone: tzinfo | None = None) -> None:
        self._context = context
        self.lang = lang
        self.zone = zone
        self.now = context.clock()

    def _title(self, titles: Titles, fallback: str) -> str:
        return titles.get(self.lang) or titles.get("zh") or titles.get("en") or fallback

    def age(self, at: Instant, stale_after: Instant = 0) -> Age:
        """Return the age of an instant."""
        length = self.now - at
        return Age(
            at_ms=at // 1000,
            shown=show.ago(length, self.lang),
            exact=show.full_time(at, self.zone),
            stale_ms=stale_after // 1000,
            stale=bool(stale_after) and length > stale_after,
        )

    def point(self, row: LatestRow) -> PointView:
        """Return a point's newest reading."""
        series = row.series
        mark, sentence = show.quality_mark(row.quality, self.lang)
        interval = self._context.alarms.interval_of(series.gateway, series.device)
        stale_after = STALE_UNKNOWN if interval is None else max(STALE, 3 * interval)
        return PointView(
            series=series,
            title=show.title(series, self.lang),
            shown=show.shown(series, row.value, row.text, self.lang),
            unit=show.unit_shown(series),
            mark=mark,
            mark_text=sentence,
            age=self.age(row.time, stale_after),
            missing=row.value is None and row.text is None,
        )

    # Devices

    def device(self, row: Device, newest: list[LatestRow], limit: int = HEADLINE_POINTS) -> DeviceView:
        """Return a device's card with its most telling points."""
        chosen = sorted(newest, key=_telling)[:limit]
        return DeviceView(
            gateway=row.gateway,
            id=row.id,
            title=self._title(row.titles, row.id),
            state=row.state.value,
            points=[self.point(item) for item in chosen],
            count=len(newest),
        )

    def devices(self) -> tuple[list[RoomView], list[tuple[str, list[DeviceView]]]]:
        """Return cold rooms, and the other devices by gateway."""
        newest: dict[tuple[str, str], list[LatestRow]] = defaultdict(list)
        for row in self._context.store.latest():
            newest[row.series.gateway, row.series.device].append(row)
        titles = {item.id: self._title(item.titles, item.id) for item in self._context.registry.gateways()}
        rooms: list[RoomView] = []
        groups: dict[str, list[DeviceView]] = defaultdict(list)
        for device in self._context.registry.devices():
            rows = newest.get((device.gateway, device.id), [])
            if is_room(device, rows):
                rooms.append(self._room(device, rows))
            elif rows or device.state != "retired":
                groups[device.gateway].append(self.device(device, rows))
        return rooms, [(titles.get(gateway, gateway), views) for gateway, views in groups.items()]

    def _room(self, device: Device, rows: list[LatestRow]) -> RoomView:
        by_quantity = {row.series.quantity: row for row in sorted(rows, key=_telling, reverse=True)}
        air = by_quantity.get("air_temperature") or by_quantity.get("temperature")
        door = by_quantity.get("door_open")
        opened = None
        if door is not None and door.value is not None and quality_from_code(door.quality)[0] is not Quality.BAD:
            opened = bool(door.value)
        return RoomView(
            device=self.device(device, rows),
            temperature=None if air is None else self.point(air),
            door=None if door is None else self.point(door),
            door_is_open=opened,
            alarmed=self._context.alarms.stands(device.gateway, device.id),
            spark=Markup() if air is None else self.spark(air.series, text("room.last_hour", self.lang)),
        )

    def spark(self, series: SeriesInfo, label: str) -> Markup:
        """Return the last hour of a point as a small line."""
        start, step = self.now - HOUR, 30 * SECOND
        dots = [
            Dot(row.time, None if row.value is None else show.scaled(series, row.value))
            for row in self._context.store.read(series.id, start, self.now + 1, step=step, aggregate=Aggregate.MEAN)
        ]
        values = [dot.value for dot in dots if dot.value is not None]
        first = min((dot.time for dot in dots), default=start)
        # A room that began a minute ago shows that minute, not an hour of emptiness.
        begin = max(start, min(first, self.now - 2 * MINUTE))
        return sparkline(dots, begin, self.now, 10 * step, self._range(label, values, series))

    def _range(self, title: str, values: list[float], series: SeriesInfo) -> str:
        if not values:
            return text("chart.label_empty", self.lang, title=title)
        decimals = show.shape_of(facts(series.quantity).unit).decimals
        low, high = show.number(min(values), decimals), show.number(max(values), decimals)
        return text("chart.label", self.lang, title=title, low=low, high=high)

    # Alarms

    def alarm(self, row: AlarmRow) -> AlarmView:
        """Return an alarm's card."""
        series = self._context.store.find(row.gateway, row.point) if row.point else None
        value = ""
        if series is not None and (row.value is not None or row.text is not None):
            value = f"{show.shown(series, row.value, row.text, self.lang)} {show.unit_shown(series)}".strip()
        where = self.place(row.gateway, row.device, series)
        href = f"/devices/{row.gateway}/{row.device}" if row.device else f"/gateways/{row.gateway}"
        return AlarmView(
            row=row,
            title=self._title(row.title, row.rule),
            consequence=self._title(row.consequence, ""),
            response=self._title(row.response, ""),
            value=value,
            where=where,
            href=href,
            since=self.age(row.raised_again_at or row.raised_at),
            returned=None if row.returned_at is None else self.age(row.returned_at),
            needs_you=row.state in NEEDS_ACKNOWLEDGEMENT,
            needs_action=bool((rule := self._context.alarms.engine.rules.get(row.rule)) and rule.corrective_action),
            hiding=None if row.hiding is None else self.hiding(row.hiding, ()),
        )

    def hiding(self, found: Hiding, rows: Iterable[AlarmRow]) -> HidingView:
        """Return what is hidden, with the alarms that it hides now."""
        gateway, _, below = found.subject.partition("/")
        device, _, quantity = below.partition("/")
        series = self._context.store.find(gateway, below) if quantity else None
        return HidingView(
            row=found,
            kind=text(f"suppression.{found.kind}", self.lang),
            reason=text(f"reason.{_SAVED}", self.lang) if found.reason.startswith(f"{_SAVED}: ") else found.reason,
            where=self.place(gateway, device, series),
            actor=found.actor or text("alarm.system", self.lang),
            until=None if found.until >= _FOR_EVER else found.until,
            begins_later=found.starts_at > self.now,
            alarms=[self.alarm(row) for row in rows if row.hiding is not None and row.hiding.id == found.id],
        )

    def place(self, gateway: str, device: str = "", series: SeriesInfo | None = None) -> str:
        """Return in people's words where a gateway, a device of it, or a point of that is."""
        registry = self._context.registry
        known = registry.gateway(gateway)
        where = [self._title({} if known is None else known.titles, gateway)]
        if device:
            found = next((item for item in registry.devices(gateway) if item.id == device), None)
            where.append(self._title({} if found is None else found.titles, device))
        if series is not None:
            where.append(show.title(series, self.lang))
        return " › ".join(where)

    def alarms(self, rows: Iterable[AlarmRow]) -> list[AlarmView]:
        """Return alarms, those that need a person first, by priority, newest first."""
        return [
            self.alarm(row)
            for row in sorted(
                rows, key=lambda row: (row.state not in NEEDS_ACKNOWLEDGEMENT, _RANK[row.priority], -row.raised_at)
            )
        ]

    def state(self, alarms: list[AlarmRow], gateways: list[GatewayView]) -> StateView:
        """Return the community at one glance."""
        waiting = [row for row in alarms if row.state in NEEDS_ACKNOWLEDGEMENT]
        newest = max((row.time for row in self._context.store.latest()), default=None)
        if waiting:
            worst = min(waiting, key=lambda row: _RANK[row.priority]).priority
            return StateView(
                mood="attention" if worst is not Priority.LOW else "watching",
                headline=self.plural("state.attention", len(waiting)),
                hint=text("state.attention_hint", self.lang, priority=text(f"priority.{worst}", self.lang)),
            )
        if newest is None and not gateways:
            return StateView("empty", text("state.empty", self.lang), text("state.empty_hint", self.lang))
        if newest is None or self.now - newest > STALE_UNKNOWN:
            silence = text("age.never", self.lang) if newest is None else show.span(self.now - newest, self.lang)
            return StateView(
                "attention", text("state.silent", self.lang), text("state.silent_hint", self.lang, age=silence)
            )
        if alarms:
            hint = text("state.watching_hint", self.lang, count=len(alarms))
            return StateView("watching", text("state.watching", self.lang), hint)
        hint = text("state.well_hint", self.lang, age=show.ago(self.now - newest, self.lang))
        return StateView("well", text("state.well", self.lang), hint)

    def plural(self, key: str, count: int) -> str:
        """Return a text that depends on a number."""
        return counted(key, self.lang, count)

    # Gateways

    def gateways(self) -> list[GatewayView]:
        """Return every gateway's card."""
        registry = self._context.registry
        refused: Mapping[str, int] = _totals((item.gateway, item.count) for item in registry.refusals())
        lost = _totals((item.gateway, item.last - item.first + 1) for item in registry.losses())
        devices = _totals((item.gateway, 1) for item in registry.devices())
        return [
            self.gateway(row, devices.get(row.id, 0), refused.get(row.id, 0), lost.get(row.id, 0))
            for row in registry.gateways()
        ]

    def gateway(self, row: Gateway, devices: int, refused: int, lost: int) -> GatewayView:
        """Return one gateway's card."""
        return GatewayView(
            row=row,
            title=self._title(row.titles, row.id),
            state="unknown" if row.status is None else row.status.state,
            devices=devices,
            silent=[] if row.status is None else [device for link in row.status.links for device in link.silent],
            fruitless=[] if row.status is None else [name for link in row.status.links for name in link.fruitless],
            left_out=[] if row.status is None else [name for link in row.status.links for name in link.left_out],
            refused=refused,
            lost=lost,
            last_seen=None if row.last_seen is None else self.age(row.last_seen, STALE),
        )


def is_room(device: Device, rows: Iterable[LatestRow]) -> bool:
    """Tell whether a device is a cold room: declared as one, or bearing an air temperature and a door."""
    quantities = {row.series.quantity for row in rows}
    return device.kind == "cold_room" or {"air_temperature", "door_open"} <= quantities


def _telling(row: LatestRow) -> tuple[bool, int, bool, str]:
    """Order points by how much they tell a person: plain totals of the main quantities first."""
    point = parse_point(row.series.name)
    qualified = any(
        part is not None for part in (point.channel, point.tariff, point.storage, point.statistic, point.occurrence)
    )
    rank = _FIRST.index(point.quantity) if point.quantity in _FIRST else len(_FIRST)
    return qualified, rank, point.phase is not None, row.series.name


def _totals(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for key, count in pairs:
        totals[key] += count
    return totals
