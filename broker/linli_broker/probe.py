"""Is a broker really there? The smallest MQTT conversation that proves it."""

import asyncio
import contextlib
from typing import Final

# CONNECT and CONNACK as in MQTT 3.1.1 §3.1, §3.2 and MQTT 5 §3.1, §3.2: clean session, keep-alive 10 s, no
# properties, and an empty client id, for which the broker makes one up: no two probes ever share a session.
_CONNECT: Final = {
    "3.1.1": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00",
    "5": b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00",
}
_DISCONNECT: Final = b"\xe0\x00"
_CONNACK: Final = 0x20


def is_accepted(answer: bytes) -> bool:
    """Tell whether the first four bytes of an answer are a CONNACK that says yes."""
    # The remaining length of a CONNACK below 128 bytes takes one byte; flags and code follow it.
    return len(answer) >= 4 and answer[0] == _CONNACK and answer[1] < 0x80 and answer[3] == 0


async def accepts(host: str, port: int, *, version: str, limit: float) -> bool:
    """Tell whether an MQTT broker takes a CONNECT at an address, within ``limit`` seconds."""
    try:
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_CONNECT[version])
                answer = await reader.readexactly(4)
                writer.write(_DISCONNECT)
                await writer.drain()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return is_accepted(answer)


async def listens(host: str, port: int, *, limit: float) -> bool:
    """Tell whether anything takes a TCP connection; all that can be asked of a TLS listener without a certificate."""
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True
