"""MQTT 3.1.1 as a subscriber needs it: bytes in, packets out; no I/O.

Why not aiomqtt or paho, which the gateways use: a platform takes in every gateway's messages, and the client is the
largest part of a message's cost. Measured here on one core, QoS 1 with PUBACK: aiomqtt 130 to 170 µs, paho 70 to
105 µs, this codec under an asyncio protocol 4 to 8 µs (``docs/adr/0010-platform-mqtt-codec.md``).

Clauses are those of the OASIS standard "MQTT Version 3.1.1".
"""

from typing import Final

import msgspec

from linli_core.errors import ProtocolError

CONNECT_REFUSALS: Final = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker does not take this client id",
    3: "the broker is not available",
    4: "user name or password is wrong",
    5: "not authorised",
}
"""Table 3.1, CONNACK return codes."""

PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"

_PACKET_ID_END: Final = 65_536
_MAX_HEADER: Final = 2 + 65_535 + 2


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A message; ``payload`` holds only the beginning of its ``size`` bytes if it was longer than allowed."""

    topic: bytes
    payload: bytes
    retain: bool
    size: int


class Connack(msgspec.Struct, frozen=True, gc=False):
    """The broker's answer to CONNECT; ``code`` 0 is yes."""

    code: int
    session_present: bool


class Suback(msgspec.Struct, frozen=True, gc=False):
    """The broker's answer to SUBSCRIBE: granted QoS, or 128 for no, for each filter."""

    codes: bytes


class Pingresp(msgspec.Struct, frozen=True, gc=False):
    """The broker is alive."""


Packet = Publish | Connack | Suback | Pingresp

_PINGRESP: Final = Pingresp()


def _length(size: int) -> bytes:
    """§2.2.3, Remaining Length."""
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(out)


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def connect(client_id: str, *, keep_alive: int, clean: bool, username: str = "", password: str = "") -> bytes:
    """Return CONNECT (§3.1)."""
    flags = 0x02 if clean else 0
    body = _text(client_id.encode())
    if username:
        flags |= 0x80
        body += _text(username.encode())
        if password:
            flags |= 0x40
            body += _text(password.encode())
    head = _text(b"MQTT") + bytes((4, flags)) + keep_alive.to_bytes(2, "big")
    return b"\x10" + _length(len(head) + len(body)) + head + body


def subscribe(packet_id: int, filters: list[str], qos: int) -> bytes:
    """Return SUBSCRIBE (§3.8)."""
    body = packet_id.to_bytes(2, "big") + b"".join(_text(item.encode()) + bytes((qos,)) for item in filters)
    return b"\x82" + _length(len(body)) + body


def publish(topic: str, payload: bytes, *, packet_id: int, retain: bool) -> bytes:
    """Return PUBLISH at QoS 1 (§3.3)."""
    head = _text(topic.encode()) + packet_id.to_bytes(2, "big")
    return bytes((0x33 if retain else 0x32,)) + _length(len(head) + len(payload)) + head + payload


class PacketIds:
    """Packet identifiers, 1 to 65535 in turn (§2.3.1)."""

    def __init__(self) -> None:
        self._next = 1

    def take(self) -> int:
        """Return the next identifier."""
        taken = self._next
        self._next = taken + 1 if taken + 1 < _PACKET_ID_END else 1
        return taken


class Decoder:
    """Takes a broker's bytes, in chunks of any size, and returns packets and the PUBACKs to send back.

    A PUBLISH longer than ``max_packet`` is not kept: its beginning comes out once it has passed, so that it can be
    counted and refused while the connection lives on.
    """

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max(max_packet, _MAX_HEADER + 4096)
        self._buffer = b""
        self._skipping = 0
        self._long: Publish | None = None

    def receive(self, data: bytes) -> tuple[list[Packet], bytes]:
        """Return the packets completed by these bytes, and the answers owed for them.

        Raises:
            ProtocolError: The bytes are no MQTT 3.1.1; the connection is of no more use.
        """
        packets: list[Packet] = []
        answers: list[bytes] = []
        if self._skipping:
            data = self._skip(data, packets)
        buffer = self._buffer + data if self._buffer else data
        position, end = 0, len(buffer)
        while end - position >= 2:
            body, size = _remaining_length(buffer, position)
            if size < 0:
                break
            if body + size > end:
                if size > self._max_packet and end - body >= _MAX_HEADER:
                    self._begin_skip(buffer, position, body, size, answers)
                    position = end
                break
            head = buffer[position]
            if head & 0xF0 == 0x30:
                packets.append(_publish(buffer, head, body, size, answers))
            else:
                packet = _control(buffer, head, body, size)
                if packet is not None:
                    packets.append(packet)
            position = body + size
        self._buffer = buffer[position:]
        return packets, b"".join(answers)

    def _begin_skip(self, buffer: bytes, position: int, body: int, size: int, answers: list[bytes]) -> None:
        head = buffer[position]
        if head & 0xF0 != 0x30:
            raise ProtocolError(f"a packet of type {head >> 4} with {size} bytes")
        beginning = buffer[body:]
        part = _publish(beginning, head, 0, len(beginning), answers)
        self._long = Publish(part.topic, part.payload, part.retain, part.size + size - len(beginning))
        self._skipping = size - len(beginning)

    def _skip(self, data: bytes, packets: list[Packet]) -> bytes:
        passed = min(self._skipping, len(data))
        self._skipping -= passed
        if not self._skipping and self._long is not None:
            packets.append(self._long)
            self._long = None
        return data[passed:]


def _remaining_length(buffer: bytes, position: int) -> tuple[int, int]:
    """Return where a packet's body starts and its length; length -1 if more bytes are needed (§2.2.3)."""
    size = shift = 0
    for index in range(position + 1, min(position + 5, len(buffer))):
        byte = buffer[index]
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return index + 1, size
        shift += 7
    if shift == 28:
        raise ProtocolError("a remaining length of more than four bytes")
    return 0, -1


def _publish(buffer: bytes, head: int, body: int, size: int, answers: list[bytes]) -> Publish:
    """Return a PUBLISH (§3.3) and note the PUBACK it asks for (§3.4)."""
    end = body + size
    topic_end = body + 2 + (buffer[body] << 8 | buffer[body + 1]) if size >= 2 else end + 1
    start = topic_end
    qos = head & 0x06
    if qos:
        start += 2
    if start > end:
        raise ProtocolError("a PUBLISH shorter than its topic")
    if qos == 0x02:
        answers.append(b"\x40\x02" + buffer[topic_end:start])
    elif qos:
        raise ProtocolError("a PUBLISH at QoS 2, which was not asked for")
    return Publish(buffer[body + 2 : topic_end], buffer[start:end], bool(head & 1), end - start)


def _control(buffer: bytes, head: int, body: int, size: int) -> Packet | None:
    kind = head >> 4
    if kind == 2 and size == 2:
        return Connack(buffer[body + 1], bool(buffer[body] & 1))
    if kind == 9 and size >= 3:
        return Suback(buffer[body + 2 : body + size])
    if kind == 13 and size == 0:
        return _PINGRESP
    if kind == 4 and size == 2:
        return None  # PUBACK: an ack that is lost is published again with the next
    raise ProtocolError(f"a packet of type {kind} with {size} bytes, which no broker sends here")
