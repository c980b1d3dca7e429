"""A Modbus link as TOML writes it: how the bytes move, and the devices with their profiles."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, cast

import pymodbus

from linli_core.errors import ConfigError
from linli_core.instant import DAY, SECOND
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.drivers.modbus import device_profile
from linli_edge.drivers.modbus.client import check_version
from linli_edge.drivers.modbus.device_profile import DeviceProfile
from linli_edge.drivers.modbus.doubt import Doubt
from linli_edge.drivers.modbus.framing import transaction_ids
from linli_edge.drivers.modbus.image import Image
from linli_edge.drivers.modbus.plan import Limits, RequestPlan
from linli_edge.drivers.modbus.read_through import ReadThroughSettings, read_settings
from linli_edge.drivers.modbus.register_map import (
    RATIOS,
    Quirks,
    RawEntry,
    read_defaults,
    read_entries,
    read_quirks,
)
from linli_edge.drivers.modbus.registers import ADDRESSES, MappedPoint, RegisterTable, WordOrder
from linli_edge.drivers.modbus.sunspec import LONGEST, Kind, Layout, SunSpecSettings
from linli_edge.transport.settings import SerialSettings, TlsSettings, TransportSettings, read_transport

FramingName = Literal["tcp", "rtu", "ascii"]

PORT: Final = 502
TLS_PORT: Final = 802
"""MODBUS/TCP Security Protocol Specification."""

INTERVAL: Final = 10 * SECOND


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device behind the link.

    Attributes:
        device: Its id.
        unit: Modbus unit id.
        interval: Microseconds from one poll to the next.
        quirks: How to ask it.
        points: Its register map, ratios and units folded in; empty where the device itself has it (SunSpec).
        sunspec: Which of its logical devices is read; ``None`` for a device that is no SunSpec device.
    """

    device: str
    unit: int
    interval: int
    quirks: Quirks
    points: tuple[MappedPoint, ...]
    sunspec: SunSpecSettings | None = None

    @property
    def sunspec_table(self) -> RegisterTable:
        """The table that holds its models: the holding registers, or the others where it knows function 4 alone."""
        return self.quirks.tables.get(RegisterTable.HOLDING, RegisterTable.HOLDING)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One Modbus link.

    Attributes:
        transport: How its bytes move.
        framing: ``tcp`` (MBAP), ``rtu`` or ``ascii``.
        devices: Who is asked.
        learnt: The requests of each poll, as refusals have shaped them: they outlive a connection.
        read_through: How what was read is served to others; ``None``: it is not.
        image: What was read, for them.
        layouts: What SunSpec devices turned out to be; outlives a connection as well.
        doubt: The answers that are overdue; a converter delivers them to whoever is connected by then.
        transactions: The ids of Modbus TCP, which go on from one connection to the next for the same reason.
    """

    transport: TransportSettings
    framing: FramingName
    devices: tuple[DeviceSettings, ...]
    read_through: ReadThroughSettings | None = None
    image: Image = field(default_factory=Image, compare=False)
    learnt: dict[str, RequestPlan] = field(default_factory=dict, compare=False)
    layouts: dict[str, Layout] = field(default_factory=dict, compare=False)
    doubt: Doubt = field(default_factory=Doubt, compare=False)
    transactions: Iterator[int] = field(default_factory=transaction_ids, compare=False)

    @property
    def silence(self) -> float:
        """Seconds of silence between two RTU frames: 3.5 characters, 1.75 ms at least (serial line V1.02, §2.5.1.1)."""
        if not isinstance(self.transport, SerialSettings) or self.framing == "ascii":
            return 0.0
        return max(0.00175, 3.5 * 11 / self.transport.baud)


class _Profiles:
    """The profiles of a link, each read once however many devices have it.

    Attributes:
        mistakes: What is wrong in their files, or with their names.
    """

    def __init__(self) -> None:
        self.mistakes: list[ConfigError] = []
        self._read: dict[str, DeviceProfile | None] = {}

    def of(self, device: Table) -> DeviceProfile | None:
        """Return a device's profile; ``None`` where it has none or a wrong one."""
        name = device.text("profile", "")
        if not name:
            return None
        if name not in self._read:
            try:
                self._read[name] = device_profile.SHELF.load(name, device.at("profile"))
            except ConfigError as exc:
                self._read[name] = None
                self.mistakes.append(exc)
        return self._read[name]


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    check_version(pymodbus.__version__, where)
    with reading(table, where) as link:
        # ASCII characters have seven bits on the wire (serial line V1.02).
        data_bits = 7 if link.raw.get("framing") == "ascii" else 8
        transport = read_transport(link, port=PORT, baud=9600, parity="even", data_bits=data_bits, tls_port=TLS_PORT)
        usual = "rtu" if isinstance(transport, SerialSettings) else "tcp"
        framing = cast("FramingName", link.choice("framing", ("tcp", "rtu", "ascii"), usual))
        if framing == "tcp" and isinstance(transport, SerialSettings):
            link.problem("framing", 'framing "tcp" on a serial line', 'write "rtu" or "ascii", or leave the key out')
        if framing != "tcp" and isinstance(transport, TlsSettings):
            link.problem("framing", f'framing "{framing}" under TLS', "leave the key out: there it is always MBAP")
        through = read_settings(link.table("read_through")) if "read_through" in link else None
        profiles = _Profiles()
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        places: dict[tuple[object, ...], str] = {}
        for item in link.tables("devices", required=True):
            device, shift = _device(item, framing, profiles)
            if (first := ids.setdefault(device.device, item.where)) != item.where:
                item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
            place = (device.unit, shift, device.sunspec)
            # Where the unit itself is wrong, a placeholder stands for it, and clashes with nothing.
            if device.unit == item.raw.get("unit") and (first := places.setdefault(place, item.where)) != item.where:
                remedy = "correct one of the two; where one unit stands for several devices, set address_offset"
                item.problem("unit", f"unit {device.unit} is taken by {first}", remedy)
            devices.append(device)
        if profiles.mistakes:
            raise ConfigErrors(profiles.mistakes)
    return LinkSettings(transport, framing, tuple(devices), through)


