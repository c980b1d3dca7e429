"""Backups on an SFTP server."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import asyncssh

from linli_platform.backup.errors import TargetError
from linli_platform.backup.targets import SftpSettings, missing

_PART: Final = ".part"
_CONNECT_S: Final = 30

ResultT = TypeVar("ResultT")


class SftpTarget:
    """A folder on an SFTP server; see :class:`linli_platform.backup.targets.Target`."""

    def __init__(self, host: str, port: int, user: str, folder: str, settings: SftpSettings) -> None:
        self._host = host
        self._port = port
        self._user = user
        self._folder = folder.rstrip("/")
        self._settings = settings

    def names(self) -> list[str]:
        """Return the names of what is there."""

        async def ask(client: asyncssh.SFTPClient) -> list[str]:
            found = [str(name) for name in await client.listdir(self._folder or "/")]
            return sorted(name for name in found if name not in {".", ".."} and not name.endswith(_PART))

        return self._with_client(ask)

    def put(self, name: str, path: Path) -> None:
        """Keep a local file under a name; renamed into it when whole."""

        async def send(client: asyncssh.SFTPClient) -> None:
            part = self._at(f"{name}{_PART}")
            await client.put(str(path), part)
            await client.posix_rename(part, self._at(name))

        self._with_client(send)

    def get(self, name: str, path: Path) -> None:
        """Write what is kept under a name to a local file."""

        async def fetch(client: asyncssh.SFTPClient) -> None:
            try:
                await client.get(self._at(name), str(path))
            except asyncssh.SFTPNoSuchFile as exc:
                raise missing(name) from exc

        self._with_client(fetch)

    def delete(self, name: str) -> None:
        """Remove what is kept under a name, if anything is."""

        async def remove(client: asyncssh.SFTPClient) -> None:
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await client.remove(self._at(name))

        self._with_client(remove)

    def _at(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _with_client(self, work: Callable[[asyncssh.SFTPClient], Awaitable[ResultT]]) -> ResultT:
        async def run() -> ResultT:
            async with (
                asyncssh.connect(
                    self._host,
                    self._port,
                    username=self._user,
                    client_keys=[self._settings.key_file],
                    known_hosts=self._settings.known_hosts,
                    config=None,
                    agent_path=None,
                    connect_timeout=_CONNECT_S,
                    login_timeout=_CONNECT_S,
                ) as connection,
                connection.start_sftp_client() as client,
            ):
                return await work(client)

        try:
            # A loop of its own: backups run in a thread beside the platform's.
            return asyncio.run(run())
        except (OSError, asyncssh.Error, TimeoutError) as exc:
            place = f"sftp://{self._user}@{self._host}:{self._port}{self._folder}"
            raise TargetError(
                place, str(exc) or type(exc).__name__, "check host, user, key, host key and rights"
            ) from exc
