"""``python -m linli_broker.tied PROGRAM ARGUMENT…``: become a program that does not outlive whoever started it.

Without it, killing ``linli-broker`` with SIGKILL would leave the engine behind with the port and half the
settings. Linux only (``prctl(2)``, PR_SET_PDEATHSIG survives ``execve``); elsewhere the program just runs.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Replace this process by the program."""
    starter = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:  # it died before we asked
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted; the program is our own choice


if __name__ == "__main__":
    main()
