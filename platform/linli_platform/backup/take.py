"""Making a backup: a snapshot of store and registry, an archive of it, a place for that. Blocks; run it in a thread."""

import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pyrage import x25519

from linli_core.instant import Instant, to_rfc3339
from linli_platform.backup import archive
from linli_platform.backup.errors import BackupError
from linli_platform.backup.manifest import FORMAT, BackupName, Manifest
from linli_platform.backup.targets import Target
from linli_platform.store.duckdb import DuckDBStore

REGISTRY: Final = "registry.sqlite"
STORE: Final = "store"
"""Names in the archive."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was made.

    Attributes:
        name: Under which the target keeps it.
        size: Bytes of the archive.
        manifest: What it holds.
    """

    name: str
    size: int
    manifest: Manifest


def take(
    store: DuckDBStore,
    registry: Path,
    target: Target,
    recipient: x25519.Recipient,
    now: Instant,
    *,
    work: Path,
    rest: Callable[[], None] = lambda: None,
) -> Taken:
    """Make a backup of a store and a registry that are in use.

    Both are read as they were at one instant between two commits of the store. The registry may be ahead of it by the
    lines that ingest writes before it commits; that is the order in which a crash would leave them, and what
    :meth:`linli_core.log.receiver.Receiver.reconcile` mends.

    Args:
        store: Open.
        registry: The registry's SQLite file.
        target: Where the archive goes.
        recipient: Whom it is encrypted for.
        now: The instant of the snapshot.
        work: Folder with room for what is written on the way, below the store's own; it is emptied again.
        rest: Called now and then, to let others use the machine.

    Raises:
        BackupError: It could not be made.
    """
    name = BackupName(now, store.installation)
    _sweep(work)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=work))
    try:
        envelope = folder / "envelope"
        content = folder / "content"
        (content / STORE).mkdir(parents=True)
        manifest = _write(store, registry, envelope, content, recipient, name, now, rest)
        size = envelope.stat().st_size
        target.put(str(name), envelope)
    except OSError as exc:
        raise BackupError(str(folder), f"cannot be written ({exc.strerror or exc})", "make room on the disk") from exc
    except sqlite3.Error as exc:
        raise BackupError(str(registry), f"cannot be read ({exc})", "check the disk") from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Taken(str(name), size, manifest)


_PREFIX: Final = "backup-"


def _sweep(work: Path) -> None:
    """Remove what a backup left that was killed."""
    for path in work.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write(
    store: DuckDBStore,
    registry: Path,
    envelope: Path,
    content: Path,
    recipient: x25519.Recipient,
    name: BackupName,
    now: Instant,
    rest: Callable[[], None],
) -> Manifest:
    with (
        closing(sqlite3.connect(f"{registry.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)) as source,
        store.snapshot(lambda: _pin(source)) as snapshot,
        archive.writing(envelope, content, recipient) as writer,
    ):
        copy = content / REGISTRY
        with closing(sqlite3.connect(copy)) as sink:
            source.backup(sink)
        writer.add(copy)
        for path in snapshot.export(content / STORE, rest):
            writer.add(path)
            path.unlink()
        counts = snapshot.counts()
        manifest = Manifest(
            format=FORMAT,
            installation=name.installation,
            created_at=to_rfc3339(now),
            version=version("linli"),
            readings=counts.readings,
            series=counts.series,
            events=counts.events,
            gateways=counts.gateways,
            first=counts.first,
            last=counts.last,
            files=writer.files,
            device_times=counts.device_times,
        )
        writer.finish(manifest)
    return manifest


def _pin(source: sqlite3.Connection) -> None:
    """Fix the instant that a connection sees: what is committed later is not in it."""
    source.isolation_level = None
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()


def new_installation() -> str:
    """Return a name for a new installation: 32 hexadecimal digits, random."""
    return secrets.token_hex(16)
