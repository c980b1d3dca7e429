"""A database server from Debian's packages, run in a folder of its own for as long as it is needed."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linli_core.errors import LinliError

READY_S: Final = 60
"""Seconds within which it must answer."""

_LOOK_S: Final = 0.1
_END_S: Final = 30


class PeerFailed(LinliError):
    """The peer did not start, or did not answer."""


def find_program(name: str) -> str | None:
    """Return a server's path, the system's or what ``make setup`` unpacked; ``None`` where there is none."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.prefix) / "servers" / "usr" / "bin"))


@contextmanager
def running(command: Sequence[str], folder: Path, health: str) -> Iterator[int]:
    """Run a server until the block ends; yields its process once it answers.

    Args:
        command: Its program and arguments.
        folder: Its home; what it says goes into ``log`` there.
        health: An address at which it answers when it is ready.

    Raises:
        PeerFailed: It did not answer in time.
    """
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)})  # noqa: S603 - found on PATH
        try:
            if not _answers(server, health):
                said = log.read_text("utf-8", "replace")[-500:]
                raise PeerFailed(f"{Path(command[0]).name} did not start within {READY_S} s: {said}")
            yield server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_END_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answers(server: subprocess.Popen[bytes], health: str) -> bool:
    """Wait until a server answers; ``False`` if it ended, or did not in time."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=1):  # noqa: S310 - our own
                return True
        except OSError:
            time.sleep(_LOOK_S)
    return False
