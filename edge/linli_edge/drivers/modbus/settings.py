"""A Modbus link as TOML writes it: how the bytes move, and the devices with their profiles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, cast

import pymodbus

from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.drivers.modbus import device_profile
from linli_edge.drivers.modbus.client import check_version
from linli_edge.drivers.modbus.device_profile import DeviceProfile
from linli_edge.drivers.modbus.plan import RequestPlan
from linli_edge.drivers.modbus.register_map import (
    RATIOS,
    Quirks,
    RawEntry,
    read_defaults,
    read_entries,
    read_quirks,
)
from linli_edge.drivers.modbus.registers import ADDRESSES, MappedPoint, WordOrder
from linli_edge.transport.settings import SerialSettings, TransportSettings, read_transport

PORT: Final = 502
INTERVAL: Final = 10 * SECOND


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device behind the link.

    Attributes:
        device: Its id.
        unit: Modbus unit id.
        interval: Microseconds from one poll to the next.
        quirks: How to ask it.
        points: Its register map, ratios and units folded in.
    """

    device: str
    unit: int
    interval: int
    quirks: Quirks
    points: tuple[MappedPoint, ...]


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One Modbus link.

    Attributes:
        transport: How its bytes move.
        framing: ``tcp`` (MBAP) or ``rtu``.
        devices: Who is asked.
        learnt: The requests of each poll, as refusals have shaped them: they outlive a connection.
    """

    transport: TransportSettings
    framing: Literal["tcp", "rtu"]
    devices: tuple[DeviceSettings, ...]
    learnt: dict[str, RequestPlan] = field(default_factory=dict, compare=False)

    @property
    def silence(self) -> float:
        """Seconds of silence between two RTU frames: 3.5 characters, 1.75 ms at least (serial line V1.02, §2.5.1.1)."""
        if not isinstance(self.transport, SerialSettings):
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
        transport = read_transport(link, port=PORT, baud=9600, parity="even")
        usual = "rtu" if isinstance(transport, SerialSettings) else "tcp"
        framing = cast("Literal['tcp', 'rtu']", link.choice("framing", ("tcp", "rtu"), usual))
        if framing == "tcp" and isinstance(transport, SerialSettings):
            link.problem("framing", 'framing "tcp" on a serial line', 'write "rtu", or leave the key out')
        profiles = _Profiles()
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        places: dict[tuple[int, int], str] = {}
        for item in link.tables("devices", required=True):
            device, shift = _device(item, framing, profiles)
            if (first := ids.setdefault(device.device, item.where)) != item.where:
                item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
            if (first := places.setdefault((device.unit, shift), item.where)) != item.where:
                remedy = "correct one of the two; where one unit stands for several devices, set address_offset"
                item.problem("unit", f"unit {device.unit} is taken by {first}", remedy)
            devices.append(device)
        if profiles.mistakes:
            raise ConfigErrors(profiles.mistakes)
    return LinkSettings(transport, framing, tuple(devices))


def _device(item: Table, framing: str, profiles: _Profiles) -> tuple[DeviceSettings, int]:
    lowest, highest = (0, 255) if framing == "tcp" else (1, 247)
    name = item.ident("id")
    unit = item.integer("unit", minimum=lowest, maximum=highest)
    interval = item.duration("interval", INTERVAL, minimum=SECOND // 10)
    order = item.member("order", WordOrder, None)
    shift = item.integer("address_offset", 0, minimum=0, maximum=ADDRESSES - 1)
    profile = profiles.of(item)
    quirks = read_quirks(item, profile.quirks if profile else Quirks())
    own: tuple[RawEntry, ...] = ()
    if "points" in item:
        own = read_entries(item.tables("points"), read_defaults(item.table("defaults")), quirks)
    elif "profile" not in item.raw:
        item.problem("profile", "neither a profile nor points", "name a profile, or write [[links.devices.points]]")
    entries = [*(profile.entries if profile else ()), *own]
    ratios = _ratios(item, entries)
    points: dict[str, MappedPoint] = {}
    for entry in entries:
        point = entry.resolved(ratios, order)
        point = replace(point, address=point.address + shift)
        if point.end > ADDRESSES:
            item.problem("address_offset", f"moves {point.where} to address {point.address}", "correct the offset")
        # A point of the device's own replaces the profile's of the same name.
        points[point.of("device").local_name] = point
    return DeviceSettings(name, unit, interval, quirks, tuple(points.values())), shift


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
