"""A pseudo-terminal at whose other end devices of several protocols and speeds listen.

Each device hears what is sent at its own speed, and noise when the line is set to another: then it keeps silent, or
answers with noise of its own, as devices do whose receiver lost its step.
"""

import asyncio
import os
import termios
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_SPEEDS: Final = {getattr(termios, f"B{baud}"): baud for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)}
_CHUNK: Final = 4096


@dataclass
class Speaker:
    """One device, or a whole segment of them.

    Attributes:
        baud: The speed it listens at.
        hear: Takes what arrived and returns what it says, one item for each answer.
        noise: What it says when the line is set to another speed.
        missed: How often it heard noise.
    """

    baud: int
    hear: Callable[[bytes], Sequence[bytes]]
    noise: bytes = b""
    missed: int = 0


class SharedPty:
    """The line; ``async with`` opens it.

    Attributes:
        speakers: Who listens.
        heard: Speed and bytes of everything that was sent.
        path: What the gateway opens.
    """

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        self.speakers = tuple(speakers)
        self.heard: list[tuple[int, bytes]] = []
        self.path = ""
        self._ends: tuple[int, int] = (-1, -1)

    async def __aenter__(self) -> Self:
        self._ends = os.openpty()
        for end in self._ends:
            tty.setraw(end)
        self.path = os.ttyname(self._ends[1])
        asyncio.get_running_loop().add_reader(self._ends[0], self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._ends[0])
        for end in self._ends:
            os.close(end)

    def say(self, data: bytes) -> None:
        """Put bytes on the line that nobody asked for."""
        os.write(self._ends[0], data)

    def _receive(self) -> None:
        data = os.read(self._ends[0], _CHUNK)
        baud = _SPEEDS.get(termios.tcgetattr(self._ends[1])[5], 0)
        self.heard.append((baud, data))
        for speaker in self.speakers:
            if speaker.baud == baud:
                answers = speaker.hear(data)
            else:
                speaker.missed += 1
                answers = [speaker.noise] if speaker.noise else []
            for answer in answers:
                os.write(self._ends[0], answer)
