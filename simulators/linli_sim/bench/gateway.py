"""A gateway of a benchmark: the real sender of the log protocol, over a connection of its own.

Its log is a number: a message's body is made when it is sent, and again if it must be sent again. So what a broker
drops, or a platform that is held up, costs time and no reading, as with any gateway.
"""

import asyncio
import time
from collections.abc import Callable

from linli_core.instant import DAY, SECOND
from linli_core.log import LogState, Sender
from linli_core.log.account import Book, enter
from linli_core.wire.messages import Account, Status, decode_ack, encode_message
from linli_core.wire.topics import Channel, topic
from linli_sim.bench.live import EPOCH, Connection


class Gateway:
    """A gateway that keeps a log of messages alike, each of so many readings.

    Args:
        name: The gateway.
        readings: In each message.
        moment: Of a message, seconds since 1970.
        body: A message.
    """

    def __init__(
        self, name: str, readings: int, moment: Callable[[int], int], body: Callable[[str, int, int], bytes]
    ) -> None:
        self.name = name
        self._readings = readings
        self._moment = moment
        self._body = body
        self._held = 0
        self._book: Book = {}
        self._starts = 0
        self._said = 0
        self._boot = ""
        self._telemetry = topic(name, Channel.TELEMETRY)
        self._sender = Sender(LogState(EPOCH))
        self._connection = Connection(name)

    @property
    def backlog(self) -> int:
        """Messages that are not acknowledged."""
        return self._sender.backlog()

    @property
    def sent_again(self) -> int:
        """Messages that were sent more than once since the connection began."""
        return self._sender.offered_again

    def log(self, messages: int) -> None:
        """Make so many messages more durable."""
        for seq in range(self._held + 1, self._held + messages + 1):
            day = self._moment(seq) * SECOND // DAY
            enter(self._book, day, (self._readings, 0, 0, self._readings, 1))
        self._held += messages
        self._sender.appended(self._held - messages + 1, self._held)

    async def open(self, port: int) -> None:
        """Start, connect to a broker on a loopback port, and say so; what was logged by then is a backlog."""
        acked = tuple(self._sender.acked.ranges())
        self._sender = Sender(LogState(EPOCH, self._held + 1, acked=acked))
        self._starts += 1
        self._boot = f"boot-{self._starts}"
        self._connection = Connection(self.name)
        await self._connection.open(port, [topic(self.name, Channel.ACK)])
        self._sender.connected(_micros())
        self._said = 0
        self.say()

    def say(self) -> None:
        """Say how far the log and its book are, as gateways do now and then."""
        self._said += 1
        days = {day: (line[0], line[1], line[2], line[3], line[4]) for day, line in self._book.items()}
        status = Status(
            self.name,
            "online",
            EPOCH,
            1,
            self._held + 1,
            boot_id=self._boot,
            number=self._said,
            account=Account(self._held, days),
        )
        self._connection.publish(topic(self.name, Channel.STATUS), encode_message(status), retain=True)

    async def take(self) -> None:
        """Wait for an ack, or until something is to be sent again, and send what may be sent."""
        wake = self._sender.next_retry()
        limit = None if wake is None else max(0.01, (wake - _micros()) / 1e6)
        try:
            async with asyncio.timeout(limit):
                for message in await self._connection.messages():
                    ack = decode_ack(message.payload)
                    # A retained one answers the start before.
                    if ack.boot_id == self._boot:
                        self._sender.ack(ack, _micros())
        except TimeoutError:
            pass
        self.send()
        await self._connection.writer.drain()

    async def until_acknowledged(self) -> None:
        """Send until all that was logged is acknowledged."""
        while self.backlog:
            await self.take()

    def send(self) -> None:
        """Send what may be sent now."""
        while (seq := self._sender.next_to_send(_micros())) is not None:
            self._connection.publish(self._telemetry, self._body(self.name, seq, self._moment(seq)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.writer.close()


def _micros() -> int:
    return time.monotonic_ns() // 1000
