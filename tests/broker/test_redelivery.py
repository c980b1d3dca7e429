"""QoS 1, byte by byte: what was not acknowledged is sent again on the next connection (MQTT 3.1.1 §4.4)."""

import asyncio

from linli_sim.processes import Program

CLEAN, KEPT = b"\x02", b"\x00"
PUBLISH, DUPLICATE = 0x30, 0x08


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2) + value


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([first, len(body)]) + body


async def receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    return first, await reader.readexactly(length)


async def connect(port: int, name: bytes, session: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packet(0x10, text(b"MQTT") + b"\x04" + session + b"\x00\x1e" + text(name)))
    first, body = await receive(reader)
    assert (first, body[1]) == (0x20, 0)
    return reader, writer


async def test_an_unacknowledged_message_comes_again(broker: Program, port: int) -> None:
    assert broker.running
    reader, writer = await connect(port, b"platform", KEPT)
    writer.write(packet(0x82, b"\x00\x01" + text(b"a") + b"\x01"))
    assert (await receive(reader))[0] == 0x90

    sender_reader, sender = await connect(port, b"gateway", CLEAN)
    sender.write(packet(PUBLISH | 2, text(b"a") + b"\x00\x07" + b"once"))
    assert await receive(sender_reader) == (0x40, b"\x00\x07")

    kind, body = await receive(reader)
    assert (kind & 0xF0, body[-4:]) == (PUBLISH, b"once")
    writer.close()  # without a PUBACK
    await writer.wait_closed()

    reader, writer = await connect(port, b"platform", KEPT)
    kind, body = await receive(reader)
    assert (kind & 0xF0, body[-4:]) == (PUBLISH, b"once")
    for each in (writer, sender):
        each.close()
        await each.wait_closed()
