"""Backups of a platform in use: brought back they are what they were, and what is wrong with one is said by name."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import pyrage
import pytest
from pyrage import x25519

from linli_core.instant import DAY, SECOND
from linli_platform.backup import manifest as manifests
from linli_platform.backup import restore as restoring
from linli_platform.backup.cli import show
from linli_platform.backup.drill import drill
from linli_platform.backup.errors import BackupError, Damaged, Foreign, Newer, NoSuchBackup, TargetError, WrongKey
from linli_platform.backup.restore import Place, refuse_half_restored, restore, stored
from linli_platform.backup.take import take
from linli_platform.backup.targets import FolderTarget
from linli_platform.registry import Registry
from linli_platform.store import LatestRow
from linli_platform.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from tests.hub.backup.conftest import Platform

NOW = 1_795_000_000 * SECOND
QUERIES = (
    "SELECT * FROM readings ORDER BY series, time",
    "SELECT * FROM series ORDER BY id",
    "SELECT * FROM event ORDER BY gateway, id",
    "SELECT * FROM quarantine ORDER BY number",
    "SELECT * FROM meta ORDER BY key",
)


def rows(store: DuckDBStore) -> list[list[tuple[object, ...]]]:
    return [store._rows(query, {}) for query in QUERIES]


def envelope(platform: Platform, name: str) -> Path:
    return platform.folder / "backups" / name


def put_back(platform: Platform, where: str = "other", **options: object) -> Place:
    place = platform.place(where)
    restore(platform.target, restoring.NEWEST, [platform.identity], place, NOW + DAY, **options)  # type: ignore[arg-type]
    return place


def test_what_is_brought_back_is_what_was_there(platform: Platform) -> None:
    taken = platform.back_up()
    assert taken.manifest.readings == platform.store.count() == 3 * (60 + 90 + 5)
    assert taken.manifest.device_times == platform.store.count_device_times() == 3 * (60 + 90 + 5) // 5
    assert (taken.manifest.first, taken.manifest.last) == (0, NOW - DAY + 59 * 60 * SECOND)
    place = put_back(platform)
    with DuckDBStore(place.store) as store, Registry(place.registry) as registry:
        assert rows(store) == rows(platform.store)
        assert store.marks() == platform.store.marks()
        assert store.installation == platform.store.installation
        assert store.latest() == [without_receipt(row) for row in platform.store.latest()]
        assert registry.gateways() == platform.registry.gateways()
        assert registry.losses() == platform.registry.losses()
    assert not list(platform.work.iterdir())
    assert not list(place.work.iterdir())


def without_receipt(row: LatestRow) -> LatestRow:
    """A store that was brought back does not know when a reading was received: it never kept that."""
    return msgspec.structs.replace(row, received_at=None)


def test_a_backup_holds_one_instant_while_readings_go_on_coming(platform: Platform) -> None:
    stop = threading.Event()
    committed = threading.Event()

    def write() -> None:
        seq = 100
        try:
            while not stop.is_set():
                platform.append(2, NOW + seq * 3600 * SECOND, seq)
                seq += 1
                committed.set()
        finally:
            committed.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        committed.wait()
        taken = platform.back_up()
        # One at least after the instant that was kept, however seldom the writer has its turn.
        committed.clear()
        committed.wait()
    finally:
        stop.set()
        writer.join()
    place = put_back(platform)
    with DuckDBStore(place.store) as store:
        assert store.count() == taken.manifest.readings < platform.store.count()
        # Marks and readings are of one commit: the last message the marks know is the last one stored, and no other.
        newest = store.read(1, NOW, 2**62, limit=1_000_000)
        received = msgspec.json.decode(store.marks()["gw-a"])["epochs"]["e1"]["received"]
        assert received == [[1, (newest[-1].time - NOW) // (3600 * SECOND)]]


def test_an_empty_platform_has_a_backup_too(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "work").mkdir()
    with Registry(tmp_path / "registry.sqlite") as registry, DuckDBStore(tmp_path / "store.duckdb") as store:
        key = x25519.Identity.generate()
        target = FolderTarget(tmp_path / "backups")
        work = tmp_path / "work"
        assert take(store, registry.path, target, key.to_public(), NOW, work=work).manifest.readings == 0
    place = Place(tmp_path / "other.duckdb", tmp_path / "other.sqlite", work)
    restore(target, "newest", [key], place, NOW)
    with DuckDBStore(place.store) as store:
        assert store.count() == 0


def test_other_tools_open_it_with_the_key_alone(platform: Platform, tmp_path: Path) -> None:
    taken = platform.back_up()
    plain = pyrage.decrypt(envelope(platform, taken.name).read_bytes(), [platform.identity])
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert tar.getnames()[-1] == manifests.NAME
        tar.extractall(tmp_path / "plain", filter="data")
    for name, file in taken.manifest.files.items():
        data = (tmp_path / "plain" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT * FROM '{tmp_path}/plain/store/reading/*.parquet'").fetchall()
    assert len(rows) == taken.manifest.readings


def test_a_truncated_backup_is_refused_at_every_length(platform: Platform) -> None:
    name = platform.back_up().name
    whole = envelope(platform, name).read_bytes()
    step = max(1, len(whole) // 60)
    for length in [*range(0, len(whole), step), len(whole) - 1, len(whole) - 16, len(whole) - 17]:
        envelope(platform, name).write_bytes(whole[:length])
        with pytest.raises(Damaged, match="truncated or was changed"):
            put_back(platform)
    assert not (platform.folder / "other" / "store.duckdb").exists()


def test_a_changed_byte_is_noticed_wherever_it_is(platform: Platform) -> None:
    name = platform.back_up().name
    whole = envelope(platform, name).read_bytes()
    header = whole.index(b"\n---")
    for at in [*range(header + 5, len(whole), max(1, len(whole) // 60)), len(whole) - 1]:
        envelope(platform, name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Damaged, match="truncated or was changed"):
            put_back(platform)


def test_another_key_does_not_open_it(platform: Platform) -> None:
    platform.back_up()
    with pytest.raises(WrongKey, match="none of the keys opens it; give the identity file"):
        restore(platform.target, "newest", [x25519.Identity.generate()], platform.place("other"), NOW)


def repacked(platform: Platform, name: str, change: str) -> None:
    """Change a backup as somebody could who has the recipient, and put it in its place."""
    plain = pyrage.decrypt(envelope(platform, name).read_bytes(), [platform.identity])
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as source, tarfile.open(fileobj=out, mode="w") as sink:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name == manifests.NAME and change == "no manifest":
                continue
            if member.name == manifests.NAME and change == "newer":
                data = data.replace(b'"format": 1', b'"format": 2')
            if member.name == "registry.sqlite" and change == "another registry":
                data = data[:-1] + bytes([data[-1] ^ 1])
            if member.name == "store/series.parquet" and change == "a file less":
                continue
            if member.name == "registry.sqlite" and change == "escape":
                member.name = "../../registry.sqlite"
            member.size = len(data)
            sink.addfile(member, io.BytesIO(data))
    envelope(platform, name).write_bytes(pyrage.encrypt(out.getvalue(), [platform.identity.to_public()]))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ("no manifest", Damaged, "it ends before its manifest; use another backup"),
        ("newer", Newer, "made in format 2, this program knows 1; install the newer linli"),
        ("another registry", Damaged, "registry.sqlite is missing or not as the manifest says"),
        ("a file less", Damaged, "store/series.parquet is missing or not as the manifest says"),
        ("escape", Damaged, r"its archive holds '\.\./\.\./registry\.sqlite', which no backup does"),
    ],
)
def test_an_archive_that_was_made_anew_is_refused(
    platform: Platform, change: str, error: type[BackupError], text: str
) -> None:
    repacked(platform, platform.back_up().name, change)
    with pytest.raises(error, match=text):
        put_back(platform)
    assert not (platform.folder / "other" / "store.duckdb").exists()
    assert not (platform.folder / "registry.sqlite").exists()


def test_a_platforms_data_is_never_overwritten(platform: Platform) -> None:
    platform.back_up()
    place = put_back(platform)
    with DuckDBStore(place.store) as store:
        before = rows(store)
    with pytest.raises(BackupError, match="there is a platform's data already; add --replace"):
        put_back(platform)
    put_back(platform, replace=True)
    aside = sorted(path.name for path in place.store.parent.iterdir() if ".before-" in path.name)
    assert [name.partition(".before-")[0] for name in aside] == ["registry.sqlite", "store.duckdb"]
    with DuckDBStore(place.store.with_name(aside[1])) as store:
        assert rows(store) == before


def test_another_installations_backup_needs_to_be_wanted(platform: Platform) -> None:
    taken = platform.back_up()
    place = platform.place("theirs")
    with Registry(place.registry), DuckDBStore(place.store) as store:
        theirs = store.installation
    assert theirs != platform.store.installation
    with pytest.raises(Foreign, match="holds backups of other installations only"):
        restore(platform.target, "newest", [platform.identity], place, NOW, replace=True)
    with pytest.raises(Foreign, match="it is of installation"):
        restore(platform.target, taken.name, [platform.identity], place, NOW, replace=True)
    with DuckDBStore(place.store) as store:
        assert store.installation == theirs
    restore(platform.target, taken.name, [platform.identity], place, NOW, replace=True, adopt=True)
    with DuckDBStore(place.store) as store:
        assert store.installation == platform.store.installation


def test_the_newest_is_chosen_and_strange_files_are_passed_over(platform: Platform) -> None:
    first, second = platform.back_up(NOW), platform.back_up(NOW + DAY)
    (platform.folder / "backups" / "readme.txt").write_text("not a backup")
    (platform.folder / "backups" / "linli-0-20261325T000000Z.tar.age").write_text("no date")
    assert [str(name) for name in stored(platform.target)] == [first.name, second.name]
    assert restoring.choose(platform.target, "newest", None) == second.name
    with pytest.raises(NoSuchBackup, match="there is no such backup"):
        restore(platform.target, "linli-other", [platform.identity], platform.place("other"), NOW)


def test_no_backup_at_all_is_said(platform: Platform) -> None:
    with pytest.raises(NoSuchBackup, match="the target holds no backup"):
        put_back(platform)


def test_a_restore_that_was_broken_off_is_noticed(platform: Platform) -> None:
    place = platform.place("other")
    (place.store.parent / "restore-in-progress").touch()
    with pytest.raises(BackupError, match="a restore was broken off; run 'linli-platform restore --replace' again"):
        refuse_half_restored(place.store)
    platform.back_up()
    put_back(platform)
    refuse_half_restored(place.store)


def test_a_restore_is_on_the_disk_before_its_sign_goes(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.back_up()
    place = platform.place("other")
    sign, synced, sync = place.store.parent / "restore-in-progress", list[tuple[str, bool, bool]](), os.fsync

    def noted(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        synced.append((name, sign.exists(), place.store.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    put_back(platform)
    folder = place.store.parent.name
    assert synced == [
        ("registry", False, False),
        ("store", False, False),
        (folder, True, False),
        (folder, True, True),
    ]


def test_what_a_killed_drill_left_is_swept_and_what_another_does_is_not(platform: Platform) -> None:
    platform.back_up()
    for name, age in (("restore-killed", 3 * DAY), ("restore-at-work", DAY)):
        (platform.work / name).mkdir()
        moment = time.time() - age / SECOND
        os.utime(platform.work / name, (moment, moment))
    report = drill(platform.target, [platform.identity], platform.store.installation, platform.work, NOW + DAY)
    assert report.passed, report
    assert [path.name for path in platform.work.iterdir()] == ["restore-at-work"]


def test_a_target_that_is_gone_is_named_and_leaves_nothing_behind(platform: Platform) -> None:
    shutil.rmtree(platform.folder / "backups")
    with pytest.raises(TargetError, match="No such file or directory; check the folder"):
        platform.back_up()
    assert not list(platform.work.iterdir())


def test_what_a_killed_backup_left_is_swept(platform: Platform) -> None:
    (platform.work / "backup-killed").mkdir()
    (platform.work / "backup-killed" / "envelope").write_bytes(b"half")
    (platform.folder / "backups" / "linli-x.tar.age.part").write_bytes(b"half")
    taken = platform.back_up()
    assert not list(platform.work.iterdir())
    assert [str(name) for name in stored(platform.target)] == [taken.name]


def test_the_drill_reads_back_what_the_manifest_says(platform: Platform) -> None:
    taken = platform.back_up()
    report = drill(platform.target, [platform.identity], platform.store.installation, platform.work, NOW + DAY)
    assert report.passed, report
    assert (report.backup, report.readings) == (taken.name, taken.manifest.readings)
    assert {check.name for check in report.checks} >= {
        "readings",
        "distinct",
        "device_times",
        "newest",
        "marks",
        "epochs",
    }
    # Each of them has its words in both languages.
    assert "设备自身时间" in show(report, "zh")
    assert len(show(report, "en").splitlines()) >= len(report.checks)
    assert not list(platform.work.iterdir())


def test_the_drill_tells_of_a_gateway_the_registry_lost(platform: Platform) -> None:
    with sqlite3.connect(platform.registry.path) as connection:
        connection.execute("DELETE FROM gateway")
    platform.back_up()
    report = drill(platform.target, [platform.identity], platform.store.installation, platform.work, NOW)
    assert not report.passed
    assert [check.name for check in report.checks if not check.passed] == ["gateways"]


def test_the_drill_tells_of_a_backup_that_cannot_be_opened(platform: Platform) -> None:
    name = platform.back_up().name
    path = envelope(platform, name)
    path.write_bytes(path.read_bytes()[:-1])
    report = drill(platform.target, [platform.identity], None, platform.work, NOW)
    assert not report.passed
    assert "truncated or was changed" in report.error
    assert report.backup == name
