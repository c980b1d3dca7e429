"""The community's programs as child processes: start, wait until ready, stop, kill, start again.

Used by the demo and by ``tests/system``. Every child is asked to die with its parent (Linux), writes to a log file of
its own, and says on a line of its output when it is ready.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import random
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from linli_core.errors import LinliError
from linli_sim.waiting import PATIENCE

_PR_SET_PDEATHSIG: Final = 1
_TAIL_LINES: Final = 20
_PORTS: Final = range(20_000, 32_768)
_TRIES: Final = 500
_DICE: Final = random.SystemRandom()
"""Not the generator that a seeded run shares: two of those would take the same ports."""


class ProgramFailed(LinliError):
    """A program ended before it was ready, or was not ready in time; the text holds the end of its log."""


class _Handed:
    """The ports that were handed out to this process: a byte of a file each, locked until it ends.

    So two test runs side by side never get the same, not even while a program that had it is about to start again.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._file: int | None = None

    def take(self, port: int) -> bool:
        """Take a port; tell whether nobody has it."""
        if self._file is None:
            path = Path(tempfile.gettempdir()) / f"linli-ports-{os.getuid()}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if port in self._taken:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self._taken.add(port)
        return True


_HANDED: Final = _Handed()


def free_ports(count: int) -> list[int]:
    """Return loopback TCP ports that nothing uses, each handed out once; the caller binds them.

    They lie below the range the system itself hands out, so no outgoing connection and no server on port 0 takes one
    while a program that had it is down and about to start again.
    """
    ports: list[int] = []
    for port in _DICE.sample(_PORTS, _TRIES):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if _HANDED.take(port):
                ports.append(port)
        if len(ports) == count:
            return ports
    raise ProgramFailed(f"{_TRIES} ports of {_PORTS} were tried and too few are free; end what listens there")


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


def command(script: str) -> str:
    """Return the path of one of Linli's commands, installed beside the running Python."""
    path = Path(sys.executable).parent / script
    return str(path) if path.exists() else script


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Program:
    """One program of the community.

    Attributes:
        name: For logs and errors.
        argv: Command line.
        log: File its output is appended to.
        ready: Pattern of the line that says it is ready; ``None``: ready once started.
        limit: Seconds it may take to become ready.
        environment: Added to ours.
    """

    name: str
    argv: Sequence[str]
    log: Path
    ready: str | None = None
    limit: float = PATIENCE
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _pump: asyncio.Task[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process's id; only while it has been started."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> str:
        """Start the program and return the line that said it was ready (empty without a pattern)."""
        assert not self.running, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *self.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            env={**os.environ, **self.environment} if self.environment else None,
            # Ctrl-C in the terminal reaches the parent only, which ends its children in good order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self._process = process
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._pump = asyncio.create_task(self._copy_output(process, ready), name=f"output[{self.name}]")
        if self.ready is None:
            return ""
        try:
            async with asyncio.timeout(self.limit):
                return await ready
        except TimeoutError as exc:
            await self.kill()
            raise ProgramFailed(f"{self.name} was not ready within {self.limit:g} s:\n{self.tail()}") from exc

    async def _copy_output(self, process: asyncio.subprocess.Process, ready: asyncio.Future[str]) -> None:
        assert process.stdout is not None
        pattern = re.compile(self.ready) if self.ready is not None else None
        with self.log.open("ab", buffering=0) as log:
            async for line in process.stdout:
                log.write(line)
                text = line.decode(errors="replace").rstrip()
                if pattern is not None and not ready.done() and pattern.search(text):
                    ready.set_result(text)
        code = await process.wait()
        if not ready.done():
            ready.set_exception(ProgramFailed(f"{self.name} ended with {code} before it was ready:\n{self.tail()}"))
            if pattern is None:
                ready.exception()  # nobody waits for it

    def tail(self) -> str:
        """Return the last lines of the program's log."""
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    async def wait(self) -> int:
        """Wait until the program ends by itself and return its exit code."""
        assert self._process is not None
        code = await self._process.wait()
        await self._drain()
        return code

    async def stop(self, limit: float = 60.0) -> int:
        """Ask the program to end (SIGTERM), wait, kill it after ``limit`` seconds; return its exit code."""
        if self._process is None:
            return 0
        if self.running:
            self._process.terminate()
            try:
                async with asyncio.timeout(limit):
                    await self._process.wait()
            except TimeoutError:
                return await self.kill()
        await self._drain()
        return self._process.returncode or 0

    async def kill(self) -> int:
        """SIGKILL: no last words."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        await self._drain()
        return code

    async def _drain(self) -> None:
        if self._pump is not None:
            await self._pump
            self._pump = None
