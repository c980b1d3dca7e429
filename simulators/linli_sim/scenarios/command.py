"""``linli-sim scenario NAME``: the devices of a scenario, over Modbus TCP, telling its story by the clock."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Final

from linli_core.catalogue import LANGUAGES
from linli_core.errors import ConfigError
from linli_core.instant import Instant
from linli_sim.cli import Subparsers
from linli_sim.modbus import wall_clock
from linli_sim.modbus_server import ModbusServer
from linli_sim.scenarios.devices import devices_of
from linli_sim.scenarios.listed import SCENARIOS
from linli_sim.scenarios.story import Scenario

LIST: Final = "list"


def find_scenario(name: str, where: str) -> Scenario:
    """Return a scenario by its name; :class:`ConfigError` where there is none."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ConfigError(where, f"no scenario is called {name!r}", f"choose one of {', '.join(SCENARIOS)}")
    return scenario


def listing() -> str:
    """Return every scenario with its titles in both languages, one a line."""
    width = max(len(name) for name in SCENARIOS)
    return "\n".join(
        "  ".join((scenario.name.ljust(width), *(scenario.title(lang) for lang in LANGUAGES)))
        for scenario in SCENARIOS.values()
    )


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim scenario``."""
    parser = subparsers.add_parser("scenario", help="the devices of a scenario, over Modbus TCP")
    parser.add_argument("name", metavar="NAME", help=f"which one; {LIST} shows all")
    parser.add_argument("--start", type=int, metavar="MICROSECONDS", help="when its story begins (default: now)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument("--port", type=int, default=5025, help="TCP port; 0 for any that is free (default 5025)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story (default 1)")


async def run(args: argparse.Namespace, now: Callable[[], Instant] = wall_clock) -> int:
    """Serve until cancelled."""
    if args.name == LIST:
        print(listing())  # noqa: T201
        return 0
    scenario = find_scenario(args.name, "NAME")
    start = now() if args.start is None else args.start
    devices = devices_of(scenario.tell(start, args.seed))
    server = ModbusServer({number: device.unit for number, device in devices.items()})

    def before(number: int) -> None:
        device = devices.get(number)
        if device is not None:
            device.update(now())

    def hush() -> None:
        """Silence those that tell nothing any more; a server asks before it lets a unit know of the request."""
        for number, device in devices.items():
            silent = not device.update(now())
            (server.faults.silent.add if silent else server.faults.silent.discard)(number)

    server.before = before
    async with server.listen(args.port, args.host) as port, asyncio.TaskGroup() as group:
        print(f"ready on {args.host}:{port}", flush=True)  # noqa: T201
        group.create_task(_repeatedly(hush), name="silences")
    return 0


async def _repeatedly(act: Callable[[], None]) -> None:
    while True:
        act()
        await asyncio.sleep(1.0)
