"""A line without time: what a master writes is heard by simulated meters at once, and their answers arrive."""

from collections.abc import Sequence

from linli_edge.transport.memory import MemoryTransport
from linli_sim.line.stations import Station


class StationTransport(MemoryTransport):
    """A transport with simulated meters at its other end.

    Attributes:
        stations: Who hears.
        echo: Whether the converter sends back what it is told.
        late: Answers are kept back until the next request (a meter that takes too long).
        before: Bytes that arrive in front of the next answer, once.
    """

    def __init__(self, stations: Sequence[Station]) -> None:
        super().__init__()
        self.stations = list(stations)
        self.echo = False
        self.late = False
        self.before = b""
        self._kept: list[bytes] = []

    async def write(self, data: bytes) -> None:
        """Let every meter hear the bytes; what they say arrives at once."""
        await super().write(data)
        if self.echo:
            self.feed(data)
        answers = [answer for station in self.stations if (answer := station.hear(data))]
        heard = merged(answers)
        if self.late:
            kept, self._kept = self._kept, [heard]
            self.feed(*kept)
            return
        self.feed(self.before + heard)
        self.before = b""


def merged(answers: Sequence[bytes]) -> bytes:
    """Return what is heard when meters speak at once: of two bits the 0 wins."""
    if not answers:
        return b""
    heard = bytearray(max(answers, key=len))
    for answer in answers:
        for place, byte in enumerate(answer):
            heard[place] &= byte
    return bytes(heard)
