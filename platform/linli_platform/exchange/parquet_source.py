"""Readings in a Parquet file, read by DuckDB a stretch of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import DAY, Instant
from linli_core.model import Quality, quality_code
from linli_platform.exchange import ExchangeError
from linli_platform.exchange.csv_source import code_of, series_of
from linli_platform.exchange.portions import NAMED, Place, Portion, out_of_range
from linli_platform.ingest.settings import Limits
from linli_platform.store import Store

PORTION: Final = 500_000
"""Rows of one portion."""

_BAD: Final = quality_code(Quality.BAD)
_EARLIEST: Final = Limits().earliest
_MEMORY: Final = "256MB"
_MOST_POINTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file. A place in it counts rows.

    Attributes:
        path: The file.
        store: Where the series are.
        gateway: The gateway of rows that name none; may be empty.
        now: What lies more than a day ahead of it is refused.
    """

    path: Path
    store: Store
    gateway: str
    now: Instant

    @property
    def size(self) -> int:
        """Rows of the file."""
        try:
            with self._opened() as connection:
                return self._count(connection)
        except duckdb.Error as exc:
            raise ExchangeError(f"{self.path}: {exc}; is it a whole Parquet file?") from exc

    def _count(self, connection: duckdb.DuckDBPyConnection) -> int:
        query = "SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata(?)"
        return int(connection.execute(query, [str(self.path)]).fetchall()[0][0])

    def _opened(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(config={"memory_limit": _MEMORY, "autoload_known_extensions": "false"})

    def portions(self, start: Place) -> Iterator[Portion]:
        """Return what stands from a row on."""
        try:
            with self._opened() as connection:
                asked = self._columns(connection)
                count = self._count(connection)
                points = self._points(connection, asked)
                labels = self._labels(connection, asked)
                for first in range(start.at, count, PORTION):
                    yield self._portion(connection, asked, points, labels, first, min(first + PORTION, count))
        except duckdb.Error as exc:
            raise ExchangeError(f"{self.path}: {exc}; is it a whole Parquet file?") from exc

    def _columns(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Return by our name of each column how it is asked for; a column that may be missing is NULL then."""
        found = {
            str(name): str(kind)
            for name, kind, *_ in connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?)", [str(self.path)]
            ).fetchall()
        }
        missing = [name for name in ("time", "point") if name not in found]
        if not found.keys() & {"value", "raw", "text"}:
            missing.append("value")
        if "gateway" not in found and not self.gateway:
            missing.append("gateway (or --gateway)")
        if missing or not found["time"].startswith("TIMESTAMP"):
            what = f"no column {', '.join(missing)}" if missing else f"time is {found['time']}, no timestamp"
            raise ExchangeError(
                f"{self.path}: {what}; found {', '.join(found)[:200]}; the columns are those of an export"
            )
        kinds = {"value": "DOUBLE", "raw": "DOUBLE", "text": "VARCHAR", "quality": "VARCHAR", "gateway": "VARCHAR"}
        return {
            "time": "epoch_us(time)",
            "point": "CAST(point AS VARCHAR)",
            **{name: f"CAST({name if name in found else 'NULL'} AS {kind})" for name, kind in kinds.items()},
        }

    def _points(self, connection: duckdb.DuckDBPyConnection, asked: dict[str, str]) -> "_Points":
        pairs = connection.execute(
            f"SELECT DISTINCT coalesce({asked['gateway']}, '') AS gateway, coalesce({asked['point']}, '') AS point"  # noqa: S608 - from above
            " FROM read_parquet(?) LIMIT ?",
            [str(self.path), _MOST_POINTS + 1],
        ).fetchall()
        if len(pairs) > _MOST_POINTS:
            raise ExchangeError(f"{self.path}: more than {_MOST_POINTS} points; split the file")
        ids, reasons = [], {}
        for number, (gateway, name) in enumerate(pairs):
            try:
                ids.append(series_of(self.store, gateway or self.gateway, name, "row"))
            except Refused as refused:
                ids.append(-1 - number)
                reasons[-1 - number] = refused
        columns = {
            "gateway": np.array([pair[0] for pair in pairs], object),
            "point": np.array([pair[1] for pair in pairs], object),
            "id": np.array(ids, np.int64),
        }
        connection.register("known_points", columns)
        connection.execute("CREATE TEMP TABLE points AS SELECT * FROM known_points")
        return reasons

    def _labels(self, connection: duckdb.DuckDBPyConnection, asked: dict[str, str]) -> dict[int, Refused]:
        labels = connection.execute(
            f"SELECT DISTINCT {asked['quality']} FROM read_parquet(?) WHERE {asked['quality']} IS NOT NULL LIMIT 1000",  # noqa: S608
            [str(self.path)],
        ).fetchall()
        codes, reasons = [], {}
        for number, (label,) in enumerate(labels):
            try:
                codes.append(code_of(label, "row"))
            except Refused as refused:
                codes.append(1_000 + number)
                reasons[1_000 + number] = refused
        columns = {"label": np.array([label for (label,) in labels], object), "code": np.array(codes, np.int64)}
        connection.register("known_labels", columns)
        connection.execute("CREATE TEMP TABLE labels AS SELECT CAST(label AS VARCHAR) AS label, code FROM known_labels")
        return reasons

    def _portion(
        self,
        connection: duckdb.DuckDBPyConnection,
        asked: dict[str, str],
        points: "_Points",
        labels: dict[int, Refused],
        first: int,
        beyond: int,
    ) -> Portion:
        found = connection.execute(
            "SELECT r.row AS row, coalesce(r.time, 0) AS time, p.id AS id, coalesce(r.value, 'NaN'::DOUBLE) AS value,"  # noqa: S608 - from above
            " coalesce(r.raw, 'NaN'::DOUBLE) AS raw, r.text AS text, coalesce(l.code,"
            f" CASE WHEN r.value IS NULL AND r.text IS NULL THEN {_BAD} ELSE 0 END) AS code,"
            " CAST(r.value IS NOT NULL AS INTEGER) + 2 * CAST(r.raw IS NOT NULL AS INTEGER)"
            " + 4 * CAST(r.text IS NOT NULL AS INTEGER) AS held FROM ("
            f"SELECT file_row_number AS row, {', '.join(f'{how} AS {name}' for name, how in asked.items())}"
            " FROM read_parquet($path, file_row_number = true)"
            " WHERE file_row_number >= $first AND file_row_number < $beyond) r"
            " JOIN points p ON p.gateway = coalesce(r.gateway, '') AND p.point = coalesce(r.point, '')"
            " LEFT JOIN labels l ON l.label = r.quality ORDER BY r.row",
            {"path": str(self.path), "first": first, "beyond": beyond},
        ).fetchnumpy()
        plain: dict[str, NDArray[Any]] = {
            name: np.asarray(np.ma.getdata(column)) for name, column in found.items() if name != "text"
        }
        text_of = found["text"]
        good, refused = self._judged(plain, points, labels)
        rows = np.flatnonzero(good)
        held = plain["held"][rows]
        values = np.where(held == 2, plain["raw"][rows], plain["value"][rows])
        texts = {place: str(text_of[rows[place]]) for place in np.flatnonzero(held == 4).tolist()}
        named = refused[:NAMED]
        return Portion(
            plain["id"][rows].astype(np.int32),
            plain["time"][rows].astype(np.int64),
            np.where(held == 4, np.nan, values),
            plain["code"][rows].astype(np.uint8),
            texts,
            named,
            len(refused) - len(named),
            Place(beyond, beyond),
        )

    def _judged(
        self, rows: dict[str, NDArray[Any]], points: "_Points", labels: dict[int, Refused]
    ) -> tuple[NDArray[np.bool_], list[tuple[int, Refused]]]:
        """Return which rows are readings, and why the others are none."""
        held, code, time = rows["held"], rows["code"], rows["time"]
        in_time = (time >= _EARLIEST) & (time <= self.now + DAY)
        number = np.where(held == 2, rows["raw"], rows["value"])
        finite = (held == 0) | (held == 4) | np.isfinite(number)
        one = (held == 0) | (held == 1) | (held == 2) | (held == 4)
        fits = ((held != 1) | (code < _BAD)) & ((held != 2) | (code >= _BAD)) & ((held != 0) | (code >= _BAD))
        good = (rows["id"] > 0) & (code < 1_000) & in_time & finite & one & fits
        refused = []
        for row in np.flatnonzero(~good).tolist():
            line = int(rows["row"][row]) + 1
            known = points.get(int(rows["id"][row])) or labels.get(int(code[row]))
            if known is not None:
                why = Refused(known.reason, str(known).partition(": ")[2], where=f"row {line}")
            elif not in_time[row]:
                why = out_of_range(int(time[row]), f"row {line}")
            elif not one[row]:
                why = Refused(RefusalReason.MANY_VALUES, "one value a row", where=f"row {line}")
            elif not finite[row]:
                why = Refused(RefusalReason.NOT_FINITE, f"{number[row]} is no number that fits", where=f"row {line}")
            else:
                what = "value is usable, raw is bad, and a reading without a value is bad"
                why = Refused(RefusalReason.WRONG_TYPE, f"quality {code[row]}: {what}", where=f"row {line}")
            refused.append((line, why))
        return good, refused


_Points = dict[int, Refused]
"""Why the points are refused that are none, by the number that stands for them."""
