"""A shared line as TOML writes it: how its bytes move, and the protocols on it, each read by its own driver."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge import driver
from linli_edge.config.table import Table, reading
from linli_edge.driver import DriverSpec
from linli_edge.transport.settings import SerialSettings, TransportSettings

QUIET: Final = SECOND // 20
"""Usual silence before the line is set in another way: a device of the other speed must have seen the frame end."""

_WHERE_IT_LEADS: Final = ("transport", "host", "port", "connect_timeout", "path", "rs485")
"""Keys of the line itself; each protocol says only how bits stand on it while it speaks."""

_HOW_BITS_STAND: Final = ("baud", "parity", "data_bits", "stop_bits")


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """One protocol on the line.

    Attributes:
        spec: Its driver.
        config: What the driver's ``parse`` made of its table.
    """

    spec: DriverSpec
    config: Any

    @property
    def transport(self) -> TransportSettings:
        """How the line is set while this protocol speaks."""
        found: TransportSettings = self.config.transport
        return found


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """A shared line.

    Attributes:
        quiet: Microseconds of silence before the line is set in another way.
        guests: The protocols on it.
    """

    quiet: int
    guests: tuple[GuestSettings, ...]

    @property
    def transport(self) -> TransportSettings:
        """Where the line leads, and how it is set when it is opened."""
        return self.guests[0].transport


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        serial = link.choice("transport", ("tcp", "serial"), "tcp") == "serial"
        link.known(*(_WHERE_IT_LEADS if serial else _WHERE_IT_LEADS[:4]))
        line = {key: table[key] for key in _WHERE_IT_LEADS if key in table}
        quiet = link.duration("quiet", QUIET, minimum=0, maximum=10 * SECOND)
        speeds: dict[str, Mapping[str, object]] = {}
        guests: list[GuestSettings] = []
        devices: dict[str, str] = {}
        for item in link.tables("protocols", required=True):
            guest = _guest(item, line, serial=serial)
            if not serial:
                speeds[item.where] = {key: item.raw[key] for key in _HOW_BITS_STAND if key in item.raw}
            if guest is not None:
                guests.append(guest)
                _note_devices(item, guest, devices)
        _one_speed(link, speeds)
    return LinkSettings(quiet, tuple(guests))


def _guest(item: Table, line: Mapping[str, object], *, serial: bool) -> GuestSettings | None:
    """Return one protocol's settings, ``None`` if they are not right; what is wrong is noted where it stands."""
    name = item.text("driver")
    # What else is in the table is its driver's to judge.
    item.known(*item.raw)
    for key in _WHERE_IT_LEADS:
        if key in item.raw:
            item.problem(key, "stands at a protocol", "write it once, in the link's own table")
    if not name:
        return None
    try:
        spec = driver.load(name, item.at("driver"))
    except ConfigError as exc:
        item.add(exc)
        return None
    if spec.guest is None:
        item.problem("driver", f'"{name}" cannot share a line', "give its devices a link of their own")
        return None
    # The bits on a converter's wire are the converter's business: there the keys only say what it must be set to.
    left_out = () if serial else _HOW_BITS_STAND
    own = {key: value for key, value in item.raw.items() if key not in (*left_out, *_WHERE_IT_LEADS, "driver")}
    try:
        return GuestSettings(spec, spec.parse({**line, **own}, item.where))
    except ConfigError as exc:
        item.add(exc)
        return None


def _note_devices(item: Table, guest: GuestSettings, devices: dict[str, str]) -> None:
    for planned in guest.spec.plan(guest.config) if guest.spec.plan is not None else ():
        if (first := devices.setdefault(planned.device, item.where)) != item.where:
            item.problem("devices", f'"{planned.device}" is a device of {first} too', "give each device its own id")


def _one_speed(link: Table, speeds: Mapping[str, Mapping[str, object]]) -> None:
    """Note protocols that want a converter set in two ways: it has one setting, which nobody here can change."""
    first = next(iter(speeds), "")
    for where, speed in speeds.items():
        for key in _HOW_BITS_STAND:
            mine, other = speed.get(key), speeds[first].get(key)
            if key in speed and key in speeds[first] and mine != other:
                found = f"{key} {mine}, and {other} at {first}: a converter has one setting for all"
                link.add(ConfigError(f"{where}.{key}", found, "set the devices alike, or give each speed a converter"))


def line_of(guest: GuestSettings) -> SerialSettings | None:
    """Return how the serial line is set for a protocol; ``None`` behind a converter."""
    transport = guest.transport
    return transport if isinstance(transport, SerialSettings) else None
