"""``linli-sim wmbus``: a receiver of radio meters behind a TCP port, telegrams by our own encoder, one a line."""

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final, Protocol

from linli_core.instant import Instant
from linli_edge.ciphers import AES
from linli_sim.cli import Subparsers
from linli_sim.wmbus_meters import Air, RadioMeter, make_radio_meters

PORT: Final = 6000
_LISTENERS: Final = 16


class Sends(Protocol):
    """What a receiver can hear: meters of ours, or recordings."""

    def round(self, now: Instant, /) -> Iterator[str]:
        """Yield the lines of one round."""
        ...


class Receiver:
    """A receiver that writes what it hears to whoever is connected.

    Attributes:
        air: What it hears.
        every: Seconds from one round to the next.
    """

    def __init__(self, air: Sends, every: float) -> None:
        self.air = air
        self.every = every
        self._writers: set[asyncio.StreamWriter] = set()
        self._somebody = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[int]:
        """Serve; yield the port (a free one for 0)."""
        server = await asyncio.start_server(self._serve, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in tuple(self._writers):
                writer.close()
            await server.wait_closed()

    async def hear(self) -> None:
        """Write a round of telegrams to everybody, again and again, as long as somebody is there."""
        while True:
            await self._somebody.wait()
            lines = "".join(f"{line}\n" for line in self.air.round(wall_clock())).encode()
            for writer in tuple(self._writers):
                writer.write(lines)
            await asyncio.sleep(self.every)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= _LISTENERS:
            writer.close()
            return
        self._writers.add(writer)
        self._somebody.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                continue
        self._writers.discard(writer)
        if not self._writers:
            self._somebody.clear()
        writer.close()


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("wmbus", help="a receiver of radio meters behind a TCP port")
    parser.add_argument("--port", type=int, default=PORT, help="TCP port; 0 for a free one (default %(default)s)")
    parser.add_argument("--meters", type=_count, default=6, help="how many, 1 to 500 (default %(default)s)")
    parser.add_argument("--every", type=seconds, default=5.0, help="seconds between telegrams (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same meters (default %(default)s)")


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    meters = make_radio_meters(args.meters, args.seed, wall_clock())
    receiver = Receiver(Air(meters, AES, args.seed), args.every)
    async with receiver.listen(args.port) as port:
        print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
        print(json.dumps({meter.identity.number: _described(meter) for meter in meters}), flush=True)  # noqa: T201
        await receiver.hear()
    return 0


def _described(meter: RadioMeter) -> dict[str, str]:
    return {"protection": meter.protection.value, "key": meter.key.hex()}


def wall_clock() -> Instant:
    """Return the present instant."""
    return time.time_ns() // 1000


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 500:
        raise argparse.ArgumentTypeError("1 to 500 meters")
    return number


def seconds(text: str) -> float:
    """Return the seconds between rounds that a word of the command line says."""
    number = float(text)
    if not 0.05 <= number <= 3600:
        raise argparse.ArgumentTypeError("0.05 to 3600 seconds")
    return number
