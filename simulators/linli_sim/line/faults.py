"""What a station on a bus does wrong. Pure: an answer goes in, what is really sent comes out."""

from dataclasses import dataclass
from typing import Final

from linli_sim.modbus_frames import crc

_CRC: Final = 2


@dataclass
class Misbehaviour:
    """What goes wrong with a station's answers; may be changed while the bus runs.

    Attributes:
        silent: It says nothing.
        delay: Seconds it takes more than the line's turnaround: above the asker's patience, the answer is late, and
            falls into whatever the line does by then.
        before, after: Bytes of noise directly before and behind an answer.
        exception: Exception code it answers to everything.
        damaged: Byte of the answer that is sent inverted; -1 for the last.
        unit: Unit id it answers under, with a right checksum.
        cut: Bytes after which the answer ends.
        pause_at, pause: After how many bytes it falls silent, and for how many seconds.
        repeats: How many of its answers it sends a second time in place of the next one: an answer to another request.
    """

    silent: bool = False
    delay: float = 0.0
    before: bytes = b""
    after: bytes = b""
    exception: int = 0
    damaged: int | None = None
    unit: int | None = None
    cut: int | None = None
    pause_at: int = 0
    pause: float = 0.0
    repeats: int = 0

    def parts(self, asked: bytes, answer: bytes) -> list[tuple[float, bytes]]:
        """Return what is sent in place of an RTU answer: seconds of silence before each part, and the part."""
        if self.silent or not answer:
            return []
        if self.exception:
            answer = framed(bytes((asked[0], asked[1] | 0x80, self.exception)))
        if self.unit is not None:
            answer = framed(bytes((self.unit,)) + answer[1:-_CRC])
        if self.damaged is not None:
            changed = bytearray(answer)
            changed[self.damaged] ^= 0xFF
            answer = bytes(changed)
        answer = self.before + answer[: self.cut] + self.after
        if 0 < self.pause_at < len(answer):
            return [(self.delay, answer[: self.pause_at]), (self.pause, answer[self.pause_at :])]
        return [(self.delay, answer)]


def framed(body: bytes) -> bytes:
    """Return an RTU frame with its checksum."""
    return body + crc(body).to_bytes(2, "little")
