"""The archive of a backup: a tar in an age envelope, written and read as a stream.

The envelope's chunks are authenticated and counted, so bytes that were changed, reordered or cut off are noticed; the
manifest, last in the tar, holds size and SHA-256 of every file, so a file that is missing is noticed too.
"""

import hashlib
import os
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pyrage import DecryptError, decrypt_io, encrypt_io, x25519

from linli_platform.backup.errors import Damaged, WrongKey
from linli_platform.backup.manifest import NAME, File, Manifest, decode, encode

_CHUNK: Final = 1024 * 1024
_MANIFEST_BYTES: Final = 64 * 1024 * 1024
_FILES: Final = 100_000
"""Days in 270 years."""


class Writer:
    """Takes files into an archive, one after the other."""

    def __init__(self, tar: tarfile.TarFile, folder: Path, envelope: IO[bytes]) -> None:
        self._tar = tar
        self._folder = folder
        self._envelope = envelope
        self.files: dict[str, File] = {}

    def add(self, path: Path) -> None:
        """Take a file below the folder."""
        name = path.relative_to(self._folder).as_posix()
        info = self._tar.gettarinfo(path, name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o600
        with path.open("rb") as file:
            digest = hashlib.sha256()
            self._tar.addfile(info, _Hashing(file, digest.update))
        # Bit by bit: what piled up would all have to be on the disk before the next small commit of anybody is.
        os.fdatasync(self._envelope.fileno())
        self.files[name] = File(info.size, digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest."""
        data = encode(manifest)
        info = tarfile.TarInfo(NAME)
        info.size = len(data)
        info.mode = 0o600
        self._tar.addfile(info, BytesIO(data))


class _Hashing:
    """A file whose bytes are told as they are read."""

    def __init__(self, file: IO[bytes], tell: Callable[[bytes], None]) -> None:
        self._file = file
        self._tell = tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._tell(data)
        return data


@contextmanager
def writing(path: Path, folder: Path, recipient: x25519.Recipient) -> Iterator[Writer]:
    """Write an archive of files below ``folder`` to ``path``; whole only when the block has ended."""
    with path.open("wb") as envelope:
        with (
            _piped(lambda source: encrypt_io(source, envelope, [recipient])) as sink,
            tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar,
        ):
            yield Writer(tar, folder, envelope)
        envelope.flush()
        os.fsync(envelope.fileno())


@contextmanager
def _piped(consume: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """Yield a file whose bytes a second thread consumes; the block's end waits for it, and raises what it raised."""
    readable, writable = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        with os.fdopen(readable, "rb", _CHUNK) as source:
            try:
                consume(source)
            except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
                failures.append(exc)
            # Whoever writes must come to its end, not to a broken pipe.
            while source.read(_CHUNK):
                pass

    thread = threading.Thread(target=run, name="backup.pipe", daemon=True)
    thread.start()
    try:
        with os.fdopen(writable, "wb", _CHUNK) as sink:
            yield sink
    finally:
        thread.join()
    if failures:
        raise failures[0]


def read(path: Path, folder: Path, identities: Iterable[x25519.Identity], where: str) -> Manifest:
    """Open an archive, write its files below ``folder``, and return its manifest once all of them are as it says.

    Args:
        path: The archive.
        folder: Exists, and is empty.
        identities: Keys to try.
        where: The backup's name, for errors.

    Raises:
        WrongKey: None of the keys opens it.
        Damaged: It is truncated, or bytes of it were changed.
        Newer: A newer version made it.
    """
    keys = list(identities)
    extracted = _Extracted(folder, where)
    try:
        with path.open("rb") as envelope, _piped(extracted.take_all) as sink:
            decrypt_io(envelope, sink, keys)
    except (DecryptError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise
        if "No matching keys" in str(exc):
            raise WrongKey(where, "none of the keys opens it", "give the identity file of its recipient") from exc
        # Behind the header pyrage says it with an OSError that has no number.
        raise Damaged(where, f"it is truncated or was changed ({exc})", "use another backup") from exc
    files, manifest = extracted.files, extracted.manifest
    if manifest is None:
        raise Damaged(where, "it ends before its manifest", "use another backup")
    described = decode(manifest, where)
    if described.files != files:
        wrong = sorted(name for name in described.files.keys() | files.keys() if _differs(name, described, files))
        raise Damaged(where, f"{wrong[0]} is missing or not as the manifest says", "use another backup")
    return described


def _differs(name: str, manifest: Manifest, files: dict[str, File]) -> bool:
    return manifest.files.get(name) != files.get(name)


class _Extracted:
    """The files of a tar, written as its bytes come. Only plain files below the folder, whatever the tar says."""

    def __init__(self, folder: Path, where: str) -> None:
        self._folder = folder
        self._where = where
        self.files: dict[str, File] = {}
        self.manifest: bytes | None = None

    def take_all(self, source: IO[bytes]) -> None:
        """Take every file of a tar."""
        try:
            with tarfile.open(fileobj=source, mode="r|", bufsize=_CHUNK) as tar:
                for member in tar:
                    self._take(tar, member)
        except tarfile.TarError as exc:
            raise Damaged(self._where, f"its archive cannot be read ({exc})", "use another backup") from exc

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = PurePosixPath(member.name)
        if not member.isfile() or name.is_absolute() or ".." in name.parts or len(self.files) >= _FILES:
            raise Damaged(self._where, f"its archive holds {member.name[:80]!r}, which no backup does", "do not use it")
        source = tar.extractfile(member)
        assert source is not None
        if member.name == NAME:
            if member.size > _MANIFEST_BYTES:
                raise Damaged(self._where, f"its manifest has {member.size} bytes", "do not use it")
            self.manifest = source.read()
            return
        path = self._folder.joinpath(*name.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("wb") as file:
            while data := source.read(_CHUNK):
                digest.update(data)
                file.write(data)
        self.files[member.name] = File(path.stat().st_size, digest.hexdigest())
