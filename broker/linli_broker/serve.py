"""Run an engine as a child: until it ends by itself, or somebody ends us."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

from linli_broker import probe
from linli_broker.engine import Plan
from linli_broker.ports import check_free
from linli_broker.settings import Listener, Settings
from linli_core.errors import LinliError

Say = Callable[[str], None]
"""Tells the operator one line."""

READY_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0
_PROBE_SECONDS: Final = 5.0
_PROBE_PAUSE: Final = 0.02
_FOLLOW_SECONDS: Final = 0.5
_WATCH_FAILURES: Final = 3
_ENDED_BY_SIGNAL: Final = 128
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound


class EngineFailed(LinliError):
    """The engine never answered."""


class _Outcome(Enum):
    """Why a watch over the engine is over."""

    ENDED = "ended"
    STOPPED = "stopped"
    SILENT = "silent"


class Broker:
    """One engine, from its start to its end.

    Args:
        settings: Checked settings.
        plan: How to start the engine.
        say: Takes the ready line and notices.
        reread: Returns the plan of the settings as they are by then; called on SIGHUP.
        watch_seconds: How often an engine that is watched is asked whether it still answers.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        say: Say,
        *,
        reread: Callable[[], Plan],
        watch_seconds: float = 5.0,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._say = say
        self._plan_again = reread
        self._watch_seconds = watch_seconds
        self._stop = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._seen: list[tuple[int, ...]] = []

    def stop(self) -> None:
        """End the engine in good order; what SIGTERM does."""
        self._stop.set()

    async def run(self) -> int:
        """Write the engine's files, run it, and return its exit code: 0 if SIGTERM or SIGINT ended us.

        An engine that ends by itself is not started again: our exit code is its own (128 + n for signal n), and
        whoever supervises us decides. One that lives and answers nobody, no supervisor would notice: it is killed and
        started again, and that is said.

        Raises:
            ConfigError: An address cannot be bound.
            EngineFailed: The engine did not come up.
        """
        for number, listener in enumerate(self._settings.listeners):
            check_free(listener, f"listeners[{number}].address")
        self._plan.write()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reread)
        for notice in self._plan.notices:
            self._say(notice)
        while True:
            process = self._process = await self._start()
            try:
                outcome = await self._live(process)
            finally:
                await _end(process)
            if outcome is not _Outcome.SILENT:
                return 0 if outcome is _Outcome.STOPPED else self._exit_code(process)
            self._say(f"{self._plan.engine} lives and answers nobody; starting it again")

    async def _start(self) -> asyncio.subprocess.Process:
        self._seen = self._states()
        # A session of its own: Ctrl-C in the terminal reaches us only, and we end the engine in good order.
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "linli_broker.tied", str(os.getpid()), *self._plan.argv,
            stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    async def _live(self, process: asyncio.subprocess.Process) -> _Outcome:
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(process.wait(), name=f"{self._plan.engine} ends")
            stopped = group.create_task(self._stop.wait(), name="told to stop")
            ready = group.create_task(self._until_ready(), name=f"{self._plan.engine} is ready")
            await asyncio.wait({ended, stopped, ready}, return_when=asyncio.FIRST_COMPLETED)
            came_up = ready.done() and ready.result()
            if came_up and not ended.done():
                addresses = ", ".join(_shown(listener) for listener in self._settings.listeners)
                self._say(f"ready on {addresses} ({self._plan.engine})")
                watch = self._until_silent() if self._plan.watched else self._stop.wait()
                silent = group.create_task(watch, name=f"{self._plan.engine} answers")
                followed = group.create_task(self._follow(), name="files change")
                await asyncio.wait({ended, stopped, silent}, return_when=asyncio.FIRST_COMPLETED)
                silent.cancel()
                followed.cancel()
            outcome = _Outcome.STOPPED if stopped.done() else _Outcome.ENDED if ended.done() else _Outcome.SILENT
            for task in (ended, stopped, ready):
                task.cancel()
        if outcome is _Outcome.SILENT and not came_up:
            raise EngineFailed(
                f"{self._plan.engine} does not answer on {self._settings.listeners[0].address} after "
                f"{READY_SECONDS:g} s; its own messages stand above"
            )
        return outcome

    async def _until_ready(self) -> bool:
        """Wait until every listener answers; tell whether they did in time."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                for listener in self._settings.listeners:
                    await _until_it_answers(listener)
        except TimeoutError:
            return False
        return True

    async def _until_silent(self) -> None:
        """Return once a listener has failed to answer several times in a row."""
        failures = 0
        while failures < _WATCH_FAILURES:
            await asyncio.sleep(self._watch_seconds / (_WATCH_FAILURES if failures else 1))
            answers = [await _answers(listener) for listener in self._settings.listeners]
            failures = 0 if all(answers) else failures + 1

    async def _follow(self) -> None:
        """Have the engine read again what others change: whoever gives a board its key cannot be asked for a signal."""
        while self._plan.followed:
            await asyncio.sleep(_FOLLOW_SECONDS)
            found = self._states()
            if found != self._seen:
                self._seen = found
                self._reread()

    def _states(self) -> list[tuple[int, ...]]:
        return [_state(file) for file in self._plan.followed]

    def _reread(self) -> None:
        engine = self._plan.engine
        if not self._plan.rereads or self._process is None:
            self._say(f"{engine} cannot read its settings again while it runs; restart linli-broker")
            return
        try:
            self._plan_again().write()
            self._process.send_signal(signal.SIGHUP)
        except (LinliError, OSError) as exc:
            self._say(f"the settings stay as they were: {exc}")
            return
        self._say(f"{engine} reads its access rules again; listeners and limits change at the next start")

    def _exit_code(self, process: asyncio.subprocess.Process) -> int:
        code = process.returncode or 0
        if code < 0:
            self._say(f"{self._plan.engine} was ended by signal {-code} ({signal.Signals(-code).name})")
            return _ENDED_BY_SIGNAL - code
        self._say(f"{self._plan.engine} ended with exit code {code}; its own messages stand above")
        return code or 1


async def _until_it_answers(listener: Listener) -> None:
    while True:
        if await _answers(listener):
            return
        await asyncio.sleep(_PROBE_PAUSE)


async def _answers(listener: Listener) -> bool:
    host = _EVERYWHERE.get(listener.host, listener.host)
    if not listener.is_open:
        return await probe.listens(host, listener.port, limit=_PROBE_SECONDS)
    return await probe.accepts(host, listener.port, version=listener.mqtt, limit=_PROBE_SECONDS)


def _shown(listener: Listener) -> str:
    if listener.shared_keys:
        return f"{listener.address} with shared keys"
    return f"{listener.address} with TLS" if listener.tls else listener.address


def _state(file: Path) -> tuple[int, ...]:
    """Return what differs once a file has been written or replaced."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the engine to end, and make it."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
