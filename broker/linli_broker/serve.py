"""Run an engine as a child: until it ends by itself, or somebody ends us."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from linli_broker import probe
from linli_broker.engine import Plan
from linli_broker.ports import check_free
from linli_broker.settings import Listener, Settings
from linli_core.errors import LinliError

Say = Callable[[str], None]
"""Tells the operator one line."""

READY_SECONDS: Final = 10.0
_PROBE_SECONDS: Final = 2.0
_PROBE_PAUSE: Final = 0.02
_STOP_SECONDS: Final = 10.0
_EXIT_STARTED_BY_SIGNAL: Final = 128
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound


class EngineFailed(LinliError):
    """The engine ended before it answered, or never answered."""


async def serve(settings: Settings, plan: Plan, say: Say, *, reread: Callable[[], Plan]) -> int:
    """Write the engine's files, run it, and return its exit code: 0 if SIGTERM or SIGINT ended us.

    An engine that ends by itself is not started again: our exit code is its own (128 + n for signal n), and whoever
    supervises us decides.

    Args:
        settings: Checked settings.
        plan: How to start the engine.
        say: Takes the ready line and notices.
        reread: Returns the plan of the settings as they are by then; called on SIGHUP.

    Raises:
        ConfigError: An address cannot be bound.
        EngineFailed: The engine did not come up.
    """
    for number, listener in enumerate(settings.listeners):
        check_free(listener, f"listeners[{number}].address")
    plan.write()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    process = await _start(plan)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reread(process, plan, reread, say))
    try:
        return await _supervise(process, settings, plan, say, stop)
    finally:
        await _end(process)


async def _start(plan: Plan) -> asyncio.subprocess.Process:
    # A session of its own: Ctrl-C in the terminal reaches us only, and we end the engine in good order.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "linli_broker.tied", str(os.getpid()), *plan.argv,
        stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


async def _supervise(
    process: asyncio.subprocess.Process, settings: Settings, plan: Plan, say: Say, stop: asyncio.Event
) -> int:
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(process.wait(), name=f"{plan.engine} ends")
        stopped = group.create_task(stop.wait(), name="told to stop")
        ready = group.create_task(_ready(settings), name=f"{plan.engine} is ready")
        try:
            await asyncio.wait({ended, stopped, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not ended.done():
                if not ready.result():
                    raise EngineFailed(
                        f"{plan.engine} does not answer on {settings.listeners[0].address} after {READY_SECONDS:g} s; "
                        "its own messages stand above"
                    )
                for notice in plan.notices:
                    say(notice)
                say(f"ready on {', '.join(_shown(listener) for listener in settings.listeners)} ({plan.engine})")
                await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                return 0
            return _exit_code(plan, ended.result(), say)
        finally:
            for task in (ended, stopped, ready):
                task.cancel()


async def _ready(settings: Settings) -> bool:
    """Wait until every listener answers; tell whether they did in time."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            for listener in settings.listeners:
                await _until_it_answers(listener)
    except TimeoutError:
        return False
    return True


async def _until_it_answers(listener: Listener) -> None:
    while True:
        if await _answers(listener):
            return
        await asyncio.sleep(_PROBE_PAUSE)


async def _answers(listener: Listener) -> bool:
    host = _EVERYWHERE.get(listener.host, listener.host)
    if listener.tls is not None:
        return await probe.listens(host, listener.port, limit=_PROBE_SECONDS)
    return await probe.accepts(host, listener.port, version=listener.mqtt, limit=_PROBE_SECONDS)


def _shown(listener: Listener) -> str:
    return f"{listener.address} with TLS" if listener.tls else listener.address


def _exit_code(plan: Plan, code: int, say: Say) -> int:
    if code < 0:
        say(f"{plan.engine} was ended by signal {-code} ({signal.Signals(-code).name})")
        return _EXIT_STARTED_BY_SIGNAL - code
    say(f"{plan.engine} ended with exit code {code}; its own messages stand above")
    return code or 1


def _reread(process: asyncio.subprocess.Process, plan: Plan, reread: Callable[[], Plan], say: Say) -> None:
    if not plan.rereads:
        say(f"{plan.engine} cannot read its settings again while it runs; restart linli-broker")
        return
    try:
        reread().write()
    except LinliError as exc:
        say(f"the settings stay as they were: {exc}")
        return
    process.send_signal(signal.SIGHUP)
    say(f"{plan.engine} reads its access rules again; listeners and limits change at the next start")


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
