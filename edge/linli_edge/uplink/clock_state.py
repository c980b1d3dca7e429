"""Whether the system's clock is disciplined: asked of the kernel, whichever NTP client serves it."""

import ctypes
from typing import Final

from linli_core.wire.messages import ClockState

TIME_ERROR: Final = 5
"""What ``adjtimex(2)`` returns while the clock is not synchronised."""

_TIMEX_BYTES: Final = 512
"""More than ``struct timex`` takes on any machine; all zero means: change nothing, only tell."""


def kernel_clock_state() -> ClockState:
    """Return how far the clock can be trusted; ``doubtful`` where the kernel does not say."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return ClockState()
    answer = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if answer in {-1, TIME_ERROR}:
        return ClockState()
    return ClockState("trusted", "ntp")
