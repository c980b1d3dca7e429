"""What stands in bytes that were no answer to us: other frames, and noise. Pure.

Looked at only where something unexpected has come, so it may take its time: every byte may begin a frame, and its
checksum decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

SHORTEST = 4
"""Bytes of the shortest RTU frame: unit, function, checksum."""


@dataclass(frozen=True, slots=True)
class Overheard:
    """What was in a run of bytes.

    Attributes:
        frames: Unit id and PDU of each frame with a right checksum.
        noise: Runs of bytes that belong to no frame.
        foreign: Answers under the right transaction id and the wrong unit id.
    """

    frames: tuple[tuple[int, bytes], ...] = ()
    noise: int = 0
    foreign: int = 0


def rtu_frames(data: bytes, sound: Callable[[bytes], bool]) -> Overheard:
    """Return what stands in bytes of an RTU line; ``sound`` tells whether a frame's checksum is right."""
    frames: list[tuple[int, bytes]] = []
    place = noise = loose = 0
    while place <= len(data) - SHORTEST:
        end = next((place + length for length in _lengths(data, place) if sound(data[place : place + length])), 0)
        if not end:
            place += 1
            continue
        noise += place > loose
        frames.append((data[place], data[place + 1 : end - 2]))
        place = loose = end
    return Overheard(tuple(frames), noise + (len(data) > loose))


def _lengths(data: bytes, place: int) -> Iterator[int]:
    """Yield how long a frame that begins here may be, as far as it is all there (V1.1b3, §6 and §7)."""
    function, third, room = data[place + 1], data[place + 2], len(data) - place
    possible: tuple[int, ...] = ()
    if function in {1, 2, 3, 4}:
        possible = (5 + third, 8)
    elif function in {5, 6}:
        possible = (8,)
    elif function in {15, 16}:
        possible = (8, 9 + data[place + 6]) if room > 6 else ()
    elif function & 0x80:
        possible = (5,)
    yield from (length for length in possible if length <= room)
