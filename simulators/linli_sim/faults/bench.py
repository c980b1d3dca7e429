"""One installation, the faults of a plan, and the tally: the shell around plan and count."""

import asyncio
import contextlib
import json
import math
import random
import sqlite3
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import duckdb

from linli_core.instant import DAY, SECOND, Instant
from linli_platform.backup.keys import make_identity
from linli_sim.audit import body_of
from linli_sim.faults.numbered import POINTS, POINTS_TOML, served
from linli_sim.faults.plan import Fault, Plan, Planned
from linli_sim.faults.preload import DISK_FULL, READ_ONLY, Preload
from linli_sim.faults.proxy import Proxy, Way
from linli_sim.faults.tally import CORRUPTION, REFUSED, RETENTION, Faulted, Loss, Tally, tally
from linli_sim.processes import Program, ProgramFailed, command
from linli_sim.rig import Rig
from linli_sim.waiting import NeverCame

_BATCHING: Final = SECOND
"""Longest way of a reading from the wire to the disk: the pack's wait, the group's, and a busy machine's."""
_AFTER_TROUBLE: Final = 3 * SECOND
"""How long after a disk healed messages may still wait in memory: the outbox asks it again once a second."""
_LIVES: Final = 60.0
"""Seconds within which readings must flow again once the faults of a lane have ended."""
_DRAINS: Final = 60.0
_GIVEN_UP: Final = 10.0
"""Seconds where a bug is planted: what it took never comes."""
_SLOW_DISK: Final = 20_000
_PAGE: Final = 4096
_BLIND: Final = 1000
"""How many messages are looked for beyond those known where not even the newest one can be read."""

_CAUSES: Final[Mapping[Fault, tuple[str, ...]]] = {
    Fault.GATEWAY_DAMAGE: (CORRUPTION,),
    # A log that was damaged, or a clock a day away, meets a platform that was set back or lives on another day.
    Fault.PLATFORM_RESTORE: (RETENTION,),
    Fault.GATEWAY_CLOCK: (REFUSED,),
    Fault.PLATFORM_CLOCK: (REFUSED,),
}


