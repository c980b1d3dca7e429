"""A gateway's log to be tested: its messages, its clock, and its file as others find it."""

import random
from pathlib import Path

from linli_edge.outbox import Message, OutboxLimits
from linli_edge.outbox.message import NORMAL

EAGER = OutboxLimits(group_delay=0, retry_delay=1)
NOISE = random.Random(7).randbytes(5000)
"""What cannot be compressed: bounds are counted in bytes on disk."""

TEXT = b'[{"n":"meter-1/active_power","u":"W","v":1500.5},{"n":"meter-1/voltage.l1","u":"V","v":230.1}]'


class SteppedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


def telemetry(
    body: bytes = b'[{"n":"m/x","v":1}]', *, priority: int = NORMAL, at: int = 0, readings: int = 1
) -> Message:
    return Message("telemetry", body, priority, at, at, readings)


def flip(path: Path, body: bytes, offset: int) -> None:
    """Flip one bit of a body where it lies in the file."""
    content = bytearray(path.read_bytes())
    content[content.index(body) + offset] ^= 0x10
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def asides(path: Path) -> list[Path]:
    return list(path.parent.glob("*.damaged*"))


def made(path: Path) -> Path:
    path.parent.mkdir()
    return path
