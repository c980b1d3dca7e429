"""The drill: the newest backup brought back beside the running platform, and read.

A backup that nobody has read is a hope.
"""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from pyrage import x25519

from linli_core.instant import Instant, to_rfc3339
from linli_core.log.receiver import Receiver
from linli_platform.backup import restore
from linli_platform.backup.errors import BackupError
from linli_platform.backup.manifest import Manifest, parse_name
from linli_platform.backup.targets import Target
from linli_platform.registry import Registry
from linli_platform.store import of_gateways
from linli_platform.store.duckdb import DuckDBStore


class Check(msgspec.Struct, frozen=True):
    """One thing the drill looked at; ``name`` is a key of the catalogue (``drill.check.…``)."""

    name: str
    passed: bool
    expected: str = ""
    found: str = ""


class Report(msgspec.Struct, frozen=True):
    """What a drill found.

    Attributes:
        at: When it began (RFC 3339).
        backup: Which backup; empty if there was none.
        taken_at: When that was made; empty if there was none.
        passed: Whether all is well.
        error: Why it could not be brought back; empty if it could.
        checks: What was looked at.
        readings: Readings that were read back.
        seconds: How long it took: what a real restore would take here.
    """

    at: str
    backup: str
    taken_at: str
    passed: bool
    error: str = ""
    checks: tuple[Check, ...] = ()
    readings: int = 0
    seconds: float = 0.0


def drill(
    target: Target,
    identities: Iterable[x25519.Identity],
    installation: str | None,
    work: Path,
    now: Instant,
    *,
    wanted: str = restore.NEWEST,
    memory_limit: str = "512MB",
    threads: int = 2,
) -> Report:
    """Bring a backup back into a folder of its own, read it, remove it, and tell."""
    begun = time.monotonic()
    name = taken = ""
    try:
        name = restore.choose(target, wanted, installation)
        parsed = parse_name(name)
        taken = to_rfc3339(parsed.taken_at) if parsed else ""
        work.mkdir(parents=True, exist_ok=True)
        folder, manifest = restore.fetch(target, name, identities, work)
        try:
            place = restore.Place(folder / "store", folder / "registry", folder, memory_limit, threads)
            restore.build(folder / "content", manifest, name, place)
            checks = _look(place, manifest)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BackupError as exc:
        return Report(to_rfc3339(now), name, taken, passed=False, error=str(exc))
    return Report(
        to_rfc3339(now),
        name,
        taken,
        passed=all(check.passed for check in checks),
        checks=checks,
        readings=manifest.readings,
        seconds=round(time.monotonic() - begun, 1),
    )


def _look(place: restore.Place, manifest: Manifest) -> tuple[Check, ...]:
    checks = []

    def compare(name: str, expected: object, found: object) -> None:
        checks.append(Check(name, expected == found, str(expected), str(found)))

    with (
        DuckDBStore(place.store, memory_limit=place.memory_limit, threads=place.threads) as store,
        Registry(place.registry) as registry,
    ):
        compare("readings", manifest.readings, store.count())
        compare("distinct", manifest.readings, store.count_distinct())
        compare("device_times", manifest.device_times, store.count_device_times())
        compare("series", manifest.series, len(store.all_series()))
        newest = max((row.time for row in store.latest()), default=None)
        compare("newest", manifest.last and to_rfc3339(manifest.last), newest and to_rfc3339(newest))
        marks = of_gateways(store.marks())
        compare("marks", manifest.gateways, len(marks))
        # Marks that cannot be read would make every gateway send everything again.
        compare("epochs", len(marks), sum(1 for body in marks.values() if Receiver.restore(body).epoch))
        known = {gateway.id for gateway in registry.gateways()}
        compare("gateways", 0, len(marks.keys() - known))
    return tuple(checks)
