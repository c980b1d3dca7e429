"""What may be commanded: table ``[commands]``. Nothing, unless it says so."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_core.errors import WriteRefusal, WriteRefused
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Value, parse_point
from linli_edge.config.table import Table

ALWAYS_CONFIRMED: Final = frozenset({"relay_state", "water_valve_state", "gas_valve_state"})
"""Quantities whose writing takes two steps whatever the file says: it cuts a household off, or lets gas flow again."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """One line of the allow-list.

    Attributes:
        device: Id of the device.
        points: Names of its points below the device (``temperature_setpoint``).
        minimum, maximum: Bounds of a number, both included.
        confirm: Whether a second step is asked for.
    """

    device: str
    points: frozenset[str]
    minimum: float = -math.inf
    maximum: float = math.inf
    confirm: bool = True

    def check(self, point: str, value: Value) -> None:
        """Raise ``WriteRefused`` for a number out of bounds, or no number where bounds are given."""
        bounded = math.isfinite(self.minimum) or math.isfinite(self.maximum)
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is None and bounded:
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"{point}: {value!r} is no number")
        if number is not None and not self.minimum <= number <= self.maximum:
            raise WriteRefused(
                WriteRefusal.BAD_VALUE, f"{point}: {number:g} is not within {self.minimum:g} to {self.maximum:g}"
            )


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """Table ``[commands]``; times in microseconds.

    Attributes:
        enabled: Whether anything may be commanded at all.
        remote: Whether the platform may; the person at the gateway may whenever commands are enabled.
        confirm_within: How long a code for the second step holds.
        allow: What may be written.
    """

    enabled: bool = False
    remote: bool = True
    confirm_within: int = 2 * MINUTE
    allow: tuple[Allowed, ...] = ()

    def allowed(self, point_name: str) -> Allowed:
        """Return the line that allows a point; ``WriteRefused`` if none does."""
        device, _, local = point_name.partition("/")
        for line in self.allow:
            if line.device == device and local in line.points:
                return line
        raise WriteRefused(WriteRefusal.NOT_ALLOWED, f"{point_name} is not among what [[commands.allow]] lists")


_LONGEST: Final = 30 * MINUTE


def read_commands(table: Table, devices: Mapping[str, str]) -> CommandSettings:
    """Return the settings in a table.

    Args:
        table: ``[commands]``.
        devices: Where each device of the gateway stands, by id.
    """
    usual = CommandSettings()
    enabled = table.boolean("enabled", usual.enabled)
    allow = tuple(_allowed(line, devices) for line in table.tables("allow"))
    return CommandSettings(
        enabled,
        table.boolean("remote", usual.remote),
        table.duration("confirm_within", usual.confirm_within, minimum=10 * SECOND, maximum=_LONGEST),
        allow,
    )


def _allowed(line: Table, devices: Mapping[str, str]) -> Allowed:
    device = line.ident("device")
    if device and device not in devices:
        line.problem("device", f'no device is called "{device}"', f"known: {', '.join(sorted(devices)) or 'none'}")
    points = line.texts("points")
    if not points:
        line.problem("points", "found none", 'name the points, such as ["temperature_setpoint"]')
    minimum = line.number("minimum", -math.inf)
    maximum = line.number("maximum", math.inf)
    if minimum > maximum:
        line.problem("maximum", f"{maximum:g} is below minimum, {minimum:g}", "exchange the two")
    confirm = line.boolean("confirm", default=True)
    cutting_off = [point for point in points if _quantity(point) in ALWAYS_CONFIRMED]
    if cutting_off and not confirm:
        remedy = "relays and valves of meters always take two steps: leave confirm out"
        line.problem("confirm", f"found false beside {', '.join(cutting_off)}", remedy)
    return Allowed(device, frozenset(points), minimum, maximum, confirm)


def _quantity(local: str) -> str:
    try:
        return parse_point(f"device/{local}").quantity
    except ValueError:
        return ""
