"""Commands as people start them: real processes on pseudo-terminals and sockets of a line that is sick or well."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest

from linli_sim.processes import command


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Coroutine[None, None, Ended]]


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
