"""``linli-sim modbus``: electricity meters behind one Modbus TCP port, each a household of its own.

What a meter measures follows a daily curve; what it counts is the integral of what it measured. The same seed and the
same clock give the same values. Several units can be told to misbehave.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, SECOND, Instant
from linli_core.model import Phase
from linli_edge.drivers.modbus import device_profile
from linli_edge.drivers.modbus.registers import MappedPoint
from linli_sim.cli import Subparsers
from linli_sim.loadcurve import Household
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import Faults, ModbusServer
from linli_sim.modbus_values import Values, fill, store

_REFRESH: Final = SECOND // 5
"""A meter computes new values five times a second, however often it is asked."""

_LEGS: Final = (Phase.L1, Phase.L2, Phase.L3)
_PAIRS: Final = (Phase.L12, Phase.L23, Phase.L31)


class SimulatedMeter:
    """A household and the registers of its meter.

    Attributes:
        household: The model.
        unit: The registers.
    """

    def __init__(self, entries: tuple[MappedPoint, ...], seed: int, started: Instant, utc_offset: float = 8.0) -> None:
        """Make a meter.

        Args:
            entries: Register map, from a profile.
            seed: Of the household.
            started: Present instant.
            utc_offset: Hours of local time ahead of UTC; the daily curve follows local time.
        """
        phases = 3 if any(entry.phase in {Phase.L2, Phase.L3} for entry in entries) else 1
        self.household = Household(seed, phases=phases)
        self.unit = Unit()
        self._entries = entries
        self._offset = round(utc_offset * HOUR)
        self._at = started - SECOND
        fill(self.unit, entries)
        self.update(started)

    def update(self, now: Instant) -> None:
        """Bring registers up to an instant; nothing happens more often than the meter refreshes."""
        elapsed = now - self._at
        if elapsed < _REFRESH:
            return
        self._at = now
        self.household.step(elapsed / SECOND, (now + self._offset) % DAY / HOUR)
        store(self.unit, self._entries, meter_values(self.household))


def meter_values(household: Household) -> Values:
    """Return what a meter shows of a household, by quantity and phase, in the vocabulary's units."""
    values: dict[tuple[str, Phase | None], float] = {
        ("active_power", None): household.power,
        ("reactive_power", None): household.reactive,
        ("apparent_power", None): household.apparent,
        ("power_factor", None): household.power / household.apparent,
        ("frequency", None): household.frequency,
        ("energy_import", None): household.energy,
        ("energy_export", None): 0.0,
        ("reactive_energy_import", None): household.reactive_energy,
        ("reactive_energy_export", None): 0.0,
    }
    if len(household.phases) == 1:
        values["voltage", None] = household.phases[0].voltage
        values["current", None] = household.phases[0].current
        return values
    for leg, phase in zip(_LEGS, household.phases, strict=True):
        values["voltage", leg] = phase.voltage
        values["current", leg] = phase.current
        values["active_power", leg] = phase.power
        values["reactive_power", leg] = phase.reactive
        values["apparent_power", leg] = phase.apparent
        values["power_factor", leg] = phase.power_factor
        values["energy_import", leg] = phase.energy
        values["energy_export", leg] = 0.0
    first, second, third = household.phases
    for pair, (one, other) in zip(_PAIRS, ((first, second), (second, third), (third, first)), strict=True):
        # Two phasors 120° apart.
        values["voltage", pair] = (one.voltage**2 + other.voltage**2 + one.voltage * other.voltage) ** 0.5
    return values


def entries_of(profile: str) -> tuple[MappedPoint, ...]:
    """Return a profile's register map with all ratios 1; raise ``ConfigError``."""
    return tuple(entry.resolved({}, None) for entry in device_profile.SHELF.load(profile, "--profile").entries)


def meters(
    profile: str, count: int, seed: int, now: Callable[[], Instant], *, first: int = 1
) -> tuple[dict[int, Unit], Callable[[int], None]]:
    """Return units from ``first`` on, and what brings one of them up to date.

    Args:
        profile: Name of a device profile.
        count: How many meters.
        seed: Meter *n* gets a seed of its own from it.
        now: The clock.
        first: Unit id of the first meter.

    Raises:
        ConfigError: There is no such profile.
    """
    entries = entries_of(profile)
    started = now()
    simulated = {unit: SimulatedMeter(entries, seed * 1009 + unit, started) for unit in range(first, first + count)}

    def update(unit: int) -> None:
        simulated[unit].update(now())

    return {unit: meter.unit for unit, meter in simulated.items()}, update


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim modbus``."""
    parser = subparsers.add_parser("modbus", help="electricity meters with daily load curves, over Modbus TCP")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument("--port", type=int, default=5020, help="TCP port; 0 for any that is free (default 5020)")
    parser.add_argument("--meters", type=int, default=3, help="how many, as units 1, 2, 3… (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same households (default 1)")
    parser.add_argument("--profile", default="eastron-sdm630", help="device profile (default eastron-sdm630)")
    parser.add_argument("--rtu", action="store_true", help="RTU frames over TCP instead of Modbus TCP")
    parser.add_argument("--terminal", action="store_true", help="RTU on a pseudo-terminal as well; prints its path")
    add_fault_arguments(parser)


def add_fault_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`faults_of` reads."""
    parser.add_argument("--silent", type=int, action="append", default=[], metavar="UNIT", help="a unit says nothing")
    parser.add_argument("--drop", type=int, action="append", default=[], metavar="UNIT", help="a unit hangs up")
    parser.add_argument(
        "--delay", type=_pair(float), action="append", default=[], metavar="UNIT=SECONDS", help="a unit takes its time"
    )
    parser.add_argument(
        "--exception", type=_pair(int), action="append", default=[], metavar="UNIT=CODE", help="a unit refuses"
    )


def _pair(kind: Callable[[str], float]) -> Callable[[str], tuple[int, float]]:
    def parse(text: str) -> tuple[int, float]:
        unit, equals, value = text.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{text!r} is no UNIT=VALUE")
        try:
            return int(unit), kind(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no UNIT=VALUE") from None

    return parse


def faults_of(args: argparse.Namespace) -> Faults:
    """Return the faults that the command line asks for."""
    exceptions: Mapping[int, int] = {unit: int(code) for unit, code in args.exception}
    return Faults(set(args.silent), dict(args.delay), dict(exceptions), set(args.drop))


def wall_clock() -> Instant:
    """Return the present instant."""
    return time.time_ns() // 1000


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    if not 1 <= args.meters <= 247:
        raise ConfigError("--meters", f"found {args.meters}", "choose 1 to 247: a line has no more unit ids")
    units, update = meters(args.profile, args.meters, args.seed, wall_clock)
    server = ModbusServer(units, faults_of(args), update)
    async with server.listen(args.port, args.host, rtu=args.rtu) as port:
        print(f"linli-sim modbus: {args.meters} × {args.profile}, units 1 to {args.meters}", flush=True)  # noqa: T201
        if args.terminal:
            async with server.on_terminal() as path:
                print(f"linli-sim modbus: RTU on {path}", flush=True)  # noqa: T201
                return await _serve(args.host, port)
        return await _serve(args.host, port)


async def _serve(host: str, port: int) -> int:
    print(f"ready on {host}:{port}", flush=True)  # noqa: T201
    await asyncio.get_running_loop().create_future()
    return 0