class Bench:
    """One installation under faults.

    Attributes:
        findings: What went wrong beside the count: a program that ended by itself, a second worker that was let in.
        done: Faults so far.
    """

    def __init__(self, folder: Path, seed: int, keep: str = "7 d", bug: str = "") -> None:
        """Prepare.

        Args:
            folder: For everything; empty.
            seed: Of what the faults leave to chance beside the plan.
            keep: How long the gateway's log keeps what was acknowledged.
            bug: One of :data:`linli_sim.faults.planted.BUGS`, to be planted.

        Raises:
            NotBuilt: There is no C compiler.
        """
        self.findings: list[str] = []
        self.done = 0
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._folder = folder
        self._begun = time.monotonic()
        self._until = math.inf
        for name in ("backups", "gateway", "platform"):
            (folder / name).mkdir()
        key = folder / "key"
        self._settings = (
            f'[backup]\ntarget = "{folder}/backups"\nrecipient = "{make_identity(key)}"\nidentity_file = "{key}"\n'
        )
        self._rig = Rig(folder, settings=self._settings)
        self._uplink = Proxy(lambda: self._rig.port)
        self._line = Proxy(lambda: self._rig.port)
        self._gateway_faults = Preload(folder / "gateway", folder / "gateway-faults")
        self._platform_faults = Preload(folder / "platform", folder / "platform-faults")
        self._bug = bug
        self._keep = keep
        self._book = folder / "served"
        self._kills: list[tuple[Instant, Instant]] = []
        self._offsets: list[tuple[Instant, int]] = []
        self._held: dict[int, set[int]] = defaultdict(set)
        self._trouble_from: Instant = 0
        self._trouble_to: Instant = 0
        self._causes = set[str]()

    async def run(self, plan: Plan, limit: float = math.inf) -> Tally:
        """Start everything, let the faults come, heal all, carry what is left, and count.

        Args:
            plan: The faults.
            limit: Seconds after which no further one begins.
        """
        self._until = time.monotonic() + limit
        rig = self._rig
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(rig.stop)
            await stack.enter_async_context(self._uplink.listen())
            await stack.enter_async_context(self._line.listen())
            rig.uplink_port, rig.platform_port = self._uplink.port, self._line.port
            await self._start_all(stack)
            for lane in (plan.gateway, plan.platform):
                self._causes.update(cause for planned in lane for cause in _CAUSES.get(planned.fault, ()))
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._lane(plan.gateway, self._revive_gateway))
                lanes.create_task(self._lane(plan.platform, self._revive_platform))
            await self._settle()
        return await asyncio.to_thread(self._count)

    async def _start_all(self, stack: contextlib.AsyncExitStack) -> None:
        rig = self._rig
        device = Program(
            "device",
            [sys.executable, "-m", "linli_sim.faults.numbered", "--book", str(self._book)],
            self._folder / "device.log",
            ready=r"ready on 127\.0\.0\.1:\d+",
        )
        stack.push_async_callback(device.stop)
        port = int((await device.start()).rpartition(":")[2])
        rig.configure(
            f'[outbox]\nmax_age = "{self._keep}"\n'
            f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n'
            f'[[links.devices]]\nid = "numbered"\nunit = 1\ninterval = "100 ms"\ntimeout = "10 s"\n{POINTS_TOML}',
            packs='pack_interval = "200 ms"',
        )
        rig.gateway.environment = self._gateway_faults.environment
        rig.platform.environment = self._platform_faults.environment
        programs = {
            "delete-at-puback": (rig.gateway,),
            "acknowledge-before-commit": (rig.platform, rig.gateway),
        }
        for program in programs.get(self._bug, ()):
            name = Path(program.argv[0]).name
            planted = (sys.executable, "-m", "linli_sim.faults.planted", self._bug, name)
            program.argv = [*planted, *program.argv[1:]]
        await rig.broker.start()
        await rig.start_platform()
        await rig.gateway.start()
        await rig.until_more_stored(10 * POINTS, _LIVES)
        await self._back_up()

    async def _lane(self, lane: tuple[Planned, ...], revive: Callable[[], Awaitable[None]]) -> None:
        apply = self._faults()
        for planned in lane:
            await asyncio.sleep(planned.pause)
            await revive()
            if time.monotonic() > self._until:
                return
            begun = time.monotonic()
            await apply[planned.fault](planned)
            self.done += 1
            self._say(f"{planned.fault} {time.monotonic() - begun:.1f} s")

    def _faults(self) -> Mapping[Fault, Callable[[Planned], Awaitable[None]]]:
        rig, up, line = self._rig, self._uplink, self._line
        there = self._platform_faults
        return {
            Fault.GATEWAY_KILL: lambda planned: self._kill_gateway(planned, power=False),
            Fault.GATEWAY_POWER: lambda planned: self._kill_gateway(planned, power=True),
            Fault.GATEWAY_CUT: lambda planned: self._network(up, Way.CUT, planned),
            Fault.GATEWAY_BLACK_HOLE: lambda planned: self._network(up, Way.BLACK_HOLE, planned),
            Fault.GATEWAY_HALF_OPEN: lambda planned: self._network(up, Way.HALF_OPEN, planned),
            Fault.GATEWAY_SLOW: lambda planned: self._network(up, Way.SLOW, planned),
            Fault.GATEWAY_DISK_FULL: lambda planned: self._gateway_disk(planned, error=DISK_FULL),
            Fault.GATEWAY_READ_ONLY: lambda planned: self._gateway_disk(planned, error=READ_ONLY),
            Fault.GATEWAY_SLOW_DISK: lambda planned: self._gateway_disk(planned, pause=_SLOW_DISK),
            Fault.GATEWAY_CLOCK: self._gateway_clock,
            Fault.GATEWAY_DAMAGE: self._damage,
            Fault.PLATFORM_KILL: lambda planned: self._kill_platform(planned, power=False),
            Fault.PLATFORM_POWER: lambda planned: self._kill_platform(planned, power=True),
            Fault.PLATFORM_CUT: lambda planned: self._network(line, Way.CUT, planned),
            Fault.PLATFORM_BLACK_HOLE: lambda planned: self._network(line, Way.BLACK_HOLE, planned),
            Fault.PLATFORM_HALF_OPEN: lambda planned: self._network(line, Way.HALF_OPEN, planned),
            Fault.PLATFORM_SLOW: lambda planned: self._network(line, Way.SLOW, planned),
            Fault.PLATFORM_DISK_FULL: lambda planned: self._disk(there, planned, error=DISK_FULL),
            Fault.PLATFORM_READ_ONLY: lambda planned: self._disk(there, planned, error=READ_ONLY),
            Fault.PLATFORM_SLOW_DISK: lambda planned: self._disk(there, planned, pause=_SLOW_DISK),
            Fault.PLATFORM_CLOCK: self._platform_clock,
            Fault.PLATFORM_RESTORE: self._restore,
            Fault.PLATFORM_SECOND: self._second_worker,
            Fault.BROKER_KILL: lambda planned: self._kill_broker(planned, rig.broker),
            Fault.BROKER_FORGET: self._forget_broker,
        }

    # What can be done to the gateway

    async def _kill_gateway(self, planned: Planned, *, power: bool) -> None:
        await self._gateway_dies()
        if power:
            await asyncio.to_thread(self._gateway_faults.cut_power, planned.share)
        await asyncio.sleep(planned.seconds * planned.share)
        await self._start_gateway()

    async def _gateway_dies(self) -> None:
        await self._rig.gateway.kill()
        now = _now()
        begin = now - _BATCHING
        if self._trouble_from and now - self._trouble_to < _AFTER_TROUBLE:
            begin = min(begin, self._trouble_from - _BATCHING)
        self._kills.append((begin, now))

    async def _start_gateway(self) -> None:
        self._gateway_faults.begin()
        await self._rig.gateway.start()

    async def _revive_gateway(self) -> None:
        if not self._rig.gateway.running:
            self._finding("the gateway ended by itself", self._rig.gateway)
            await self._start_gateway()

    async def _gateway_disk(self, planned: Planned, error: int = 0, pause: int = 0) -> None:
        if _now() - self._trouble_to > _AFTER_TROUBLE:
            self._trouble_from = _now()
        await self._disk(self._gateway_faults, planned, error, pause)
        self._trouble_to = _now()

    async def _gateway_clock(self, planned: Planned) -> None:
        offset = DAY if planned.share < 0.5 else -DAY
        for moved in (offset, 0):
            self._offsets.append((_now(), moved))
            self._gateway_faults.clock(moved)
            await asyncio.sleep(planned.seconds if moved else 0)

    async def _damage(self, planned: Planned) -> None:
        """Write noise over a page of the log while the gateway is away."""
        await self._gateway_dies()
        await asyncio.to_thread(self._spoil, planned.share)
        await self._start_gateway()

    def _spoil(self, share: float) -> None:
        log = self._rig.outbox
        self._note_held(log)
        pages = max(1, log.stat().st_size // _PAGE)
        start = _PAGE * int(share * pages)
        with log.open("r+b") as file:
            if self._chance.random() < 0.5:
                file.seek(start)
                file.write(self._chance.randbytes(_PAGE))
                return
            # One bit: of a card that forgets nobody tells but a checksum.
            place = min(start + self._chance.randrange(_PAGE), log.stat().st_size - 1)
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes((byte ^ 1 << self._chance.randrange(8),)))

    def _note_held(self, log: Path) -> None:
        """Note which numbers are in which message, before they may be gone."""
        connection = sqlite3.connect(log)
        try:
            last = connection.execute("SELECT max(seq) FROM message").fetchone()[0] or 0
        except sqlite3.DatabaseError:
            last = max(self._held, default=0) + _BLIND
        for seq in range(1, last + 1):
            # One by one: behind a page that was damaged before, others read.
            with contextlib.suppress(sqlite3.DatabaseError, ValueError, zlib.error):
                query = "SELECT kind, body FROM message WHERE kind & 1 = 0 AND seq = ?"
                for kind, body in connection.execute(query, (seq,)):
                    self._held[seq].update(_numbers(body_of(kind, body)))
        connection.close()

    # What can be done to the platform

    async def _kill_platform(self, planned: Planned, *, power: bool) -> None:
        await self._rig.platform.kill()
        if power:
            await asyncio.to_thread(self._platform_faults.cut_power, planned.share)
        await asyncio.sleep(planned.seconds * planned.share)
        await self._start_platform()

    async def _start_platform(self) -> None:
        self._platform_faults.begin()
        await self._rig.start_platform()

    async def _revive_platform(self) -> None:
        if not self._rig.platform.running:
            self._finding("the platform ended by itself", self._rig.platform)
            await self._start_platform()

    async def _platform_clock(self, planned: Planned) -> None:
        self._platform_faults.clock(DAY if planned.share < 0.5 else -DAY)
        await asyncio.sleep(planned.seconds)
        self._platform_faults.clock(0)

    async def _restore(self, _planned: Planned) -> None:
        """Put an older backup in the platform's place, and make the next one."""
        await self._rig.platform.kill()
        await self._platform_command("restore", "--replace")
        await self._start_platform()
        await self._back_up()

    async def _back_up(self) -> None:
        await self._platform_command("backup")

    async def _platform_command(self, name: str, *words: str) -> None:
        # Where the platform runs it is asked, for the store is its own; for that the command is told where it listens.
        config = self._folder / "asking.toml"
        listen = f'[api]\nlisten = "{self._rig.url.removeprefix("http://")}"\n'
        config.write_text(self._settings + listen, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(command("linli-platform"), name, *words, "--config", str(config), "--data", str(self._rig.data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            self.findings.append(f"linli-platform {name} failed: {said.decode(errors='replace').strip()[-300:]}")

    async def _second_worker(self, _planned: Planned) -> None:
        """Start another worker on the same shard: it must not be let in."""
        second = Program("second", self._rig.platform.argv, self._folder / "second.log", ready=r"ready on http://")
        try:
            await second.start()
        except ProgramFailed:
            return
        self._finding("a second worker was let in beside the first", second)
        await second.stop()

    async def _kill_broker(self, planned: Planned, broker: Program) -> None:
        await broker.kill()
        await asyncio.sleep(planned.seconds * planned.share)
        await broker.start()

    async def _forget_broker(self, planned: Planned) -> None:
        await self._rig.broker.kill()
        for part in (self._folder / "broker", self._folder / "broker-anew"):
            await asyncio.to_thread(_empty, part)
        await asyncio.sleep(planned.seconds * planned.share)
        await self._rig.broker.start()

    # What can be done to either

    async def _network(self, proxy: Proxy, way: Way, planned: Planned) -> None:
        proxy.become(way)
        await asyncio.sleep(planned.seconds)
        proxy.become(Way.OPEN)

    async def _disk(self, preload: Preload, planned: Planned, error: int = 0, pause: int = 0) -> None:
        preload.disk(error, pause)
        await asyncio.sleep(planned.seconds)
        preload.disk()

    # The end

    async def _settle(self) -> None:
        rig = self._rig
        await self._revive_gateway()
        await self._revive_platform()
        try:
            await rig.until_more_stored(10 * POINTS, _LIVES)
        except NeverCame as exc:
            self.findings.append(f"readings do not flow any more: {exc}")
        await rig.gateway.stop()
        await asyncio.to_thread(self._note_held, rig.outbox)
        try:
            await rig.drain(_GIVEN_UP if self._bug else _DRAINS)
        except TimeoutError:
            self.findings.append("the log did not drain")
        await rig.platform.stop()

    def _count(self) -> Tally:
        numbers = {first + place: at for first, at in served(self._book) for place in range(POINTS)}
        with duckdb.connect(str(self._rig.data / "store.duckdb"), read_only=True) as store:
            rows = store.execute(
                "SELECT value, count(*) FROM readings WHERE value IS NOT NULL GROUP BY value"
            ).fetchall()
            twofold = "SELECT count(*) - count(DISTINCT (series, time)) FROM readings"
            (twice,) = store.execute(twofold).fetchone() or (0,)
        stored = Counter({int(value): count for value, count in rows})
        found = tally(
            numbers,
            stored,
            twice,
            _ledger(self._rig.data / "registry.sqlite"),
            Faulted(tuple(self._kills), frozenset(self._causes), tuple(self._offsets), self._held),
        )
        found.unexplained += len(self.findings)
        found.examples += self.findings
        return found

    def _finding(self, text: str, program: Program) -> None:
        self.findings.append(f"{text}: {program.tail()[-600:]}")

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:7.1f} s  {self.done:4}  {text}", file=sys.stderr, flush=True)  # noqa: T201


def _now() -> Instant:
    return time.time_ns() // 1000


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        path.unlink() if path.is_file() else path.rmdir()


def _numbers(body: bytes) -> list[int]:
    """Return the numbers in one message of the log."""
    return [int(record["v"]) for record in json.loads(body) if "v" in record]


def _ledger(registry: Path) -> list[Loss]:
    connection = sqlite3.connect(f"{registry.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            'SELECT epoch, "first", "last", cause, observed_from, observed_to, readings FROM loss'
        ).fetchall()
    finally:
        connection.close()
    return [Loss(*row) for row in rows]
