"""What this machine can say of the time: its boot, its steady clock, its battery-backed clock."""

import time
from pathlib import Path
from typing import Final

from linli_core.instant import SECOND, Instant
from linli_edge.timekeeping import steady_clock

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_RTC: Final = Path("/sys/class/rtc")


def boot_id() -> str:
    """Return what names this boot of the machine; empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def since_boot() -> int:
    """Return microseconds on a clock that is never set and counts on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return steady_clock()


def battery_clock(folder: Path = _RTC) -> Instant | None:
    """Return the time of the RTC that the system's clock was set by at boot; ``None`` where there is none.

    One that the kernel did not take the time from is none: it had no battery, or its time was no time.
    """
    for clock in sorted(folder.glob("rtc*")):
        try:
            if (clock / "hctosys").read_text(encoding="ascii").strip() == "1":
                return int((clock / "since_epoch").read_text(encoding="ascii")) * SECOND
        except (OSError, ValueError):
            continue
    return None
