"""``linli-sim dlms``: a DLMS meter that pushes: to a gateway (``--to``), or at a HAN port behind a converter.

With ``--replay`` every message is sent twice, as somebody would who recorded it: a gateway must not take the second.
"""

import argparse
import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Final

from linli_core.codecs.dlms import Keys
from linli_core.codecs.dlms.ciphering import seal
from linli_edge.ciphers import AES
from linli_edge.timekeeping import wall_clock
from linli_sim.cli import Subparsers
from linli_sim.dlms_push import hdlc, wrapped
from linli_sim.smart_meter import SmartMeter

PORT: Final = 10003


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("dlms", help="a DLMS meter that pushes, plain or ciphered")
    parser.add_argument("--to", metavar="HOST:PORT", help="push to a gateway that listens, in the wrapper")
    parser.add_argument("--udp", action="store_true", help="with --to: by datagrams")
    parser.add_argument("--port", type=int, default=PORT, help="without --to: TCP port of the HAN port; 0: a free one")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between messages (default %(default)s)")
    parser.add_argument("--number", default="LNL00000001", help="the meter's number (default %(default)s)")
    parser.add_argument("--title", type=bytes.fromhex, default=b"LNL\0\0\0\0\1", help="system title")
    parser.add_argument("--key", type=bytes.fromhex, help="32 hexadecimal digits: cipher the messages")
    parser.add_argument("--auth-key", type=bytes.fromhex, help="32 hexadecimal digits: authenticate them too")
    parser.add_argument("--segment", type=int, default=1000, help="bytes of an HDLC segment (default %(default)s)")
    parser.add_argument("--replay", action="store_true", help="send every message twice")


async def run(args: argparse.Namespace) -> int:
    """Push until cancelled."""
    if args.to is None:
        server = await asyncio.start_server(lambda _, writer: _serve(args, writer), "127.0.0.1", args.port)
        async with server:
            port = server.sockets[0].getsockname()[1]
            print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
            await asyncio.Event().wait()
    host, _, port_text = args.to.rpartition(":")
    print(f"ready on {host}:{port_text}", flush=True)  # noqa: T201
    while True:
        try:
            await (_send_datagrams if args.udp else _connect)(args, host, int(port_text))
        except OSError:
            # The gateway is not up yet, or went away: modems try again.
            await asyncio.sleep(args.every)


def _apdus(args: argparse.Namespace) -> Iterator[bytes]:
    meter = SmartMeter(args.number)
    keys = Keys(args.key, args.auth_key) if args.key is not None else None
    for counter in count(wall_clock() // 1_000_000):
        plain = meter.notification(wall_clock(), counter)
        apdu = plain if keys is None else seal(plain, args.title, counter, keys, AES)
        yield apdu
        if args.replay:
            yield apdu


async def _serve(args: argparse.Namespace, writer: asyncio.StreamWriter) -> None:
    try:
        for apdu in _apdus(args):
            writer.write(hdlc(apdu, segment=args.segment))
            await writer.drain()
            await asyncio.sleep(args.every)
    except (OSError, asyncio.CancelledError):
        # Hung up, or told to end: asyncio would call the second an error of the callback.
        return
    finally:
        writer.close()


async def _connect(args: argparse.Namespace, host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    try:
        for apdu in _apdus(args):
            writer.write(wrapped(apdu))
            await writer.drain()
            await asyncio.sleep(args.every)
    finally:
        writer.close()


async def _send_datagrams(args: argparse.Namespace, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
    try:
        for apdu in _apdus(args):
            transport.sendto(wrapped(apdu))
            await asyncio.sleep(args.every)
    finally:
        transport.close()
