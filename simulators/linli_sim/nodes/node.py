"""One node on the unix port: the real program, with pins, flash and battery that whoever runs it moves."""

import asyncio
import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linli_sim.nodes.vm import CheckFailed, environment, part, unix

CUT: Final = 9
"""Exit status of a node whose power was cut."""
RESTART: Final = 3
"""Exit status of one that wants to start another program."""
_PARTS: Final = ("lib", "node", "desktop")


@dataclass
class SimNode:
    """A node as a process; its flash stays in its folder over its lives.

    Attributes:
        folder: Holds ``node.json``, ``keys/``, the flash and what the node said.
        config: Its configuration.
        uid: The board's own name.
        heap: Bytes of heap it may have.
        compiled: Folder of compiled modules, and ``node.py``, that it runs instead of the sources.
        environ: More of its environment: ``LOG_BLOCKS``, of how many blocks of flash its log is made.
    """

    folder: Path
    config: dict[str, Any]
    uid: str = "d0d0"
    heap: str = "512k"
    compiled: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _pump: asyncio.Task[None] | None = field(default=None, init=False)
    _said: list[str] = field(default_factory=list, init=False)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)

    @property
    def said(self) -> list[str]:
        """What it has said in this life."""
        return list(self._said)

    async def start(self) -> None:
        """Switch it on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "node.json").write_text(json.dumps(self.config), encoding="utf-8")
        machine, program, beside = unix(), [str(part("desktop") / "node.py")], None
        if self.compiled is not None:
            # A module's path is kept in memory: so it is as short as on a board, ``files`` for ``/run``.
            beside, program = self.compiled.parent, ["-m", "node"]
            environ = {**os.environ, "MICROPYPATH": f".frozen:{self.compiled.name}"}
        else:
            environ = environment(_PARTS)
        self._said.clear()
        self._process = await asyncio.create_subprocess_exec(
            *machine.argv, "-X", f"heapsize={self.heap}",
            *program, str(self.folder.absolute()), self.uid,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=beside, env={**environ, **self.environ}, start_new_session=True,
        )  # fmt: skip
        self._pump = asyncio.create_task(self._listen(self._process), name=f"node[{self.folder.name}]")
        await self.until("ready")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with (self.folder / "node.log").open("ab", buffering=0) as log:
            async for line in process.stdout:
                log.write(line)
                async with self._news:
                    self._said.append(line.decode(errors="replace").rstrip())
                    self._news.notify_all()
        await process.wait()
        async with self._news:
            self._news.notify_all()

    async def until(self, text: str) -> None:
        """Return once it has said something; raise :class:`CheckFailed` if it ends before."""
        await self.until_like(f"^{re.escape(text)}$")

    async def until_like(self, pattern: str) -> None:
        """Return once it has said something that matches."""
        assert self._process is not None
        process = self._process

        def said() -> bool:
            return any(re.search(pattern, line) for line in self._said)

        async with self._news:
            await self._news.wait_for(lambda: said() or process.returncode is not None)
        if not said():
            raise CheckFailed(f"the node ended with {process.returncode} before it said {pattern!r}:\n{self._tail()}")

    async def until_again(self, text: str, known: int) -> None:
        """Return once it has said something more often than ``known``; raise :class:`CheckFailed` if it ends before."""
        assert self._process is not None
        process = self._process
        async with self._news:
            await self._news.wait_for(lambda: self._said.count(text) > known or process.returncode is not None)
        if self._said.count(text) <= known:
            raise CheckFailed(f"the node ended with {process.returncode} before it said {text!r}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self._said[-20:])

    async def tell(self, line: str) -> None:
        """Move a pin, pulse, battery: see ``firmware/desktop/linli_desktop/board.py``."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(f"{line}\n".encode())
            await self._process.stdin.drain()

    async def wait(self) -> int:
        """Return its exit status once it has ended."""
        assert self._process is not None
        assert self._pump is not None
        code = await self._process.wait()
        await self._pump
        return code

    async def end(self) -> dict[str, Any]:
        """Stop it in good order, and return what it says of itself at the end."""
        await self.tell("end")
        code = await self.wait()
        if code:
            raise CheckFailed(f"the node ended with {code}:\n{self._tail()}")
        found: dict[str, Any] = json.loads(self._said[-1])
        return found

    async def kill(self) -> None:
        """Cut its power between two bytes of flash."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.kill()
        await self.wait()
