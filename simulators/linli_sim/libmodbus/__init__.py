"""Units on Debian's libmodbus: ``slave.c``, compiled where it is needed, as a process that takes commands.

The gateway's client is built on pymodbus's frames; libmodbus is C, older, and by other people. What both agree on is
Modbus, and not one library's idea of it.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

from linli_core.errors import LinliError
from linli_sim.compiled import NotBuilt, compiled
from linli_sim.modbus_registers import Unit
from linli_sim.waiting import PATIENCE


def slave_program(cache: Path | None = None) -> Path:
    """Return the slave's program; raise :class:`~linli_sim.compiled.NotBuilt`."""
    source = (files("linli_sim.libmodbus") / "slave.c").read_bytes()
    return compiled("modbus-slave", source, ("-lmodbus",), "apt-get install gcc libmodbus-dev", cache)


def map_lines(units: Mapping[int, Unit]) -> Iterator[str]:
    """Yield the lines that give the slave what units of ours hold: the same memory on another stack."""
    for number, unit in units.items():
        for table, memory in unit.tables.items():
            for _, run in groupby(enumerate(sorted(memory)), key=lambda pair: pair[1] - pair[0]):
                addresses = [address for _, address in run]
                # A line of the slave's is bounded.
                for first in range(0, len(addresses), 1000):
                    part = addresses[first : first + 1000]
                    values = " ".join(str(memory[address]) for address in part)
                    yield f"{table} {number} {part[0]} {values}"
        yield f"most {number} {unit.most}"


def write_map(path: Path, units: Mapping[int, Unit]) -> Path:
    """Write a file for the slave's ``--map``; return its path."""
    path.write_text("\n".join(map_lines(units)) + "\n", encoding="ascii")
    return path


@dataclass
class LibmodbusSlave:
    """The slave as a process; ``async with`` starts it.

    Attributes:
        units: What the units hold to begin with.
        lines: For each unit that hangs on a serial line: the path of the line's end. Empty: Modbus TCP on loopback.
        more: Further lines of the slave's language (``silent 3 1``).
        port: Where it listens on TCP, once started.
    """

    units: Mapping[int, Unit] = field(default_factory=dict)
    lines: Mapping[int, str] = field(default_factory=dict)
    more: Sequence[str] = ()
    port: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        argv = [str(await asyncio.to_thread(slave_program)), "--commands"]
        if self.lines:
            for unit, path in self.lines.items():
                argv += ["--line", f"{unit}={path}"]
        else:
            argv += ["--tcp", str(self.port)]
        pipe = asyncio.subprocess.PIPE
        # Its standard input ends with this process, and so does it.
        self._process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
        ready = await self._line()
        if not ready.startswith("ready on"):
            raise NotBuilt(f"the slave did not start: {ready or 'see its error output'}")
        if not self.lines:
            self.port = int(ready.rpartition(":")[2])
        await self.tell(*map_lines(self.units), *self.more)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

    async def tell(self, *commands: str) -> None:
        """Have the slave carry out lines of its language; raise ``LinliError`` where it does not know one."""
        for command, said in zip(commands, await self._said(commands), strict=True):
            if said != "ok":
                raise LinliError(f"libmodbus slave: {command!r}: {said}")

    async def requests(self, unit: int) -> int:
        """Return how many requests a unit has seen, answered or not."""
        count = (await self._said([f"count {unit}"]))[0]
        await self._line()
        return int(count.removeprefix("count "))

    async def _said(self, commands: Iterable[str]) -> list[str]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        said = []
        for command in commands:
            process.stdin.write(command.encode("ascii") + b"\n")
            await process.stdin.drain()
            said.append(await self._line())
        return said

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().strip()
