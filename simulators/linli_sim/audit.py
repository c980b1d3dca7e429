"""What became of every reading: the gateways' logs against the platform's store, counted apart from both.

The logs keep what was acknowledged for days, so after a run they still hold every reading that was polled. They are
read with nothing but SQLite and JSON, and the store with nothing but SQL: a mistake in Linli's own codec or queries
cannot hide itself here. Run it when gateways and platform have stopped.
"""

import contextlib
import json
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

_MICROSECONDS: Final = 1_000_000
_EXAMPLES: Final = 5
TELEMETRY_IN_LOG: Final = "SELECT kind, body FROM message WHERE kind & 1 = 0 ORDER BY seq"
_COMPRESSED: Final = 2

Key = tuple[str, str]
"""Gateway and point name."""


@dataclass
class Audit:
    """What was found.

    Attributes:
        polled: Distinct (series, time) in the gateways' logs, BAD ones included, and what the logs had to evict.
        stored: Rows in the store.
        lost: Polled and not stored.
        doubled: Rows beyond the first of each (series, time).
        bad: Of those polled, the ones that are BAD.
        unknown: Stored, though no log holds them: readings nobody polled.
        examples: A few of those lost or unknown, for whoever looks for the reason.
        raised, cleared: Alarms.
        loss_ledger: The platform's, oldest first.
    """

    polled: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    bad: int = 0
    unknown: int = 0
    examples: list[str] = field(default_factory=list)
    raised: int = 0
    cleared: int = 0
    loss_ledger: list[dict[str, Any]] = field(default_factory=list)


def audit(outboxes: Mapping[str, Path], store: Path, registry: Path) -> Audit:
    """Compare logs, store and registry of a community that has stopped.

    Args:
        outboxes: Each gateway's log; one that was never made counts as empty.
        store: The platform's store.
        registry: Its registry.

    Raises:
        sqlite3.Error, duckdb.Error: One of the files cannot be read.
    """
    found = Audit()
    polled: dict[Key, set[int]] = defaultdict(set)
    for gateway, path in outboxes.items():
        if path.exists():
            _count_polled(gateway, path, polled, found)
    stored = _count_stored(store, found)
    found.polled = sum(len(times) for times in polled.values())
    for key in polled.keys() | stored.keys():
        missing = polled.get(key, set()) - stored.get(key, set())
        unknown = stored.get(key, set()) - polled.get(key, set())
        found.lost += len(missing)
        found.unknown += len(unknown)
        for what, times in (("lost", missing), ("not polled", unknown)):
            if times and len(found.examples) < _EXAMPLES:
                found.examples.append(f"{what}: {'/'.join(key)} at {min(times)}")
    _read_registry(registry, found)
    evicted = sum(entry["readings"] or 1 for entry in found.loss_ledger if not entry["cause"].startswith("refused:"))
    # Their bodies are gone: the ledger's word is all there is.
    found.polled += evicted
    found.lost += evicted
    return found


def pack_records(body: bytes) -> Iterator[tuple[str, int, bool]]:
    """Return full name, time in microseconds and whether it is BAD, of each record of a SenML JSON pack."""
    name, time = "", Decimal(0)
    for record in json.loads(body, parse_float=Decimal, parse_int=Decimal):
        name = record.get("bn", name)
        time = record.get("bt", time)
        observed = (time + record.get("t", Decimal(0))) * _MICROSECONDS
        yield name + record.get("n", ""), int(observed.to_integral_value()), record.get("q", "good").startswith("bad")


def body_of(kind: int, body: bytes) -> bytes:
    """Return a body of the gateway's log as it was before the log compressed it."""
    return zlib.decompress(body) if kind & _COMPRESSED else body


def _count_polled(gateway: str, path: Path, polled: dict[Key, set[int]], found: Audit) -> None:
    prefix = f"{gateway}/"
    eras = _eras(path.with_name("clock.json"))
    with contextlib.closing(_open(path)) as log:
        for kind, stored in log.execute(TELEMETRY_IN_LOG):
            body = body_of(kind, stored)
            began, delta = eras.get(json.loads(body)[0].get("era", ""), (0, 0))
            for full_name, provisional, bad in pack_records(body):
                time = provisional + delta if provisional >= began else provisional
                times = polled[gateway, full_name.removeprefix(prefix)]
                found.bad += bad and time not in times
                times.add(time)


def _eras(path: Path) -> dict[str, tuple[int, int]]:
    """Return by name from when on, and by how much, stamps from before the time was known are off."""
    if not path.exists():
        return {}
    eras = json.loads(path.read_bytes()).get("eras", {})
    return {name: (era["began"], era.get("delta") or 0) for name, era in eras.items()}


def _count_stored(store: Path, found: Audit) -> Mapping[Key, set[int]]:
    stored: dict[Key, set[int]] = defaultdict(set)
    with duckdb.connect(str(store), read_only=True) as database:
        rows = database.execute("SELECT gateway, name, time FROM readings JOIN series ON series.id = readings.series")
        while batch := rows.fetchmany(10_000):
            found.stored += len(batch)
            for gateway, name, time in batch:
                times = stored[gateway, name]
                found.doubled += time in times
                times.add(time)
    return stored


def _read_registry(registry: Path, found: Audit) -> None:
    with contextlib.closing(_open(registry)) as database:
        database.row_factory = sqlite3.Row
        counts = dict(database.execute("SELECT event, count(*) FROM alarm_change GROUP BY event").fetchall())
        found.raised = counts.get("raise", 0)
        found.cleared = counts.get("return", 0) + counts.get("return_latched", 0)
        found.loss_ledger = [
            dict(row)
            for row in database.execute(
                'SELECT gateway, epoch, "first", "last", cause, observed_from, observed_to, readings, booked_at'
                " FROM loss ORDER BY booked_at, id"
            )
        ]


def raised_alarms(registry: Path) -> set[tuple[str, str]]:
    """Return rule and subject of every alarm that was ever raised."""
    with contextlib.closing(_open(registry)) as database:
        return set(database.execute("SELECT rule, subject FROM alarm"))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
