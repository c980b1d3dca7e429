"""MQTT 3.1.1, as much of it as a node needs: QoS 0 and 1, one last will, nothing kept by the broker.

:class:`Packets` is the codec and touches nothing; :class:`Client` moves its bytes over an asyncio stream. The client of
micropython-lib (``umqtt.simple``) blocks while it waits, and would keep a valve from being shut; ``mqtt_as`` brings a
Wi-Fi policy of its own and 36 KB.
"""

import struct

from micropython import const

from linli_node.errors import LinkError

_MAX_PACKET = const(8192)
_CONNACK = const(2)
_PUBLISH = const(3)
_PUBACK = const(4)
_SUBACK = const(9)
_PINGRESP = const(13)


def string(text):
    """Return a text as it stands in a packet (§1.5.3)."""
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def packet(head, body):
    """Return a control packet (MQTT 3.1.1 §2.2): type and flags, remaining length, body."""
    length, rest = bytearray(), len(body)
    while True:
        byte, rest = rest % 128, rest // 128
        length.append(byte | 0x80 if rest else byte)
        if not rest:
            return bytes([head]) + length + body


def publish(topic, payload, number=0):
    """Return PUBLISH (§3.3); with a number at QoS 1, else at QoS 0."""
    body = string(topic) + (struct.pack(">H", number) if number else b"") + payload
    return packet(0x32 if number else 0x30, body)


def puback(number):
    """Return PUBACK (§3.4)."""
    return packet(0x40, struct.pack(">H", number))


_PING = const(b"\xc0\x00")
_DISCONNECT = const(b"\xe0\x00")


class Packets:
    """What the broker sends, put together of bytes as they come."""

    def __init__(self):
        self._data = bytearray()

    def feed(self, data):
        """Take bytes; return the packets that are whole, each a tuple that begins with its kind.

        Raises:
            LinkError: This is no MQTT, or too long.
        """
        self._data.extend(data)
        found = []
        while True:
            length = self._length()
            if length is None:
                return found
            start, end = length
            if len(self._data) < end:
                return found
            found.append(_parsed(self._data[0], bytes(self._data[start:end])))
            self._data = self._data[end:]

    def _length(self):
        """Return where the body begins and ends; ``None`` while that is not known (§2.2.3)."""
        value = 0
        for place in range(4):
            if len(self._data) < place + 2:
                return None
            byte = self._data[place + 1]
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if value > _MAX_PACKET:
                    raise LinkError("a packet of " + str(value) + " bytes; " + str(_MAX_PACKET) + " at most")
                return place + 2, place + 2 + value
        raise LinkError("the broker speaks no MQTT")


def _parsed(head, body):
    kind = head >> 4
    try:
        if kind == _CONNACK:
            return ("connack", body[1])
        if kind == _PUBACK:
            return ("puback", struct.unpack(">H", body)[0])
        if kind == _SUBACK:
            return ("suback", struct.unpack(">H", body[:2])[0], max(body[2:]))
        if kind == _PINGRESP:
            return ("pingresp",)
        if kind == _PUBLISH:
            length = struct.unpack(">H", body[:2])[0]
            topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
            if len(body) >= 2 + length and head & 0x06:
                return ("publish", topic, rest[2:], struct.unpack(">H", rest[:2])[0])
            if len(body) >= 2 + length:
                return ("publish", topic, rest, 0)
    except (ValueError, IndexError, UnicodeError):
        pass
    raise LinkError("the broker sent a packet that no broker sends")


class Client:
    """One connection to the gateway's broker, as :func:`linli_app.knocking.greeted` opens it.

    Args:
        take: Called with topic and payload of each message.
    """

    def __init__(self, take):
        self._take = take
        self._reader = self._writer = None
        self._number = 2  # what a greeting ends with
        self._events = Packets()

    def attach(self, reader, writer):
        """Take over the streams to the broker."""
        self._reader, self._writer = reader, writer

    async def send(self, data):
        """Send bytes while it is being opened."""
        self._writer.write(data)
        del data  # while they go out, nobody needs them a second time
        await self._writer.drain()

    async def _sent(self, data):
        """Send bytes once it is open: whoever sends them, what breaks is the connection and not the program."""
        sending = self.send(data)
        del data
        try:
            await sending
        except OSError as exc:
            raise LinkError("the connection broke: " + str(exc)) from None

    async def heard(self):
        """Return the packets that come next; ``None`` at the end."""
        data = await self._reader.read(1024)
        return self._events.feed(data) if data else None

    async def run(self):
        """Take what comes, for ever; raise :class:`LinkError` when the connection ends."""
        while True:
            try:
                found = await self.heard()
            except OSError as exc:
                raise LinkError("the connection broke: " + str(exc)) from None
            if found is None:
                raise LinkError("the broker closed the connection")
            for event in found:
                await self.on(event)

    async def on(self, event):
        """Do what a packet asks for."""
        if event[0] == "publish":
            if event[3]:
                await self._sent(puback(event[3]))
            self._take(event[1], event[2])
        elif event[0] == "suback" and event[2] > 2:
            raise LinkError("the broker lets this node subscribe to nothing: is its name the key's?")

    async def publish(self, topic, *payloads):
        """Hand messages over at QoS 1; that they arrived is what the gateway's own answer tells, not the broker's."""
        packets = []
        for payload in payloads:
            self._number = self._number % 65535 + 1
            packets.append(publish(topic, payload, self._number))
        # In one piece: each by itself would be sealed, sent and woken up for by itself.
        sending = self._sent(packets[0] if len(packets) == 1 else b"".join(packets))
        del payloads, payload, packets
        await sending

    async def ping(self):
        """Show that this end lives."""
        await self._sent(_PING)

    async def close(self, last=b""):
        """End the connection in good order, with a last packet; one that is broken is just dropped."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.write(last + _DISCONNECT)
            await writer.drain()
        except OSError:
            pass
        try:
            writer.close()
            await writer.wait_closed()
        except OSError:
            return
