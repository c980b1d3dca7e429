"""One probe on an open line: write, then listen until the answer is whole or patience ends."""

import asyncio
from typing import Final

from linli_core.errors import LinkClosed
from linli_core.instant import SECOND
from linli_edge.commissioning.scanner import Heard, Probe
from linli_edge.commissioning.wire_time import transfer_time
from linli_edge.transport import Transport

_LONGEST: Final = 512
"""Bytes after which a line that never falls silent is left alone: twice the longest frame."""

_GAP: Final = 0.02
"""Seconds without a byte after which what has begun counts as ended, where the line's speed is not known; adapters on
USB hand bytes over every 16 ms."""


async def listen(transport: Transport, probe: Probe) -> Heard:
    """Carry out a probe.

    After a whole answer the line is watched for as long as the silence that must follow it: two devices with one
    address show there. Raises ``LinkError`` when the line is gone; a connection that the other end closes is heard,
    not raised.
    """
    loop = asyncio.get_running_loop()
    patience = probe.patience / SECOND
    silence = max(0.00175, transfer_time(probe.setting, 4) / SECOND)
    if probe.data:
        await transport.write(probe.data)
    sent = loop.time() + transfer_time(probe.setting, len(probe.data)) / SECOND
    data = b""
    delay: int | None = None
    end = last = sent + patience
    while (left := end - loop.time()) > 0 and len(data) < _LONGEST:
        try:
            async with asyncio.timeout(left):
                chunk = await transport.read()
        except TimeoutError:
            break
        except LinkClosed:
            if _is_network(probe):
                return Heard(data, delay, closed=True)
            raise
        now = loop.time()
        if not chunk:
            if _is_network(probe):
                return Heard(data, delay, closed=True)
            raise LinkClosed(f"{probe.setting.place}: the port is gone")
        data += chunk
        if delay is None and not probe.data.startswith(data):
            # A converter that echoes gives us our own request first: that is no answer yet.
            delay = max(0, round((now - sent) * SECOND))
        # What has begun may end, and an answer that is whole is waited for no longer than the silence behind it.
        end = now + silence if probe.complete(data) else max(_until(probe, last, now, delay), now + max(_GAP, silence))
    return Heard(data, delay)


def _until(probe: Probe, last: float, now: float, delay: int | None) -> float:
    """Return until when to wait for the rest of what has begun; ``last`` is when patience ends."""
    has_begun = probe.settle is not None and delay is not None
    return min(last, now + (probe.settle or 0) / SECOND) if has_begun else last


def _is_network(probe: Probe) -> bool:
    return transfer_time(probe.setting, 1) == 0
