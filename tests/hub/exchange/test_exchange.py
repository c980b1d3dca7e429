"""Readings go into files and come back: all of them, unchanged, whatever kills the one who brings them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest
from tests.hub.conftest import Site

from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, to_rfc3339
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire.line_protocol import Precision
from linli_platform import cli
from linli_platform.exchange import ExchangeError, Format, exporting, format_of, importing
from linli_platform.exchange.csv_source import CsvSource
from linli_platform.exchange.importing import MARK, Imported
from linli_platform.exchange.line_source import LineSource
from linli_platform.exchange.parquet_source import ParquetSource
from linli_platform.exchange.sinks import open_sink
from linli_platform.ingest.line_mapping import Rules
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from linli_platform.exchange.portions import Source

NOW = 1_795_000_000_000_000
NAMES = ("meter-1/energy_import.t1", "meter-1/voltage.l1", "room-1/meter_identity", "room-1/air_temperature")
TEXTS = ("plain", 'with "quotes", commas', "two\nlines", "back\\slash\\", "冷库一号", " spaces ", "")
FORMS = pytest.mark.parametrize("form", list(Format))

NO_ANSWER = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
RESET = quality_code(Quality.BAD, Reason.REGISTER_RESET)
DOUBT = quality_code(Quality.UNCERTAIN, Reason.CLOCK_DOUBT)


def fill(store: DuckDBStore, count: int = 2_000) -> None:
    """Store readings of every kind: good, in doubt, bad with a number and without, text."""
    generator = np.random.default_rng(1)
    series, times, values, quality, texts = [], [], [], [], {}
    for number in range(count):
        gateway, name = f"gw-{number % 3}", NAMES[number % len(NAMES)]
        series.append(store.series(gateway, name).id)
        times.append(NOW - 40 * HOUR + number * MINUTE + number % 7)
        code = (0, 0, 0, DOUBT, NO_ANSWER, RESET)[number % 6]
        value = float(generator.normal() * 10.0 ** generator.integers(-9, 9))
        if name.endswith("meter_identity"):
            value, code = np.nan, 0
            texts[number] = TEXTS[number % len(TEXTS)]
        values.append(np.nan if code == NO_ANSWER else value)
        quality.append(code)
    columns = (np.array(series, np.int32), np.array(times, np.int64), np.array(values), np.array(quality, np.uint8))
    store.append(Batch(*columns, NOW, texts), {})


def held(store: DuckDBStore) -> list[tuple[object, ...]]:
    """Return whatever a store holds, in words that can be compared."""
    infos = {info.id: info for info in store.all_series()}
    scan = store.scan(list(infos), 0, 2**62)
    rows = zip(scan.series.tolist(), scan.time.tolist(), scan.value.tolist(), scan.quality.tolist(), strict=True)
    return sorted(
        (
            infos[series].gateway,
            infos[series].name,
            at,
            repr(value),
            code,
            scan.texts.get(row, None) is None,
            scan.texts.get(row, ""),
        )
        for row, (series, at, value, code) in enumerate(rows)
    )


@pytest.fixture
def full(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "full.duckdb") as store:
        fill(store)
        yield store


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "empty.duckdb") as store:
        yield store


def everything() -> exporting.Wanted:
    return exporting.Wanted(0, 2**62)


def export(store: DuckDBStore, path: Path, wanted: exporting.Wanted | None = None) -> int:
    return exporting.run(store, wanted or everything(), open_sink(path, format_of(path, "")))


def bring(store: DuckDBStore, path: Path, gateway: str = "") -> Imported:
    sources: dict[Format, Callable[[], Source]] = {
        Format.LINES: lambda: LineSource(path, store, Precision.NANOSECOND, Rules(gateway), NOW),
        Format.CSV: lambda: CsvSource(path, store, gateway, NOW),
        Format.PARQUET: lambda: ParquetSource(path, store, gateway, NOW),
    }
    return importing.run(path, sources[format_of(path, "")](), store, lambda: NOW)


def file_of(folder: Path, form: Format) -> Path:
    return folder / {Format.LINES: "x.lp", Format.CSV: "x.csv", Format.PARQUET: "it's.parquet"}[form]


def changed(path: Path) -> None:
    """Give a file another time of change: those of two changes within one tick of the machine are the same."""
    moment = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(moment, moment))


@FORMS
def test_what_is_exported_comes_back_as_it_was(
    full: DuckDBStore, empty: DuckDBStore, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 300)
    path = file_of(tmp_path, form)
    assert export(full, path) == 2_000
    assert path.stat().st_mode & 0o777 == 0o600
    done = bring(empty, path)
    assert (done.read, done.new, done.refused) == (2_000, 2_000, 0)
    assert held(empty) == held(full)
    assert not list(tmp_path.glob(".*"))


@FORMS
def test_to_import_again_changes_nothing(full: DuckDBStore, empty: DuckDBStore, tmp_path: Path, form: Format) -> None:
    path = file_of(tmp_path, form)
    export(full, path)
    bring(empty, path)
    before = held(empty)
    again = bring(empty, path)
    assert (again.read, again.before) == (0, again.place.at)
    changed(path)  # read once more, and known to the last reading
    done = bring(empty, path)
    assert (done.read, done.new, done.known, done.conflicts) == (2_000, 0, 2_000, 0)
    assert held(empty) == before


@FORMS
def test_an_import_that_ends_anywhere_goes_on_there(
    full: DuckDBStore, empty: DuckDBStore, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "READINGS", 100)
    monkeypatch.setattr("linli_platform.exchange.line_source.BLOCK", 5_000)
    monkeypatch.setattr("linli_platform.exchange.csv_source.PORTION", 100)
    monkeypatch.setattr("linli_platform.exchange.parquet_source.PORTION", 100)
    path = file_of(tmp_path, form)
    export(full, path)

    class Stopped(Exception):
        pass

    read = 0
    for commits in (1, 3, 7, 1_000):
        left = commits

        def count(_done: Imported) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Stopped

        source: Source = {  # type: ignore[assignment]
            Format.LINES: LineSource(path, empty, Precision.NANOSECOND, Rules(""), NOW),
            Format.CSV: CsvSource(path, empty, "", NOW),
            Format.PARQUET: ParquetSource(path, empty, "", NOW),
        }[form]
        try:
            done = importing.run(path, source, empty, lambda: NOW, count)
        except Stopped:
            assert read < empty.count() < 2_000
            read = empty.count()
        else:
            assert done.before
            assert done.read == done.new == 2_000 - read
    assert held(empty) == held(full)


def test_a_changed_file_is_read_from_its_beginning(empty: DuckDBStore, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"time,gateway,point,value\n{to_rfc3339(NOW)},gw-a,m1/voltage,2x0\n", encoding="utf-8")
    done = bring(empty, path)
    assert (done.read, done.refused, str(done.told[0])) == (0, 1, "line 2: value '2x0' is no number")
    path.write_text(path.read_text(encoding="utf-8").replace("2x0", "230"), encoding="utf-8")
    changed(path)
    assert bring(empty, path).new == 1


def test_only_what_is_asked_for_is_exported(full: DuckDBStore, empty: DuckDBStore, tmp_path: Path) -> None:
    path = tmp_path / "x.lp"
    start, end = NOW - 30 * HOUR, NOW - 20 * HOUR
    wanted = exporting.Wanted(
        start, end, frozenset({"gw-0", "gw-1"}), frozenset({"meter-1"}), quantities=frozenset({"voltage"})
    )
    count = export(full, path, wanted)
    bring(empty, path)
    chosen = [row for row in held(full) if row[0] != "gw-2" and row[1] == NAMES[1] and start <= row[2] < end]  # type: ignore[operator]
    assert held(empty) == chosen
    assert count == len(chosen) > 50
    assert export(full, path, exporting.Wanted(0, 2**62, points=frozenset({NAMES[0]}))) == 500


CSV_BAD = [
    ("now,gw-a,m1/voltage,1,,,good", "time 'now' is no RFC 3339 time with an offset"),
    ("2026-01-01T00:00:00,gw-a,m1/voltage,1,,,good", "time '2026-01-01T00:00:00' is no RFC 3339 time with an offset"),
    ("1999-01-01T00:00:00Z,gw-a,m1/voltage,1,,,good", "915148800000000 µs since 1970: before 2000"),
    ("2036-01-01T00:00:00Z,gw-a,m1/voltage,1,,,good", "2082758400000000 µs since 1970: before 2000, or ahead"),
    ("2026-01-01T00:00:00Z,GW,m1/voltage,1,,,good", "gateway 'GW' is no id"),
    ("2026-01-01T00:00:00Z,,m1/voltage,1,,,good", "no gateway; --gateway names one for all"),
    ("2026-01-01T00:00:00Z,gw-a,voltage,1,,,good", "'voltage' is no point name"),
    ("2026-01-01T00:00:00Z,gw-a,m1/volts,1,,,good", "no quantity is called 'volts'"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,1,1,,good", "value and raw: one value a line"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,,,,good", "neither a value nor a quality that is bad"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,1,,,bad", "value with quality 128: value is usable, raw is bad"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,,1,,good", "raw with quality 0: value is usable, raw is bad"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,nan,,,good", "value 'nan' is no number that fits"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,1_0,,,good", "value '1_0' is no number that fits"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage,1,,,fine", "no quality is called 'fine'; known: good, uncertain, bad"),
    ("2026-01-01T00:00:00Z,gw-a,m1/voltage", "3 cells; 7 are wanted"),
    ('2026-01-01T00:00:00Z,gw-a,m1/voltage,1,,"x"y,good', "',' expected after '\"'"),
]


def test_one_bad_line_of_csv_costs_itself_only(empty: DuckDBStore, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    good = "2026-01-01T00:00:00Z,gw-a,m1/voltage,230.5,,,good"
    lines = ["time,gateway,point,value,raw,text,quality", *(line for line, _ in CSV_BAD), good]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    done = bring(empty, path)
    assert (done.new, done.refused) == (1, len(CSV_BAD))
    for number, (refused, (_, said)) in enumerate(zip(done.told, CSV_BAD, strict=True), 2):
        assert str(refused).startswith(f"line {number}: {said}")


def parquet(path: Path, rows: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    return path


def test_one_bad_row_of_parquet_costs_itself_only(empty: DuckDBStore, tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "x.parquet",
        "SELECT * FROM (VALUES"
        " (TIMESTAMP '2026-01-01', 'gw-a', 'm1/voltage', 1.5, NULL, NULL, 'good'),"
        " (TIMESTAMP '1999-01-01', 'gw-a', 'm1/voltage', 1.5, NULL, NULL, 'good'),"
        " (TIMESTAMP '2026-01-01', 'GW', 'm1/voltage', 1.5, NULL, NULL, 'good'),"
        " (TIMESTAMP '2026-01-01', NULL, NULL, 1.5, NULL, NULL, 'good'),"
        " (TIMESTAMP '2026-01-02', 'gw-a', 'm1/volts', 1.5, NULL, NULL, 'good'),"
        " (TIMESTAMP '2026-01-03', 'gw-a', 'm1/voltage', 1.5, NULL, NULL, 'fine'),"
        " (TIMESTAMP '2026-01-04', 'gw-a', 'm1/voltage', 1.5, NULL, NULL, 'bad'),"
        " (TIMESTAMP '2026-01-05', 'gw-a', 'm1/voltage', 1.5, 1.5, NULL, 'good'),"
        " (TIMESTAMP '2026-01-06', 'gw-a', 'm1/voltage', 'inf'::DOUBLE, NULL, NULL, NULL),"
        " (TIMESTAMP '2026-01-07', 'gw-a', 'm1/voltage', NULL, NULL, NULL, NULL),"
        " (NULL, 'gw-a', 'm1/voltage', 1.5, NULL, NULL, NULL),"
        " (TIMESTAMP '2026-01-08', 'gw-a', 'm1/meter_identity', NULL, NULL, 'SN 1', NULL)"
        ") t(time, gateway, point, value, raw, text, quality)",
    )
    done = bring(empty, path)
    assert [str(refused) for refused in done.told] == [
        "row 2: 915148800000000 µs since 1970: before 2000, or ahead of the present (is the precision right?)",
        "row 3: gateway 'GW' is no id",
        "row 4: no gateway; --gateway names one for all",
        "row 5: no quantity is called 'volts'",
        "row 6: no quality is called 'fine'; known: good, uncertain, bad",
        "row 7: quality 128: value is usable, raw is bad, and a reading without a value is bad",
        "row 8: one value a row",
        "row 9: inf is no number that fits",
        "row 11: 0 µs since 1970: before 2000, or ahead of the present (is the precision right?)",
    ]
    assert (done.new, done.refused) == (3, 9)
    assert [row[3:] for row in held(empty)] == [
        ("nan", 0, False, "SN 1"),
        ("1.5", 0, True, ""),
        ("nan", quality_code(Quality.BAD), True, ""),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("SELECT 1 AS a", "no column time, point, value, gateway (or --gateway); found a"),
        ("SELECT '2026' AS time, 'm1/voltage' AS point, 1 AS value, 'g' AS gateway", "time is VARCHAR, no timestamp"),
    ],
)
def test_a_parquet_file_of_something_else_is_told(empty: DuckDBStore, tmp_path: Path, rows: str, said: str) -> None:
    path = parquet(tmp_path / "x.parquet", rows)
    with pytest.raises(ExchangeError) as caught:
        bring(empty, path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_files_that_are_none_are_told(empty: DuckDBStore, tmp_path: Path) -> None:
    broken = tmp_path / "x.parquet"
    broken.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ExchangeError, match="is it a whole Parquet file"):
        bring(empty, broken)
    table = tmp_path / "x.csv"
    table.write_text("when,what\n", encoding="utf-8")
    with pytest.raises(ExchangeError, match="line 1: no column time, point, value, gateway"):
        bring(empty, table)
    with pytest.raises(ExchangeError, match="cannot be read"):
        bring(empty, tmp_path / "none.lp")
    with pytest.raises(ConfigError, match="give --format lines, csv or parquet"):
        format_of(tmp_path / "x.txt", "")


@FORMS
def test_an_export_that_fails_leaves_nothing_and_what_was_there(
    full: DuckDBStore, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, form)
    path.write_bytes(b"last week's")
    asked = full.scan
    monkeypatch.setattr(exporting, "AT_ONCE", 300)

    def fails_later(*args: object, **named: object) -> object:
        monkeypatch.setattr(full, "scan", lambda *_args, **_named: (_ for _ in ()).throw(ExchangeError("gone")))
        return asked(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(full, "scan", fails_later)
    with pytest.raises(ExchangeError, match="gone"):
        export(full, path)
    assert path.read_bytes() == b"last week's"
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(ExchangeError, match="choose another place"):
        export(full, tmp_path / "nowhere" / path.name)


async def test_the_platform_takes_the_place_in_a_file_for_no_gateway(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    path = tmp_path / "x.lp"
    path.write_text(f"voltage,device=m1,gateway=gw-i value=230 {NOW}000\n", encoding="utf-8")
    site = Site(tmp_path, free_port(), now=NOW)
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        bring(store, path)
        assert any(name.startswith(MARK) for name in store.marks())
    async with site.run() as hub:
        assert [sender.id for sender in hub.ingest._admission.senders()] == ["gw-i"]
        assert [sender.series for sender in hub.ingest._admission.senders()] == [{"m1/voltage": 1}]


def lines(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            at = NOW - count * 1_000_000 + number * 1_000_000
            file.write(f"energy_import,device=m{number % 50},gateway=gw-a value={number}.5,quality=0i {at}000\n")


IN_SMALL_STEPS = """
import sys
from pathlib import Path
from linli_core.wire.line_protocol import Precision
from linli_platform.exchange import importing, line_source
from linli_platform.ingest.line_mapping import Rules
from linli_platform.store.duckdb import DuckDBStore
importing.READINGS, line_source.BLOCK = 5_000, 100_000
path, now = Path(sys.argv[1]), int(sys.argv[3])

