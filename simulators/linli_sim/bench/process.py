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
_GROWTH: Final = 1.1


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
    """Looks at a process' memory while something else goes on: is it flat, or does it grow?

    Flat is what holds in the last quarter of the time at most a tenth more than in the second: in the first one the
    caches fill.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[int] = []
        self._cpu: list[float] = []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._seen.append(rss_bytes(self._pid))
            self._cpu.append(cpu_seconds(self._pid))
            await asyncio.sleep(_LOOK_EVERY_S)

    @property
    def peak_mb(self) -> float:
        """The most that was seen."""
        return max(self._seen, default=0) / 1e6

    def quarters_mb(self) -> list[int]:
        """Return the most that was seen in each quarter of the time, in megabytes; less if there were few looks."""
        return [max(self._seen[first:end]) // 1_000_000 for first, end in self._quarters()]

    def quarters_cpu(self) -> list[float]:
        """Return the CPU time of each quarter, in seconds."""
        return [self._cpu[min(end, len(self._cpu) - 1)] - self._cpu[first] for first, end in self._quarters()]

    def told(self) -> str:
        """Return both for people."""
        cpu = ", ".join(f"{seconds:.1f}" for seconds in self.quarters_cpu())
        return f"by quarters of the time {', '.join(map(str, self.quarters_mb()))} MB and {cpu} s of CPU"

    def refuse_growth(self) -> None:
        """Refuse a run whose memory is not flat; :class:`CannotRun`."""
        quarters = self.quarters_mb()
        if quarters[-1] > quarters[1] * _GROWTH:
            raise CannotRun(
                f"the figure is void, memory grows by more than a tenth after the second quarter: {self.told()}"
            )

    def _quarters(self) -> list[tuple[int, int]]:
        size = -(-len(self._seen) // 4)
        return [(first, first + size) for first in range(0, len(self._seen), size or 1)]


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
