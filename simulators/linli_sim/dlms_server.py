"""A DLMS meter that is asked over TCP: associations without security or with a password, GET of attributes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import Item, WrapperReader
from linli_core.codecs.dlms.apdu import Attribute, GetRequest, decode_apdu
from linli_core.codecs.dlms.axdr import encode_data
from linli_core.codecs.dlms.wrapper import Wrapped, encode_wrapper
from linli_core.errors import ProtocolError

_AARQ, _RLRQ = 0x60, 0x62
_LOGICAL_NAMES: Final = bytes.fromhex("60857405080101")
"""Context name: logical name referencing, no ciphering (2.16.756.5.8.1.1)."""

_OBJECT_UNDEFINED: Final = 4


@dataclass
class DlmsServer:
    """One meter.

    Attributes:
        objects: What it holds, by attribute.
        password: What an association must give; empty: nothing.
        sayings: APDUs it says in place of its answers, one for each request; ``None``: the answer.
        source: The wPort it answers from.
        requests: What it was asked.
    """

    objects: Mapping[Attribute, Item]
    password: str = ""
    sayings: list[bytes | None] = field(default_factory=list)
    source: int = 1
    requests: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def listen(self, port: int = 0) -> AsyncIterator[int]:
        """Serve until the block ends; yield the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wrapped = WrapperReader()
        try:
            while data := await reader.read(4096):
                wrapped.receive(data)
                while (message := wrapped.next_event()) is not NEED_DATA:
                    answer = self._answer(message.apdu)
                    if not answer:
                        return
                    writer.write(encode_wrapper(Wrapped(self.source, message.source, answer)))
                    await writer.drain()
        except (OSError, ProtocolError):
            return
        finally:
            writer.close()

    def _answer(self, apdu: bytes) -> bytes:
        self.requests.append(apdu)
        if self.sayings and (said := self.sayings.pop(0)) is not None:
            return said
        if apdu[0] == _AARQ:
            return association(accepted=self.password.encode() in apdu)
        if apdu[0] == _RLRQ:
            return b"\x63\x03\x80\x01\x00"
        request = decode_apdu(apdu)
        if not isinstance(request, GetRequest) or len(request.attributes) != 1:
            return b""
        item = self.objects.get(request.attributes[0])
        head = bytes((0xC4, 0x01, request.invoke))
        return head + (b"\0" + encode_data(item) if item is not None else bytes((1, _OBJECT_UNDEFINED)))


def association(*, accepted: bool) -> bytes:
    """Return the answer to a request for an association."""
    # Proposed quality of service 0, DLMS version 6, conformance of GET with lists and blocks, 1 KiB, LN referencing.
    initiate = b"\x08\x00\x06" + bytes.fromhex("5F1F0400") + bytes.fromhex("00501F") + (1024).to_bytes(2) + b"\x00\x07"
    fields = (
        (0xA1, b"\x06\x07" + _LOGICAL_NAMES),
        (0xA2, bytes((2, 1, 0 if accepted else 1))),
        (0xA3, b"\xa1\x03" + bytes((2, 1, 0 if accepted else 13))),
        *(((0xBE, bytes((4, len(initiate))) + initiate),) if accepted else ()),
    )
    body = b"".join(bytes((tag, len(content))) + content for tag, content in fields)
    return bytes((0x61, len(body))) + body