_FUNCTIONS: Final = frozenset({1, 2, 3, 4, 5, 6, 15, 16})


def _device(item: Table, framing: str, profiles: _Profiles) -> tuple[DeviceSettings, int]:
    lowest, highest = (0, 255) if framing == "tcp" else (1, 247)
    name = item.ident("id")
    unit = item.integer("unit", minimum=lowest, maximum=highest)
    interval = item.duration("interval", INTERVAL, minimum=SECOND // 10, maximum=DAY)
    order = item.member("order", WordOrder, None)
    shift = item.integer("address_offset", 0, minimum=0, maximum=ADDRESSES - 1)
    profile = profiles.of(item)
    quirks = read_quirks(item, profile.quirks if profile else Quirks())
    own: tuple[RawEntry, ...] = ()
    if "sunspec" in item:
        if limits_of(quirks).most(RegisterTable.HOLDING) < LONGEST:
            found = f"a SunSpec value takes up to {LONGEST} registers"
            item.problem("max_registers", found, f"raise max_registers to {LONGEST} or more")
        return DeviceSettings(name, unit, interval, quirks, (), _sunspec(item)), shift
    if "points" in item:
        own = read_entries(item.tables("points"), read_defaults(item.table("defaults")), quirks)
    elif "profile" not in item.raw:
        item.problem("profile", "neither a profile nor points", "name a profile, or write [[links.devices.points]]")
    _check_functions(item, quirks)
    tables = quirks.tables
    entries = [*(profile.entries if profile else ()), *own]
    ratios = _ratios(item, entries)
    points: dict[str, MappedPoint] = {}
    for place, entry in enumerate(entries):
        point = entry.resolved(ratios, order)
        point = point.moved(shift, tables)
        if not quirks.allows(point.table.function):
            item.problem(
                "functions",
                f"{point.where} is in table {point.table.label}, which function {point.table.function} reads",
                "add the function, or drop the point",
            )
        if point.interval and place < len(entries) - len(own):
            # A profile says what need not be read more often; what the device's own points say is what is wanted.
            point = replace(point, interval=max(interval, point.interval))
        # A point of the device's own replaces the profile's of the same name.
        points[point.of("device").local_name] = point
    _check_fits(item, [*points.values()], quirks)
    for local_name, wanted in _intervals(item, points).items():
        points[local_name] = replace(points[local_name], interval=wanted)
    return DeviceSettings(name, unit, interval, quirks, tuple(points.values())), shift


def limits_of(quirks: Quirks) -> Limits:
    """Return what a device can take in one request."""
    most, bits = quirks.max_registers, min(2000, 16 * quirks.max_registers)
    return Limits(most, bits, quirks.max_gap, quirks.even_counts)


def _check_fits(item: Table, points: Sequence[MappedPoint], quirks: Quirks) -> None:
    """Note what no request to this device can read, ratio and scale registers included: a profile cannot know it."""
    asked = [entry for point in points for entry in (point, *(one.register for one in point.multipliers))]
    for entry in {entry.where: entry for entry in asked}.values():
        if entry.end > ADDRESSES:
            item.problem("address_offset", f"moves {entry.where} to address {entry.address}", "correct the offset")
    limits = limits_of(quirks)
    # One is enough, the longest. What the device's own points take beyond max_registers was noted where they stand.
    own = f"{item.where}.points"
    long = [entry for entry in asked if entry.count > limits.most(entry.table)]
    long = [entry for entry in long if not (entry.where.startswith(own) and entry.count > quirks.max_registers)]
    if long:
        entry = max(long, key=lambda entry: entry.count)
        allowed = f"{limits.most(entry.table)} (even_counts)" if quirks.even_counts else str(quirks.max_registers)
        needed = entry.count + entry.count % 2 if quirks.even_counts else entry.count
        found = f"{entry.where} takes {entry.count} in one value, a request may ask for {allowed}"
        item.problem("max_registers", found, f"raise max_registers to {needed} or more")


def _check_functions(item: Table, quirks: Quirks) -> None:
    for function in quirks.functions:
        if function not in _FUNCTIONS:
            known = ", ".join(map(str, sorted(_FUNCTIONS)))
            item.problem("functions", f"{function} is none that reads or writes values", f"choose among {known}")


def _intervals(item: Table, points: Mapping[str, MappedPoint]) -> dict[str, int]:
    """Return the intervals that single points are given: ``intervals = { "active_power" = "1 s" }``."""
    table = item.table("intervals")
    found = {}
    for local_name in table.raw:
        interval = table.duration(local_name, minimum=SECOND // 10, maximum=DAY)
        if local_name in points:
            found[local_name] = interval
        else:
            near = difflib.get_close_matches(local_name, points, 1)
            remedy = f'did you mean "{near[0]}"?' if near else f"its points: {', '.join(sorted(points)) or 'none'}"
            table.problem(local_name, "the device has no such point", remedy)
    return found


def _sunspec(item: Table) -> SunSpecSettings:
    """Return which logical device is meant: ``sunspec = {}``, ``sunspec = { kind = "meter", number = 2 }``."""
    for key in ("profile", "points"):
        if key in item:
            item.problem(key, "beside sunspec", "keep one of the two: a SunSpec device says itself what it has")
    table = item.table("sunspec")
    return SunSpecSettings(
        cast("Kind | None", table.choice("kind", ("inverter", "meter"), None)),
        table.integer("number", 1, minimum=1, maximum=32),
        table.text("serial", ""),
    )


def _ratios(item: Table, entries: list[RawEntry]) -> dict[str, Fraction]:
    """Return a device's transformer ratios (``ct = 40`` for 200 A / 5 A)."""
    wanted = {name for entry in entries for name in entry.ratios}
    ratios: dict[str, Fraction] = {}
    for name in RATIOS:
        value = item.number(name, None, minimum=0.001, maximum=1_000_000)
        if value is None:
            continue
        if name not in wanted:
            item.problem(name, "its register map leaves nothing to multiply", "drop the key: the device does it itself")
        ratios[name] = Fraction(Decimal(repr(value)))
    return ratios
