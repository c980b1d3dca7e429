"""Where a receiver's texts come from: lines of a byte stream or of a file, messages of a broker."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from linli_core.errors import LinkClosed, LinkError
from linli_edge.drivers.wmbus.lines import LONGEST
from linli_edge.drivers.wmbus.memory import Memory
from linli_edge.drivers.wmbus.settings import FileSource, LineSource, MqttSource, Source
from linli_edge.stopping import Stop
from linli_edge.transport import Transport

Texts = AsyncIterator[str]

_LARGEST_FILE: Final = 64 * 1024 * 1024
_BROKER_TIMEOUT: Final = 10.0
_QUEUED: Final = 256
"""Messages that may wait; a receiver hears a few each second. More are dropped by the client, oldest kept."""


@asynccontextmanager
async def open_source(source: Source, memory: Memory) -> AsyncIterator[Texts]:
    """Open a source and yield its texts; raise ``LinkError`` where it cannot be opened."""
    if isinstance(source, LineSource):
        async with source.transport.open() as transport:
            yield lines(transport, memory)
    elif isinstance(source, FileSource):
        yield _file(source.path, memory)
    else:
        async with _mqtt(source, memory) as texts:
            yield texts


async def lines(transport: Transport, memory: Memory) -> AsyncIterator[str]:
    """Yield the lines of a byte stream; one without an end is dropped and counted. ``LinkClosed`` at its end."""
    buffer = bytearray()
    dropping = False
    while data := await transport.read():
        buffer += data
        *whole, rest = bytes(buffer).split(b"\n")
        buffer = bytearray(rest)
        for line in whole:
            if not dropping:
                yield line.decode("ascii", "replace")
            dropping = False
        if len(buffer) > LONGEST:
            memory.totals["endless_line"] += not dropping
            buffer.clear()
            dropping = True
    raise LinkClosed("the receiver closed the line")


async def _file(path: Path, memory: Memory) -> AsyncIterator[str]:
    """Yield the lines of a file once; after them nothing comes any more."""
    if not memory.replayed:
        try:
            text = await asyncio.to_thread(_recording, path)
        except OSError as exc:
            raise LinkError(f"{path}: {exc.strerror}") from exc
        for line in text.splitlines():
            yield line
        memory.replayed = True
    await asyncio.Event().wait()


def _recording(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise LinkError(f"{path}: more than {_LARGEST_FILE} characters; split the recording")
    return text


@asynccontextmanager
async def _mqtt(source: MqttSource, memory: Memory) -> AsyncIterator[Texts]:
    import aiomqtt  # noqa: PLC0415 - a gateway whose receivers write lines does without

    place = f"{source.host}:{source.port}"
    try:
        context = await asyncio.to_thread(_tls, source)
        password = await asyncio.to_thread(_password, source)
    except OSError as exc:
        raise LinkError(f"{place}: {exc}") from exc
    client = aiomqtt.Client(
        source.host,
        source.port,
        username=source.username,
        password=password,
        tls_context=context,
        clean_session=True,
        timeout=_BROKER_TIMEOUT,
        max_queued_incoming_messages=_QUEUED,
    )

    async def messages() -> AsyncIterator[str]:
        try:
            async for message in client.messages:
                payload = message.payload
                if not isinstance(payload, bytes | bytearray) or len(payload) > LONGEST:
                    memory.totals["too_long"] += 1
                    continue
                yield bytes(payload).decode("utf-8", "replace")
        except aiomqtt.MqttError as exc:
            raise LinkClosed(f"{place}: {exc}") from exc

    stop = Stop()
    try:
        async with client:
            await client.subscribe(source.topic, qos=1)
            stop.heed()
            yield messages()
    except aiomqtt.MqttError as exc:
        raise LinkError(f"{place}: {exc}") from exc


def _tls(source: MqttSource) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=source.ca) if source.tls else None


def _password(source: MqttSource) -> str | None:
    if source.password_file is None:
        return None
    found = source.password_file.read_text(encoding="utf-8").splitlines()
    return found[0] if found else ""
