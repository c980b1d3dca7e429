"""The way of the node's log to the gateway: one MQTT connection, its status first, then what is not acknowledged.

A record counts as delivered when the gateway says so on ``node/{node}/ack``, never before: the broker's own
acknowledgement frees nothing. The gateway answers every status, with the time too; until it has, nothing is sent.
"""

import asyncio
import json

from micropython import const

from linli_app.tasks import begun, ended, outcome
from linli_node import forget
from linli_node.errors import LinkError

_WINDOW = const(8)
"""Records under way at once: what they hold must fit the heap twice."""
_KEEPALIVE_S = const(60)
_LOOK_MS = const(5)
_STATUS_S = const(900)
"""A connection that lasts says its status again so often: the time comes with the answer."""


class Uplink:
    """Carries one node's log.

    Args:
        config: The node's configuration.
        board: Names this board, and opens streams to the gateway.
        log, clock: The node's.
        status: Returns what the node says of itself.
        take: Called with the last part of the topic and the payload of what is not an acknowledgement.
        heard: Called when the gateway has answered for the first time in a connection.
    """

    def __init__(self, config, board, log, clock, *, status, take, heard):
        self._node = config["node"]
        self._answer_s = config["gateway"]["answer_s"]
        self._board = board
        self._log = log
        self._clock = clock
        self._status = status
        self._take_other = take
        self._is_on_battery = config["power"] == "battery"
        self._ready = None
        self._last = b""
        self._send_from(0)
        self._heard = False
        self._time_due = False
        self._news = False
        self._outgoing = []
        self._heard_first = heard

    def wake(self):
        """Say that the log has something new."""
        self._news = True

    def say(self, channel, payload):
        """Send something that is not of the log, as long as there is a connection."""
        self._outgoing.append((channel, payload))
        self._news = True

    def _topic(self, channel):
        return "node/" + self._node + "/" + channel

    def prepare(self):
        """Make ready what a connection begins with, before the radio has joined; return it for :meth:`session`.

        It is alone in a list, from which it is gone once it is sent: nobody holds it as long as the session lasts.
        """
        from linli_app import greeting  # noqa: PLC0415 - let go when it was said

        self._board.prepare()
        known = self._node, self._board.uid, self._log
        said = [greeting.begins(*known, _KEEPALIVE_S, self._status())]
        if self._is_on_battery:
            # Nobody waits for it now; after the gateway's answer the radio would be on for it.
            self._ready, self._last = greeting.ahead(*known, _WINDOW), greeting.ends(*known)
        forget("linli_app.greeting")
        return said

    async def session(self, said, *, until_empty):
        """Connect, deliver, and go on delivering; return once ``until_empty()`` says so and nothing is left.

        Raises:
            LinkError: The connection, or the gateway behind it, is gone.
        """
        from linli_app.knocking import greeted  # noqa: PLC0415 - let go once the connection stands

        self._heard, self._outgoing = False, []
        self._time_due = True
        self._send_from(self._log.acked)
        try:
            client = await greeted(self._board.streams, self._take, said)
        finally:
            del greeted
            forget("linli_app.knocking")
        broken, last = [], b""
        reading = begun(client.run(), broken)
        try:
            last = await self._deliver(client, reading, broken, until_empty)
        finally:
            await ended(reading)
            await client.close(last)
            if not self._is_on_battery:
                # Its place is that of what opens the next one.
                forget("linli_node.senml")

    async def _deliver(self, client, reading, broken, until_empty):  # noqa: C901 - one loop, told from top to bottom
        board, log = self._board, self._log
        tries, said_at, moved_at = 0, board.count(), board.count()
        while True:
            if reading.done():
                outcome(broken)  # raises what ended it
            if said_at is None or board.count() - said_at >= _STATUS_S * 1000:
                self._time_due, said_at = True, board.count()
                said = self._status()
                forget("linli_app.greeting")
                await client.publish(self._topic("status"), said)
                del said
            while self._outgoing:
                channel, payload = self._outgoing.pop(0)
                await client.publish(self._topic(channel), payload)
            if self._heard:
                if log.acked + log.backlog > self._sent:
                    await self._send(client)
                if until_empty() and not log.backlog and not self._outgoing:
                    return self._last
            acked, waits = log.acked, not self._heard or log.backlog
            if not waits:
                moved_at = board.count()
            if not await self._heard_within(self._answer_s if waits else _KEEPALIVE_S // 2, reading):
                await client.ping()
            if self._log.acked != acked:
                tries, moved_at = 0, board.count()
            # New records may come all the time: it is the gateway's answers that are missed.
            elif waits and board.count() - moved_at >= self._answer_s * 1000:
                tries, moved_at = tries + 1, board.count()
                if tries >= 3:
                    raise LinkError("the gateway does not answer")
                # Whatever was under way may be lost: it goes again, and the status before it.
                self._send_from(acked)
                self._heard, said_at = False, None

    async def _heard_within(self, seconds, reading):
        """Wait until there is something to do, the connection's end included; tell whether there was."""
        started = self._board.count()
        # An event and its waiter would take a kilobyte and a half for what a look every few milliseconds does.
        while not self._news and not reading.done():
            if self._board.count() - started >= seconds * 1000:
                return False
            await asyncio.sleep_ms(_LOOK_MS)
        self._news = False
        return True

    def _send_from(self, seq):
        """Send what comes after a number, whatever of it was sent before."""
        self._sent = seq
        self._under_way = []

    async def _send(self, client):
        from linli_node import senml  # noqa: PLC0415 - not before there is a connection: both would be too much

        if self._ready:
            floor = max(self._log.acked, self._sent)
            numbers, packs = senml.made(self._ready, floor, self._clock.time_of)
            self._ready = None
            for seq in numbers:
                self._note_sent(seq)
            if packs:
                await client.publish(self._topic("telemetry"), *packs)
        # Counted, not reckoned from the numbers: what a full log has overwritten leaves a gap of any size in them.
        for seq, since, held in self._log.pending(self._sent):
            if len(self._under_way) >= _WINDOW:
                return
            place = self._log.epoch, seq, since, self._board.uid
            pack = senml.logged(self._node, held, self._clock.time_of, place)
            if pack is None:
                return
            self._note_sent(seq)
            sending = client.publish(self._topic("telemetry"), pack)
            del held, pack
            await sending

    def _note_sent(self, seq):
        self._sent = seq
        self._under_way.append(seq)

    def _take(self, topic, payload):
        channel = topic[topic.rfind("/") + 1 :]
        if channel != "ack":
            self._take_other(channel, payload)
            return
        try:
            ack = json.loads(payload)
            epoch, seq, sent_at = ack["epoch"], ack["seq"], ack.get("sent_at")
        except (ValueError, KeyError, TypeError):
            return
        if epoch != self._log.epoch or not isinstance(seq, int):
            return
        if isinstance(sent_at, int) and self._time_due:
            # The answer to a status that has just been said: it took no time to speak of.
            self._time_due = False
            self._clock.set(sent_at // 1000)
        if seq < self._log.acked:
            self._send_from(seq)
        self._log.ack(seq)
        self._under_way = [each for each in self._under_way if each > self._log.acked]
        if not self._heard:
            self._heard = True
            self._heard_first()
        self._news = True
