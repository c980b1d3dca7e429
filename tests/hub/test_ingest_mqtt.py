"""The platform's MQTT codec: whole, byte by byte, as truncated prefixes; long messages pass without breaking it."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ProtocolError
from linli_platform.ingest import mqtt
from linli_platform.ingest.mqtt import Connack, Decoder, Packet, PacketIds, Pingresp, Publish, Suback

LIMIT = 80_000


def length(size: int) -> bytes:
    """An encoder of its own, from the algorithm of MQTT 3.1.1 §2.2.3."""
    out = b""
    while True:
        digit = size % 128
        size //= 128
        out += bytes([digit | 128 if size else digit])
        if not size:
            return out


def message(topic: bytes, payload: bytes, packet_id: int | None, *, retain: bool = False) -> bytes:
    body = struct.pack(">H", len(topic)) + topic
    if packet_id is not None:
        body += struct.pack(">H", packet_id)
    body += payload
    return bytes([0x30 | (2 if packet_id is not None else 0) | retain]) + length(len(body)) + body


PUBLISHES = st.lists(
    st.tuples(
        st.binary(max_size=20), st.binary(max_size=300), st.one_of(st.none(), st.integers(1, 65_535)), st.booleans()
    ),
    max_size=6,
)


def feed(decoder: Decoder, chunks: list[bytes]) -> tuple[list[Packet], bytes]:
    packets, answers = [], b""
    for chunk in chunks:
        found, owed = decoder.receive(chunk)
        packets += found
        answers += owed
    return packets, answers


@given(publishes=PUBLISHES, size=st.integers(1, 50))
def test_messages_come_out_however_they_are_cut(
    publishes: list[tuple[bytes, bytes, int | None, bool]], size: int
) -> None:
    wire = b"".join(message(topic, payload, packet, retain=retain) for topic, payload, packet, retain in publishes)
    wanted = [Publish(topic, payload, retain, len(payload)) for topic, payload, _, retain in publishes]
    owed = b"".join(b"\x40\x02" + struct.pack(">H", packet) for _, _, packet, _ in publishes if packet is not None)
    chunks = [wire[start : start + size] for start in range(0, len(wire), size)]
    assert feed(Decoder(LIMIT), [wire]) == (wanted, owed)
    assert feed(Decoder(LIMIT), chunks) == (wanted, owed)


def test_every_prefix_of_an_answer_waits_for_the_rest() -> None:
    for wire, packet in (
        (b"\x20\x02\x01\x00", Connack(0, session_present=True)),
        (b"\x20\x02\x00\x05", Connack(5, session_present=False)),
        (b"\x90\x03\x00\x01\x80", Suback(b"\x80")),
        (b"\xd0\x00", Pingresp()),
        (message(b"a/b", b"xyz", 7), Publish(b"a/b", b"xyz", retain=False, size=3)),
    ):
        for cut in range(len(wire)):
            decoder = Decoder(LIMIT)
            assert decoder.receive(wire[:cut]) == ([], b"")
            assert decoder.receive(wire[cut:])[0] == [packet]
        assert Decoder(LIMIT).receive(wire + wire)[0] == [packet, packet]


@pytest.mark.parametrize("size", [LIMIT + 4096, 200_000, 3_000_000])
@pytest.mark.parametrize("chunk", [1_000, 65_536, 10_000_000])
def test_a_long_message_is_told_and_the_next_one_comes(size: int, chunk: int) -> None:
    payload = b"0123456789" * (size // 10)
    wire = message(b"long", payload, 9) + message(b"next", b"1", None)
    packets, answers = feed(Decoder(LIMIT), [wire[start : start + chunk] for start in range(0, len(wire), chunk)])
    first, second = packets
    assert isinstance(first, Publish)
    assert (first.topic, first.size) == (b"long", len(payload))
    assert payload.startswith(first.payload)
    assert len(first.payload) > 60_000
    assert second == Publish(b"next", b"1", retain=False, size=1)
    assert answers == b"\x40\x02\x00\x09"


@pytest.mark.parametrize(
    "wire",
    [
        b"\x30\xff\xff\xff\xff\x01",  # five length bytes
        b"\x00\x00",
        b"\x10\x00",
        b"\x30\x01\x00",  # no room for a topic
        b"\x30\x04\x00\x09ab",  # a topic longer than the packet
        b"\x32\x03\x00\x01a",  # QoS 1 without a packet identifier
        b"\x34\x05\x00\x01a\x00\x01",  # QoS 2
        b"\x20\x03\x00\x00\x00",
        b"\xd0\x01\x00",
    ],
)
def test_bytes_that_no_broker_sends_are_a_protocol_error(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder(LIMIT).receive(wire)


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_protocol_error(wire: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        Decoder(LIMIT).receive(wire)


def test_what_it_sends_is_what_the_standard_says() -> None:
    # §3.1: protocol name, level 4, flags, keep alive, client id, user name, password
    assert mqtt.connect("ab", keep_alive=30, clean=True) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02ab"
    assert mqtt.connect("a", keep_alive=30, clean=False, username="u", password="p").endswith(
        b"\x04\xc0\x00\x1e\x00\x01a\x00\x01u\x00\x01p"
    )
    assert mqtt.subscribe(1, ["a/#"], 1) == b"\x82\x08\x00\x01\x00\x03a/#\x01"
    assert mqtt.publish("t", b"x", packet_id=2, retain=True) == b"\x33\x06\x00\x01t\x00\x02x"
    long = mqtt.publish("t", b"x" * 300, packet_id=2, retain=False)
    assert Decoder(LIMIT).receive(long)[0] == [Publish(b"t", b"x" * 300, retain=False, size=300)]


def test_packet_identifiers_turn_round_and_skip_zero() -> None:
    ids = PacketIds()
    taken = [ids.take() for _ in range(65_540)]
    assert taken[:2] == [1, 2]
    assert taken[65_534:65_537] == [65_535, 1, 2]
    assert 0 not in taken
