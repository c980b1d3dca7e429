"""Commands as people start them, on pseudo-terminals and sockets of a line that is sick or well.

``run`` starts a real process. Where it matters how long an answer takes, ``run_here`` runs the same command in a
thread, and what it waits for on the running loop, whose clock jumps: no device is late there because the machine is
busy.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from linli_edge.cli import main
from linli_sim.jumping_loop import running_loop
from linli_sim.processes import command


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Coroutine[None, None, Ended]]
T = TypeVar("T")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``linli-edge`` in a home of its own; ``interrupt`` is awaited, then Ctrl-C is pressed."""

    async def start(*words: object, interrupt: asyncio.Event | None = None, typed: str = "") -> Ended:
        environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "LC_ALL": "C.UTF-8"}
        process = await asyncio.create_subprocess_exec(
            command("linli-edge"),
            *map(str, words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            if interrupt is not None:
                await interrupt.wait()
                process.send_signal(signal.SIGINT)
            out, err = await process.communicate(typed.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    return start


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``linli-edge`` here, by the clock of the running loop; otherwise as ``run`` does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    async def start(*words: object, interrupt: asyncio.Event | None = None) -> Ended:
        loop = running_loop()

        async def going(work: Coroutine[Any, Any, T]) -> T:
            with loop.going():
                return await work

        def carried_out(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(going(work), loop).result()

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "run", carried_out)
            running = loop.run_in_executor(None, main, [*map(str, words)])
            if interrupt is not None:
                await interrupt.wait()
                signal.raise_signal(signal.SIGINT)
            status = await running
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    return start
