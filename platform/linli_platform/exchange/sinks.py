"""Where exported readings go: line protocol, CSV, Parquet."""

from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import to_rfc3339
from linli_core.model import Quality, quality_code, quality_from_code, quality_label
from linli_core.wire.line_protocol import escaped, line
from linli_platform.exchange import COLUMNS, ExchangeError, Format
from linli_platform.exchange.exporting import NewFile, Sink, unit_of
from linli_platform.store import SeriesInfo
from linli_platform.store.query import Scan

_BAD: Final = quality_code(Quality.BAD)
_MEMORY: Final = "256MB"


def open_sink(path: Path, form: Format) -> Sink:
    """Return what writes a file."""
    if form is Format.PARQUET:
        return ParquetSink(path)
    return LineSink(path) if form is Format.LINES else CsvSink(path)


class _TextSink:
    """A file of text."""

    _head = ""

    def __init__(self, path: Path) -> None:
        self._file = NewFile(path)
        self._open: IO[str] | None = None

    def __enter__(self) -> Self:
        part = self._file.open().part
        self._open = part.open("w", encoding="utf-8", newline="")
        self._put(self._head)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        try:
            self._open.close()
        except OSError as exc:
            self._file.drop()
            raise _full(self._file.path, exc) from exc
        if kind is None:
            self._file.keep()
        else:
            self._file.drop()

    def _put(self, text: str) -> None:
        assert self._open is not None
        try:
            self._open.write(text)
        except OSError as exc:
            raise _full(self._file.path, exc) from exc


class LineSink(_TextSink):
    """Line protocol with nanoseconds: our own form, which imports the fast way."""

    def write(self, infos: dict[int, SeriesInfo], scan: Scan) -> None:
        """Write readings."""
        heads: dict[int, str] = {}
        written = []
        columns = zip(scan.series.tolist(), scan.time.tolist(), scan.value.tolist(), scan.quality.tolist(), strict=True)
        for row, (series, time, value, quality) in enumerate(columns):
            head = heads.get(series)
            if head is None:
                head = heads[series] = _head(infos[series])
            if value == value:  # noqa: PLR0124 - a NaN does not equal itself
                field = "raw" if quality >= _BAD else "value"
                written.append(f"{head} {field}={value!r},quality={quality}i {time}000\n")
            elif (words := scan.texts.get(row)) is not None:
                written.append(f"{_texted(infos[series], words, quality, time)}\n")
            else:
                written.append(f"{head} quality={quality}i {time}000\n")
        self._put("".join(written))


def _tags(info: SeriesInfo) -> dict[str, str]:
    return {"device": info.device, "gateway": info.gateway, "point": info.name}


def _head(info: SeriesInfo) -> str:
    return escaped(info.quantity) + "".join(f",{key}={escaped(value)}" for key, value in _tags(info).items())


def _texted(info: SeriesInfo, words: str, quality: int, time: int) -> str:
    return line(info.quantity, _tags(info), {"text": words, "quality": quality}, time * 1_000)


class CsvSink(_TextSink):
    """CSV with a first line of names."""

    _head = ",".join(COLUMNS) + "\n"

    def write(self, infos: dict[int, SeriesInfo], scan: Scan) -> None:
        """Write readings."""
        known: dict[int, str] = {}
        labels = _labels()
        written = []
        columns = zip(scan.series.tolist(), scan.time.tolist(), scan.value.tolist(), scan.quality.tolist(), strict=True)
        for row, (series, time, value, quality) in enumerate(columns):
            what = known.get(series)
            if what is None:
                info = infos[series]
                what = known[series] = ",".join((info.gateway, info.device, info.name, info.quantity, unit_of(info)))
            if value == value:  # noqa: PLR0124 - a NaN does not equal itself
                held = f",{value!r}," if quality >= _BAD else f"{value!r},,"
            else:
                held = f",,{_quoted(scan.texts.get(row))}"
            written.append(f"{to_rfc3339(time)},{what},{held},{labels[quality]}\n")
        self._put("".join(written))


