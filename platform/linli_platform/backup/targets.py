"""Where backups are kept: a folder, an S3-compatible bucket, an SFTP server.

A target holds whole backups only: one that is being written has no name yet that :meth:`Target.names` would return.
Every call blocks.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from linli_core.errors import ConfigError
from linli_platform.backup.errors import NoSuchBackup, TargetError

_PART: Final = ".part"


class Target(Protocol):
    """A place for backups."""

    def names(self) -> list[str]:
        """Return the names of what is there."""
        ...

    def put(self, name: str, path: Path) -> None:
        """Keep a local file under a name."""
        ...

    def get(self, name: str, path: Path) -> None:
        """Write what is kept under a name to a local file; :class:`NoSuchBackup` if nothing is."""
        ...

    def delete(self, name: str) -> None:
        """Remove what is kept under a name, if anything is."""
        ...


class S3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach a bucket.

    Attributes:
        endpoint: URL of the service; empty for Amazon's.
        region: Its region.
        access_key: Name of the access key.
        secret_file: File whose first line is the secret key.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_file: str = ""


class SftpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach an SFTP server.

    Attributes:
        key_file: Private key to log in with.
        known_hosts: File with the server's host key, as ``ssh-keyscan`` writes it; without it nothing is sent.
    """

    key_file: str = ""
    known_hosts: str = ""


class FolderTarget:
    """A folder: a disk of its own, or a share that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """See :class:`Target`."""
        with self._told():
            return sorted(path.name for path in self._folder.iterdir() if path.suffix != _PART)

    def put(self, name: str, path: Path) -> None:
        """See :class:`Target`."""
        part = self._folder / f"{name}{_PART}"
        with self._told():
            try:
                with path.open("rb") as source, part.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1024 * 1024)
                    sink.flush()
                    os.fsync(sink.fileno())
                part.replace(self._folder / name)
                sync_folder(self._folder)
            finally:
                part.unlink(missing_ok=True)

    def get(self, name: str, path: Path) -> None:
        """See :class:`Target`."""
        with self._told():
            try:
                shutil.copyfile(self._folder / name, path)
            except FileNotFoundError as exc:
                raise missing(name) from exc

    def delete(self, name: str) -> None:
        """See :class:`Target`."""
        with self._told():
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise TargetError(
                str(self._folder), f"{exc.strerror or exc}", "check the folder, its room and rights"
            ) from exc


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: until then a power cut may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def missing(name: str) -> NoSuchBackup:
    """Return the error for a name that nothing is kept under."""
    return NoSuchBackup(name, "there is no such backup", "see 'linli-platform backup --list'")


def open_target(url: str, s3: S3Settings, sftp: SftpSettings, where: str = "backup.target") -> Target:
    """Return the target of a setting: a folder's path, ``s3://bucket/prefix``, or ``sftp://user@host:port/folder``.

    Raises:
        ConfigError: It names none, or what it needs is missing.
    """
    parts = urlsplit(url)
    if parts.password:
        raise ConfigError(where, "a password in a URL", "use backup.sftp.key_file or backup.s3.secret_file")
    if parts.scheme == "s3":
        return _s3(parts, s3, where)
    if parts.scheme == "sftp":
        return _sftp(parts, sftp, where)
    if parts.scheme not in {"", "file"}:
        raise ConfigError(where, f"found {url[:80]!r}", "write a folder, s3://bucket/prefix or sftp://user@host/folder")
    folder = Path(unquote(parts.path))
    if not folder.is_absolute():
        raise ConfigError(where, f"{url[:80]!r} is no absolute path", "write the folder's path from / on")
    if not folder.is_dir():
        raise ConfigError(where, f"no folder at {folder}", "make it, or mount the disk that belongs there")
    return FolderTarget(folder)


def _s3(parts: SplitResult, settings: S3Settings, where: str) -> Target:
    if not parts.netloc:
        raise ConfigError(where, "no bucket is named", "write s3://bucket/prefix")
    # Imported here: most installations keep their backups in one place, and need one library.
    from linli_platform.backup.s3 import S3Target  # noqa: PLC0415

    return S3Target(parts.netloc, parts.path.strip("/"), settings)


def _sftp(parts: SplitResult, settings: SftpSettings, where: str) -> Target:
    if not parts.hostname or not parts.username:
        raise ConfigError(where, "no host or no user is named", "write sftp://user@host:port/folder")
    for name in ("key_file", "known_hosts"):
        value = getattr(settings, name)
        if not value or not Path(value).is_file():
            found = f"no file at {value}" if value else "missing"
            raise ConfigError(f"backup.sftp.{name}", found, "a login by key, to a server whose host key is known")
    from linli_platform.backup.sftp import SftpTarget  # noqa: PLC0415

    return SftpTarget(parts.hostname, parts.port or 22, parts.username, unquote(parts.path) or "/", settings)
