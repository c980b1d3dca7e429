"""Bringing a backup back, and finding which one. Blocks; run it in a thread, or in a process of its own."""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyrage import x25519

from linli_core.instant import DAY, SECOND, Instant
from linli_platform.backup import archive
from linli_platform.backup.errors import BackupError, Damaged, Foreign, NoSuchBackup
from linli_platform.backup.manifest import BackupName, Manifest, parse_name
from linli_platform.backup.take import REGISTRY, STORE
from linli_platform.backup.targets import Target, sync_folder
from linli_platform.store import StoreError
from linli_platform.store.schema import read_installation
from linli_platform.store.snapshot import load

NEWEST: Final = "newest"

_PREFIX: Final = "restore-"
_LEFT_S: Final = 2 * DAY // SECOND
"""A folder for what is fetched that is older belongs to nobody any more: a drill that was killed left it."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a platform's files are.

    Attributes:
        store, registry: Files; they need not exist.
        work: Folder on the same file system, with room for what is written on the way.
        memory_limit, threads: What DuckDB may use.
    """

    store: Path
    registry: Path
    work: Path
    memory_limit: str = "512MB"
    threads: int = 2


def stored(target: Target, installation: str | None = None) -> list[BackupName]:
    """Return the backups a target holds, of one installation if given, oldest first."""
    found = [name for text in target.names() if (name := parse_name(text)) is not None]
    return sorted(name for name in found if installation in {None, name.installation})


def choose(target: Target, wanted: str, installation: str | None) -> str:
    """Return the name of the backup that is wanted: ``newest``, or a name.

    Raises:
        NoSuchBackup: There is none.
        Foreign: There are backups, but of several installations or only of others; which one must be said.
    """
    if wanted != NEWEST:
        return wanted
    own = stored(target, installation)
    if not own:
        if stored(target):
            raise Foreign(wanted, "the target holds backups of other installations only", "name the backup you want")
        raise NoSuchBackup(wanted, "the target holds no backup", "check backup.target")
    if len({name.installation for name in own}) > 1:
        raise Foreign(wanted, "the target holds backups of several installations", "name the backup you want")
    return str(own[-1])


def fetch(
    target: Target, name: str, identities: Iterable[x25519.Identity], work: Path, tell: Tell = lambda _: None
) -> tuple[Path, Manifest]:
    """Fetch a backup and open it; return the folder of its files, to be removed by the caller, and its manifest.

    Raises:
        BackupError: It is not there, damaged, encrypted for another key, or of a newer version.
    """
    _sweep(work)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=work))
    try:
        envelope = folder / "envelope"
        tell(f"fetching {name}")
        target.get(name, envelope)
        content = folder / "content"
        content.mkdir()
        tell("opening it and checking every byte")
        manifest = archive.read(envelope, content, identities, name)
        envelope.unlink()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, manifest


def _sweep(work: Path) -> None:
    """Remove what killed drills and restores left; what is younger may be another's at work."""
    for path in work.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):  # its owner has just removed it
            if time.time() - path.stat().st_mtime > _LEFT_S:
                shutil.rmtree(path, ignore_errors=True)


def build(content: Path, manifest: Manifest, name: str, place: Place) -> None:
    """Make store and registry of a backup's files; neither file may exist.

    Raises:
        Damaged: The files do not hold what the manifest says.
    """
    try:
        load(content / STORE, place.store, memory_limit=place.memory_limit, threads=place.threads)
    except StoreError as exc:
        raise Damaged(name, str(exc), "use another backup") from exc
    shutil.copyfile(content / REGISTRY, place.registry)
    with closing(sqlite3.connect(place.registry)) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    if sound != "ok":
        raise Damaged(name, f"its registry is not sound: {sound}", "use another backup")
    if read_installation(place.store) != manifest.installation:
        raise Damaged(name, "store and manifest name different installations", "do not use it")


def restore(
    target: Target,
    wanted: str,
    identities: Iterable[x25519.Identity],
    place: Place,
    now: Instant,
    *,
    replace: bool = False,
    adopt: bool = False,
    tell: Tell = lambda _: None,
) -> tuple[str, Manifest]:
    """Put a backup in the place of a platform's files. The platform must not run.

    What is there is set aside, never deleted, and only after the backup has been fetched, checked and built whole.
    Afterwards the gateways bring what it lacks by themselves, as far as their logs reach.

    Args:
        target: Where backups are.
        wanted: ``newest`` or a name.
        identities: Keys to open it with.
        place: Where the files are to be.
        now: For the names of what is set aside.
        replace: Whether there may be files already.
        adopt: Whether it may be a backup of another installation than those files are of.
        tell: Called with what is being done.

    Returns:
        The backup's name and its manifest.

    Raises:
        BackupError: Nothing that was in place has changed.
    """
    present = [path for path in (place.store, place.registry) if path.exists()]
    if present and not replace:
        raise BackupError(
            str(present[0]), "there is a platform's data already", "add --replace: it is set aside, not deleted"
        )
    own = read_installation(place.store) if place.store.exists() else None
    name = choose(target, wanted, own)
    place.work.mkdir(parents=True, exist_ok=True)
    folder, manifest = fetch(target, name, identities, place.work, tell)
    try:
        if own not in {None, manifest.installation} and not adopt:
            raise Foreign(
                name,
                f"it is of installation {manifest.installation[:8]}…, the files here are of {(own or '')[:8]}…",
                "check the target; add --adopt if it is what you want",
            )
        tell(f"loading {manifest.readings} readings")
        new = Place(folder / "store", folder / "registry", folder, place.memory_limit, place.threads)
        build(folder / "content", manifest, name, new)
        tell("putting it into place")
        _swap(place, new, now)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return name, manifest


def _swap(place: Place, new: Place, now: Instant) -> None:
    """Let new files take the place of others; whatever the power does, either all is on the disk or the sign stands."""
    _sync(new.registry)
    _sync(new.store)
    sign = _sign(place.store)
    sign.touch()
    sync_folder(sign.parent)
    for path in (place.store, place.registry):
        for suffix in ("", ".wal", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(path.with_name(f"{path.name}.before-{now}{suffix}"))
    new.registry.replace(place.registry)
    new.store.replace(place.store)
    for folder in {place.registry.parent, place.store.parent}:
        sync_folder(folder)
    sign.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sign(store: Path) -> Path:
    """Return the file that stands while store and registry change places."""
    return store.with_name("restore-in-progress")


def refuse_half_restored(store: Path) -> None:
    """Raise :class:`BackupError` where a restore was broken off between two files that belong together."""
    if (sign := _sign(store)).exists():
        raise BackupError(str(sign), "a restore was broken off", "run 'linli-platform restore --replace' again")