def told(done):
    print(done.new, flush=True)
    if done.new >= 40_000:
        sys.stdin.readline()  # whoever kills it has not come to it yet

with DuckDBStore(Path(sys.argv[2])) as store:
    source = line_source.LineSource(path, store, Precision.NANOSECOND, Rules(""), now)
    done = importing.run(path, source, store, lambda: now, told)
    print("done", done.known, done.conflicts, done.refused, flush=True)
"""


def test_an_import_killed_at_any_instant_ends_with_every_reading_once(tmp_path: Path) -> None:
    path, data = tmp_path / "x.lp", tmp_path / "store.duckdb"
    count = 100_000
    lines(path, count)
    command = [sys.executable, "-c", IN_SMALL_STEPS, str(path), str(data), str(NOW)]
    for commits in (1, 4):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(commits):
            assert int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "done 0 0 0"
    with DuckDBStore(data) as store:
        assert store.count() == store.count_distinct() == count
        assert sum(row.value or 0 for row in store.latest()) == sum(count - 50 + number + 0.5 for number in range(50))


def test_the_commands_say_what_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, data = tmp_path / "x.lp", str(tmp_path / "data")
    lines(path, 1_000)
    with path.open("a", encoding="utf-8") as file:
        file.write("energy_import,device=m1,gateway=gw-a value=oops\n")
    assert cli.main(["import", str(path), "--data", data]) == 1
    said = capsys.readouterr()
    assert f"{path}: line 1001: field 'value' has no value that can be read: found 'oops'" in said.err
    assert "1,000 new, 0 there already, 0 there with another value; 1 left out" in said.out
    assert cli.main(["import", str(path), "--data", data, "--lang", "zh"]) == 1
    assert "以前已导入，无需再做（当时略过 1 条）" in capsys.readouterr().out
    out = tmp_path / "out.csv"
    day = to_rfc3339(NOW)[:10]
    assert cli.main(["export", str(out), "--data", data, "--gateway", "gw-a", "--from", day]) == 0
    assert f"1,000 readings written to {out}" in capsys.readouterr().out
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1_001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["export", "x.csv", "--from", "noon"],
            "--from: found 'noon'; write a day (2026-11-25), or a time with its offset",
        ),
        (["export", "x.csv", "--gateway", "gw-z"], "export: no point is chosen; see linli-platform registry list"),
        (["import", "none.lp"], "none.lp: cannot be read (No such file or directory); check the path"),
        (["import", "x.lp", "--gateway", "A B"], "--gateway: 'A B' is no id"),
        (["import", "x.lp", "--precision", "days"], "--precision: no precision is called 'days'; known: ns, us, ms"),
        (["import", "x.lp", "--token", "t"], "--token: the settings name no influx.tokens; give --config"),
    ],
)
def test_a_mistake_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "x.lp", 1)
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        fill(store, 4)
    assert cli.main([*arguments, "--data", "."]) == 2
    assert capsys.readouterr().err.startswith(f"linli-platform: {said}")
