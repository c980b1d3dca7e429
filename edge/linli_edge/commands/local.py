"""The door for the person at the gateway: a socket in its data folder, open to the gateway's own user and to root.

``linli-edge write`` goes through the running gateway and never opens a line itself: a serial line has one master, and
there must be one allow-list, one record and one order of writes, whoever asks. Who asks is told by the kernel.

One JSON line each way: ``{"id", "command"}`` in, a reply out.
"""

import asyncio
import logging
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError, LinkError, Refused
from linli_core.model import is_id
from linli_core.wire.command import MAX_BYTES, Command, Reply, check_command, decode_reply, encode_command

_LOG: Final = logging.getLogger(__name__)

NAME: Final = "commands.sock"
_LONGEST_PATH: Final = 107
"""Bytes of a socket's path (``sun_path`` of unix(7), less its end)."""
_LIMIT: Final = 10.0
"""Seconds in which a client must have said what it wants."""
_CREDENTIALS: Final = struct.Struct("3i")

Handler = Callable[[str, Command, str], Awaitable[Reply | None]]


class LocalRequest(msgspec.Struct, frozen=True):
    """What a client says."""

    id: str
    command: Command


_decoder: Final = msgspec.json.Decoder(LocalRequest)


@asynccontextmanager
async def door(folder: Path, handle: Handler) -> AsyncIterator[None]:
    """Serve the socket in a folder while the block runs; where none can be made, say so and go on without."""
    path = folder / NAME
    if len(os.fsencode(path)) > _LONGEST_PATH:
        _LOG.error("%s: too long for a socket's path: linli-edge write will not work; shorten gateway.data", path)
        yield
        return

    serving: set[asyncio.Task[object]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            writer.write(encode_command(await _answered(reader, writer, handle)) + b"\n")
            await writer.drain()
        except (ConnectionError, TimeoutError) as exc:
            _LOG.info("a local command broke off: %s", exc)
        except asyncio.CancelledError:
            # The gateway stops. asyncio's own callback on this task would log a cancellation as an error.
            pass
        finally:
            serving.discard(task)
            writer.close()

    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, path, limit=MAX_BYTES * 2)
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
        await asyncio.sleep(0)  # whoever has just connected begins, and can be told to end
        for task in (open_now := set(serving)):
            task.cancel()
        if open_now:
            await asyncio.wait(open_now)
        await server.wait_closed()


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler) -> Reply:
    async with asyncio.timeout(_LIMIT):
        try:
            request = _decoder.decode(await reader.readline())
            check_command(request.command)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError, Refused) as exc:
            return Reply(ok=False, error=f"no command: {exc}")
    if not is_id(request.id):
        return Reply(ok=False, error=f"{request.id[:80]!r} is no id of a command")
    command = msgspec.structs.replace(request.command, by=_asker(writer, request.command.by))
    reply = await handle(request.id, command, "local")
    return reply if reply is not None else Reply(ok=False, error="the same command is being carried out already")


def _asker(writer: asyncio.StreamWriter, name: str) -> str:
    """Return who is at the other end: the user the kernel names, and the name they gave."""
    end: socket.socket = writer.get_extra_info("socket")
    _, user, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        account = pwd.getpwuid(user).pw_name
    except KeyError:
        account = f"uid {user}"
    return f"{name} ({account})" if name else account


async def ask(folder: Path, name: str, command: Command) -> Reply:
    """Send a command through the socket in a folder and return the answer.

    Raises:
        ConfigError: There is no such door.
        LinkError: The gateway went away before it answered.
    """
    path = folder / NAME
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_BYTES * 2)
    except PermissionError as exc:
        raise ConfigError(str(path), "may not be opened", "run this as the gateway's user, or with sudo") from exc
    except OSError as exc:
        remedy = "start the gateway (linli-edge run), with [nodes] or [commands] enabled = true in its configuration"
        raise ConfigError(str(path), "no running gateway takes commands here", remedy) from exc
    try:
        writer.write(msgspec.json.encode(LocalRequest(name, command)) + b"\n")
        await writer.drain()
        line = await reader.readline()
    except ConnectionError as exc:
        raise LinkError(f"{path}: {exc}") from exc
    finally:
        writer.close()
    if not line:
        raise LinkError(f"{path}: the gateway stopped before it answered; what it did is in its log")
    return decode_reply(line)
