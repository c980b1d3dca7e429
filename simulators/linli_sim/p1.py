"""``linli-sim p1``: a customer port behind a TCP converter, which sends by itself; encrypted with ``--key``."""

import argparse
import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Final

from linli_core.codecs.dlms import Keys
from linli_core.codecs.dlms.ciphering import seal
from linli_core.codecs.p1.sealed import AUTHENTICATION_KEY
from linli_edge.ciphers import AES
from linli_edge.timekeeping import wall_clock
from linli_sim.cli import Subparsers
from linli_sim.smart_meter import SmartMeter

PORT: Final = 10002
TITLE: Final = b"LNL\0\0\0\0\1"


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("p1", help="a customer port (P1) behind a TCP converter")
    parser.add_argument("--port", type=int, default=PORT, help="TCP port; 0 for a free one (default %(default)s)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between telegrams (default %(default)s)")
    parser.add_argument("--number", default="LINLI0001", help="the meter's number (default %(default)s)")
    parser.add_argument("--key", type=bytes.fromhex, help="32 hexadecimal digits: send encrypted telegrams")


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    telegrams = _telegrams(SmartMeter(args.number), args.key)

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(next(telegrams))
                await writer.drain()
                await asyncio.sleep(args.every)
        except (OSError, asyncio.CancelledError):
            # Hung up, or told to end: asyncio would call the second an error of the callback.
            return
        finally:
            writer.close()

    server = await asyncio.start_server(send, "127.0.0.1", args.port)
    async with server:
        print(f"ready on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - the command's output
        await asyncio.Event().wait()
    return 0


def _telegrams(meter: SmartMeter, key: bytes | None) -> Iterator[bytes]:
    # A counter that a restart would set back is a replay to whoever listened before: it starts at the time.
    for counter in count(wall_clock() // 1_000_000):
        plain = meter.telegram(wall_clock())
        yield plain if key is None else seal(plain, TITLE, counter, Keys(key, AUTHENTICATION_KEY), AES)
