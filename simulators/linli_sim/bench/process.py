"""What the kernel says of a running process (Linux, ``/proc``)."""

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from linli_sim.bench import CannotRun

_PROC: Final = Path("/proc")
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_NOW: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_LOOK_EVERY_S: Final = 0.2


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used so far, user and system, all threads.

    Raises:
        CannotRun: There is no such process, or no ``/proc``.
    """
    # The second field is the program's name in parentheses and may hold anything; fields 14 and 15 are the times.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_bytes(pid: int) -> int:
    """Return the most memory a process has held resident at any time so far.

    Raises:
        CannotRun: There is no such process, or no ``/proc``.
    """
    return _memory(pid, _PEAK)


def rss_bytes(pid: int) -> int:
    """Return the memory a process holds resident now; raises as :func:`peak_rss_bytes` does."""
    return _memory(pid, _NOW)


class Watch:
    """Looks at a process' memory while something else goes on: is it flat, or does it grow?"""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[int] = []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._seen.append(rss_bytes(self._pid))
            await asyncio.sleep(_LOOK_EVERY_S)

    def quarters_mb(self) -> list[int]:
        """Return the most that was seen in each quarter of the time, in megabytes; less if there were few looks."""
        size = -(-len(self._seen) // 4)
        return [max(self._seen[at : at + size]) // 1_000_000 for at in range(0, len(self._seen), size or 1)]


def _memory(pid: int, what: re.Pattern[str]) -> int:
    match = what.search(_read(pid, "status"))
    if match is None:
        raise CannotRun(f"/proc/{pid}/status does not tell the memory held; run this on Linux")
    return int(match[1]) * 1024


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError as exc:
        raise CannotRun(f"process {pid} cannot be looked at ({exc}); Linux and a running process are needed") from exc