def _quoted(words: str | None) -> str:
    """Return a text as a cell (RFC 4180 §2)."""
    if words is None:
        return ""
    return '"' + words.replace('"', '""') + '"'


def _labels() -> dict[int, str]:
    """Return the label of each code there may be."""
    return {code: quality_label(*quality_from_code(code)) for code in range(3 * 64)}


class ParquetSink:
    """Parquet, compressed, in the order in which it was written.

    A Parquet file is written in one go; until then readings stand in a file of DuckDB's beside it.
    """

    def __init__(self, path: Path) -> None:
        self._file = NewFile(path)
        self._spool = path.with_name(f".{path.name}.spool")
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._labels = _labels()

    def __enter__(self) -> Self:
        self._file.open()
        self._clear()
        try:
            self._connection = duckdb.connect(str(self._spool), config={"memory_limit": _MEMORY, "threads": 2})
        except duckdb.Error as exc:
            raise ExchangeError(f"{self._file.path}: {exc}; choose another place") from exc
        self._execute(
            "CREATE TABLE exported (time TIMESTAMPTZ, gateway VARCHAR, device VARCHAR, point VARCHAR, quantity VARCHAR,"
            " unit VARCHAR, value DOUBLE, raw DOUBLE, text VARCHAR, quality VARCHAR)"
        )
        self._execute("CREATE TABLE label (code INTEGER, label VARCHAR)")
        assert self._connection is not None
        self._connection.executemany("INSERT INTO label VALUES (?, ?)", list(self._labels.items()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                quoted = str(self._file.part).replace("'", "''")
                self._execute(f"COPY exported TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
                self._file.keep()
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._clear()
            self._file.drop()

    def _clear(self) -> None:
        for suffix in ("", ".wal"):
            self._spool.with_name(self._spool.name + suffix).unlink(missing_ok=True)

    def _execute(self, query: str) -> None:
        assert self._connection is not None
        try:
            self._connection.execute(query)
        except duckdb.Error as exc:
            raise ExchangeError(f"{self._file.path}: {exc}; is there room on the disk?") from exc

    def write(self, infos: dict[int, SeriesInfo], scan: Scan) -> None:
        """Write readings."""
        assert self._connection is not None
        used = [infos[number] for number in np.unique(scan.series).tolist()]
        named: dict[str, NDArray[Any]] = {"id": np.array([info.id for info in used], np.int32)}
        for column in ("gateway", "device", "name", "quantity"):
            named[column] = np.array([getattr(info, column) for info in used], object)
        named["unit"] = np.array([unit_of(info) for info in used], object)
        rows: dict[str, NDArray[Any]] = {
            "row": np.arange(len(scan)),
            "series": scan.series,
            "time": scan.time,
            "value": scan.value,
            "quality": scan.quality,
        }
        text = "NULL"
        if scan.texts:
            rows["text"] = np.array([scan.texts.get(row) for row in range(len(scan))], object)
            text = "CAST(s.text AS VARCHAR)"
        self._connection.register("scan", rows)
        self._connection.register("named", named)
        usable = f"s.quality < {_BAD} AND NOT isnan(s.value)"
        raw = f"s.quality >= {_BAD} AND NOT isnan(s.value)"
        self._execute(
            "INSERT INTO exported SELECT make_timestamptz(s.time), n.gateway, n.device, n.name, n.quantity, n.unit,"  # noqa: S608 - from above
            f" CASE WHEN {usable} THEN s.value END, CASE WHEN {raw} THEN s.value END, {text}, l.label"
            " FROM scan s JOIN named n ON n.id = s.series JOIN label l ON l.code = s.quality ORDER BY s.row"
        )
        self._connection.unregister("scan")
        self._connection.unregister("named")


def _full(path: Path, exc: OSError) -> ExchangeError:
    return ExchangeError(f"{path}: {exc.strerror}; nothing of it is kept: make room, or choose another place")
