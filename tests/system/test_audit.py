"""The audit finds what was lost, doubled and made up; one that finds nothing would prove nothing."""

import sqlite3
import zlib
from pathlib import Path

import pytest

from linli_edge.outbox.store import SCHEMA
from linli_platform.store import schema
from linli_sim.audit import Audit, audit, pack_records

START = 1_700_000_000_000_000
PACK = (
    b'[{"bn":"gw-1/","bt":1700000000,"n":"m/active_power","u":"W","v":1},'
    b'{"n":"m/active_power","u":"W","v":2,"t":1.5},'
    b'{"n":"m/voltage","q":"bad/no_communication","t":1.5}]'
)


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as log:
        log.executescript(SCHEMA)
        log.execute("INSERT INTO message VALUES (1, 2, 1, 0, 0, 3, ?, NULL)", (zlib.compress(PACK),))
        log.execute("INSERT INTO message VALUES (2, 1, 0, 0, 0, 0, ?, NULL)", (b'{"type":"linli.link.down"}',))
    log.close()
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE alarm_change (event TEXT);
            INSERT INTO alarm_change VALUES ('raise'), ('return'), ('raise'), ('acknowledge');
            CREATE TABLE loss (id INTEGER PRIMARY KEY, gateway, epoch, first, last, cause, observed_from, observed_to,
                readings, booked_at);
            """
        )
    database.close()
    return path


def audited(outbox: Path, registry: Path, rows: list[tuple[int, int]]) -> Audit:
    store = registry.parent / "store.duckdb"
    with schema.connect(store, "128MiB", 1) as database:
        database.execute("INSERT INTO series VALUES (1, 'gw-1', 'm', 'm/active_power', 'active_power')")
        database.execute("INSERT INTO series VALUES (2, 'gw-1', 'm', 'm/voltage', 'voltage')")
        for series, offset in rows:
            database.execute("INSERT INTO reading VALUES (?, ?, 1.0, NULL, 0)", [series, START + offset])
    return audit({"gw-1": outbox, "gw-2": outbox.with_name("none.db")}, store, registry)


def test_what_is_stored_once_balances(outbox: Path, registry: Path) -> None:
    found = audited(outbox, registry, [(1, 0), (1, 1_500_000), (2, 1_500_000)])
    assert (found.polled, found.stored, found.bad) == (3, 3, 1)
    assert (found.lost, found.doubled, found.unknown) == (0, 0, 0)
    assert (found.raised, found.cleared) == (2, 1)


def test_what_is_not_stored_is_lost_and_named(outbox: Path, registry: Path) -> None:
    found = audited(outbox, registry, [(1, 0), (1, 1_500_000)])
    assert (found.lost, found.doubled, found.unknown) == (1, 0, 0)
    assert found.examples == [f"lost: gw-1/m/voltage at {START + 1_500_000}"]


def test_what_is_stored_twice_is_doubled(outbox: Path, registry: Path) -> None:
    found = audited(outbox, registry, [(1, 0), (1, 0), (1, 0), (1, 1_500_000), (2, 1_500_000)])
    assert (found.stored, found.lost, found.doubled) == (5, 0, 2)


def test_a_reading_at_another_time_is_lost_and_made_up(outbox: Path, registry: Path) -> None:
    found = audited(outbox, registry, [(1, 0), (1, 1_500_001), (2, 1_500_000)])
    assert (found.lost, found.doubled, found.unknown) == (1, 0, 1)


def test_what_a_log_evicted_is_lost(outbox: Path, registry: Path) -> None:
    with sqlite3.connect(registry) as database:
        database.execute("INSERT INTO loss VALUES (1, 'gw-1', 'e', 3, 4, 'space', 1, 2, 7, 9)")
    database.close()
    found = audited(outbox, registry, [(1, 0), (1, 1_500_000), (2, 1_500_000)])
    assert (found.polled, found.stored, found.lost) == (10, 3, 7)
    assert [entry["cause"] for entry in found.loss_ledger] == ["space"]


def test_a_pack_is_read_without_the_codec() -> None:
    assert list(pack_records(PACK)) == [
        ("gw-1/m/active_power", START, False),
        ("gw-1/m/active_power", START + 1_500_000, False),
        ("gw-1/m/voltage", START + 1_500_000, True),
    ]
