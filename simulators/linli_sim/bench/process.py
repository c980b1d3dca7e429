"""What the kernel says of a running process (Linux, ``/proc``)."""

import os
import re
from pathlib import Path
from typing import Final

from linli_sim.bench import CannotRun

_PROC: Final = Path("/proc")
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


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
    match = _PEAK.search(_read(pid, "status"))
    if match is None:
        raise CannotRun(f"/proc/{pid}/status names no VmHWM; run this on Linux")
    return int(match[1]) * 1024


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError as exc:
        raise CannotRun(f"process {pid} cannot be looked at ({exc}); Linux and a running process are needed") from exc
