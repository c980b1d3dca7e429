"""What InfluxDB is asked, in the InfluxQL that all its versions know; answers are read as they come."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, Instant
from linli_core.model import Quality, quality_code
from linli_platform.store import SeriesInfo, StoreError, StoreUnavailable
from linli_platform.store.influx_lines import EARLIEST, LATEST
from linli_platform.store.query import MOST_STEPS, Measure, Scan, Steps, Windows, refuse_more
from linli_platform.store.served import Newest, Span
from linli_platform.store.server import Server

_STATEMENTS: Final = 200
"""Statements of one request."""

_ROWS: Final = 10_000
"""Rows of one piece of an answer."""

_SHORT: Final = 14 * DAY
_UNCERTAIN: Final = quality_code(Quality.UNCERTAIN)
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
_FIELDS: Final = ("value", "raw", "text", "quality")
_MEASURES: Final = {
    Measure.COUNT: "count",
    Measure.SUM: "sum",
    Measure.MINIMUM: "min",
    Measure.MAXIMUM: "max",
    Measure.FIRST: "first",
    Measure.LAST: "last",
}


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Any]] = []
    name: str = ""
    tags: dict[str, str] = {}


class _Result(msgspec.Struct):
    statement_id: int = 0
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_decoder: Final = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class Influx:
    """One database of a server, or one bucket of an organisation: with ``org`` it is spoken to as version 2."""

    server: Server
    database: str
    org: str = ""

    def write(self, lines: bytes) -> None:
        """Write line protocol, its times in microseconds; durable on return."""
        if self.org:
            query = {"org": self.org, "bucket": self.database, "precision": "us"}
            self.server.call("POST", "/api/v2/write", query, body=lines)
        else:
            self.server.call("POST", "/write", {"db": self.database, "precision": "u"}, body=lines)

    def make(self, retention: int, *, known: bool = False) -> None:
        """Make the database if it is absent, and have it keep readings for so many µs; 0 for ever.

        One that is ``known`` was made before: where it is absent, its readings are gone, or this is another server.
        """
        if self.org:
            return  # version 2 makes buckets, and what they keep, by its own means only
        name = quoted(self.database)
        there = {str(row["name"]) for _, found in self.execute("SHOW DATABASES") for row in _rows(found)}
        if known and self.database not in there:
            raise StoreUnavailable(
                f"{self.server.url}: database {name} is not there any more; correct [store] url, restore the database,"
                f" or, to go on without its readings, make it: CREATE DATABASE {name}"
            )
        self.execute(f"CREATE DATABASE {name}")
        policies = self.execute(f"SHOW RETENTION POLICIES ON {name}")
        default = [row["name"] for _, found in policies for row in _rows(found) if row["default"]]
        if len(default) != 1:
            raise StoreUnavailable(f"{self.server.url}: database {name} has no default retention policy; make one")
        duration = f"{retention // DAY}d SHARD DURATION {1 if retention <= _SHORT else 7}d" if retention else "INF"
        self.execute(f"ALTER RETENTION POLICY {quoted(default[0])} ON {name} DURATION {duration}")

    def execute(self, statement: str) -> list[tuple[int, _Series]]:
        """Run one statement that may change something."""
        return list(self.ask([statement]))

    def ask(self, statements: Sequence[str]) -> Iterator[tuple[int, _Series]]:
        """Yield which statement is answered and a piece of its answer; statements come one after the other."""
        for begin in range(0, len(statements), _STATEMENTS):
            query = {"db": self.database, "epoch": "u", "chunked": "true", "chunk_size": str(_ROWS)}
            body = urlencode({**query, "q": ";".join(statements[begin : begin + _STATEMENTS])}).encode()
            for line in self.server.lines("POST", "/query", body=body, headers=_FORM):
                try:
                    answer = _decoder.decode(line)
                except msgspec.DecodeError as exc:
                    raise StoreError(f"{self.server.url}: an answer that is none of InfluxDB's: {exc}") from exc
                for result in answer.results:
                    if error := answer.error or result.error:
                        raise self._failure(error)
                    for series in result.series:
                        yield begin + result.statement_id, series
                if answer.error:
                    raise self._failure(answer.error)

    def _failure(self, error: str) -> StoreError:
        if "database not found" in error:
            return StoreUnavailable(f"{self.server.url}: {error}; start the platform again, and it is made")
        return StoreError(f"{self.server.url}: {error}")


def quoted(name: str) -> str:
    """Return a name as InfluxQL's identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """Return a text as InfluxQL's string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def between(start: Instant, end: Instant) -> str:
    """Return the condition ``start <= time < end``, cut to what the server's clock can say."""
    return f"time >= {max(EARLIEST, start) * 1000} AND time < {min(LATEST, end) * 1000}"


def of(info: SeriesInfo) -> str:
    """Return the condition that chooses a series within its measurement."""
    return f'"gateway" = {literal(info.gateway)} AND "point" = {literal(info.name)}'


def fetch(influx: Influx, spans: Sequence[Span], infos: Mapping[int, SeriesInfo], *, texts: bool, limit: int) -> Scan:
    """Return the first readings of spans; see :class:`linli_platform.store.served.ServedStore`."""
    spans = [span for span in spans if span.series in infos and span.start < span.end]
    if limit < 1:
        spans = []
    fields = ", ".join(quoted(name) for name in _FIELDS if texts or name != "text")
    statements = [
        f"SELECT {fields} FROM {quoted(infos[span.series].quantity)}"  # noqa: S608 - names and values are quoted
        f" WHERE {of(infos[span.series])} AND {between(span.start, span.end)} LIMIT {limit}"
        for span in spans
    ]
    gathered = _Gathered()
    for number, piece in influx.ask(statements):
        gathered.take(spans[number].series, piece, limit)
        if gathered.size >= limit:
            break
    return gathered.scan()


@dataclass(slots=True)
class _Gathered:
    """Pieces of a scan, as columns."""

    columns: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]] = field(
        default_factory=list
    )
    texts: dict[int, str] = field(default_factory=dict)
    size: int = 0

    def take(self, series: int, piece: _Series, limit: int) -> None:
        rows = piece.values[: limit - self.size]
        if not rows:
            return
        column = dict(zip(piece.columns, zip(*rows, strict=True), strict=True))
        time = np.array(column["time"], np.int64)
        usable, raw = np.array(column["value"], np.float64), np.array(column["raw"], np.float64)
        quality = np.array(column["quality"], np.float64)
        told = ~np.isnan(quality)  # a line without quality is not ours
        value = np.where(np.isnan(usable), raw, usable)[told]
        count = int(told.sum())
        self.columns.append((np.full(count, series, np.int32), time[told], value, quality[told].astype(np.uint8)))
        if "text" in column:
            kept = (text for text, ours in zip(column["text"], told.tolist(), strict=True) if ours)
            self.texts.update((self.size + place, text) for place, text in enumerate(kept) if text is not None)
        self.size += count

    def scan(self) -> Scan:
        series, time, value, quality = (
            zip(*self.columns, strict=True)
            if self.columns
            else ([np.empty(0)], [np.empty(0)], [np.empty(0)], [np.empty(0)])
        )
        return Scan(
            series=np.concatenate(series).astype(np.int32, copy=False),
            time=np.concatenate(time).astype(np.int64, copy=False),
            value=np.concatenate(value).astype(np.float64, copy=False),
            quality=np.concatenate(quality).astype(np.uint8, copy=False),
            texts=self.texts,
        )


def newest(influx: Influx, series: Sequence[SeriesInfo]) -> Iterator[Newest]:
    """Yield the newest reading of series, each field's last asked for apart: of one time they are one reading."""
    if not series:
        return
    ids = {(info.gateway, info.name, info.quantity): info.id for info in series}
    chosen = f" WHERE {of(series[0])}" if len(series) == 1 else ""
    statements = [
        f'SELECT last("{name}") FROM /.*/{chosen} GROUP BY "gateway", "point"'  # noqa: S608 - values are quoted
        for name in _FIELDS
    ]
    last: dict[int, dict[str, tuple[int, Any]]] = {}
    for number, piece in influx.ask(statements):
        found = ids.get((piece.tags.get("gateway", ""), piece.tags.get("point", ""), piece.name))
        if found is not None and piece.values:
            last.setdefault(found, {})[_FIELDS[number]] = (piece.values[0][0], piece.values[0][1])
    bare = []
    for number, fields in last.items():
        if "quality" not in fields:
            continue
        time, quality = fields["quality"]
        now = {name: value for name, (at, value) in fields.items() if at == time}
        if len(now) > 1:
            yield Newest(number, time, now.get("value", now.get("raw")), now.get("text"), quality)
        else:
            bare.append(Span(number, time, time + 1))
    # Nothing but its quality; or others write newer fields into our series.
    scan = fetch(influx, bare, {info.id: info for info in series}, texts=True, limit=len(bare))
    for place, (number, time, value, quality) in enumerate(scan.rows()):
        yield Newest(number, time, value, scan.texts.get(place), quality)


def steps(
    influx: Influx,
    infos: Mapping[int, SeriesInfo],
    groups: Mapping[int, int],
    windows: Windows,
    wanted: frozenset[Measure],
    most: int = MOST_STEPS,
) -> Steps | None:
    """Return what groups come to, reckoned by the server; ``None`` if it cannot: a group of several quantities.

    With more than ``most`` windows of groups it is :class:`linli_platform.store.query.TooManyReadings`.
    """
    members: dict[int, list[SeriesInfo]] = {}
    for number, group in groups.items():
        if number in infos:
            members.setdefault(group, []).append(infos[number])
    if any(len({info.quantity for info in some}) > 1 for some in members.values()):
        return None
    # The count tells a window that holds something from one that holds nothing.
    order = sorted(wanted | {Measure.COUNT})
    columns = ", ".join(f'{_MEASURES[measure]}("value") AS "{measure.value}"' for measure in order)
    runs = list(_runs(windows))
    asked, statements = [], []
    for group in sorted(members):
        some = members[group]
        chosen = " OR ".join(f"({of(info)})" for info in some)
        for run in runs:
            asked.append((group, run))
            statements.append(
                f"SELECT {columns} FROM {quoted(some[0].quantity)}"  # noqa: S608 - names and values are quoted
                f" WHERE ({chosen}) AND {between(run.start, run.end)}{run.grouping}"
            )
    place = 1 + order.index(Measure.COUNT)
    group_of, window, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty((0, len(order)), np.float64)]
    held = 0
    for number, piece in influx.ask(statements):
        group, run = asked[number]
        rows = [row for row in piece.values if row[place]]
        held += len(rows)
        refuse_more(held, most)
        if rows:
            group_of.append(np.full(len(rows), group, np.int32))
            window.append(np.array([run.number_of(row[0]) for row in rows], np.int32))
            values.append(np.array([row[1:] for row in rows], np.float64))
    columns_of = np.concatenate(values)
    return Steps(
        group=np.concatenate(group_of),
        window=np.concatenate(window),
        measures={measure: columns_of[:, order.index(measure)].copy() for measure in wanted},
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Windows of one length that follow each other, as the server can reckon them in one statement.

    Attributes:
        first: Number of the first window.
        origin: Where that begins, if it were not cut short.
        start, end: Where readings are taken from.
        step: Length of a window.
    """

    first: int
    origin: int
    start: int
    end: int
    step: int

    @property
    def is_one(self) -> bool:
        """Whether it is one window: it may be of all time, for which the server has no length."""
        return self.end <= self.origin + self.step

    @property
    def grouping(self) -> str:
        """What is written behind the condition, so that windows are told apart."""
        return "" if self.is_one else f" GROUP BY time({self.step}u, {self.origin % self.step}u) fill(none)"

    def number_of(self, time: int) -> int:
        """Return the window of a row of the answer."""
        return self.first if self.is_one else self.first + (time - self.origin) // self.step


def _runs(windows: Windows) -> Iterator[_Run]:
    """Yield windows in runs: days in which no clock is set are one, the days of 23 and 25 hours others."""
    edges = windows.edges.tolist()
    if step := windows.step:
        yield _Run(0, windows.origin, edges[0], edges[-1], step)
        return
    first = 0
    for number in range(1, len(edges)):
        step = edges[first + 1] - edges[first]
        if number == len(edges) - 1 or edges[number + 1] - edges[number] != step:
            yield _Run(first, edges[first], edges[first], edges[number], step)
            first = number


def withdraw(influx: Influx, spans: Iterable[Span], infos: Mapping[int, SeriesInfo]) -> None:
    """Take out what is in spans."""
    statements = [
        f"DELETE FROM {quoted(infos[span.series].quantity)}"  # noqa: S608 - names and values are quoted
        f" WHERE {of(infos[span.series])} AND {between(span.start, span.end)}"
        for span in spans
        if span.series in infos
    ]
    for _ in influx.ask(statements):
        pass


def counts(
    influx: Influx, find: Callable[[str, str], SeriesInfo | None], start: Instant, end: Instant
) -> dict[int, tuple[int, int]]:
    """Return by series how many readings there are with ``start <= time < end``, and how many are GOOD."""
    query = f'SELECT count("quality") FROM /.*/ WHERE {between(start, end)}'  # noqa: S608 - two numbers
    found: dict[int, list[int]] = {}
    for number, piece in influx.ask(
        [f'{query}{more} GROUP BY "gateway", "point"' for more in ("", f' AND "quality" < {_UNCERTAIN}')]
    ):
        info = find(piece.tags.get("gateway", ""), piece.tags.get("point", ""))
        if info is not None and info.quantity == piece.name:
            found.setdefault(info.id, [0, 0])[number] = piece.values[0][1]
    return {series: (received, good) for series, (received, good) in found.items()}


def count(influx: Influx) -> int:
    """Return the number of readings held."""
    return sum(row[1] for _, piece in influx.ask(['SELECT count("quality") FROM /.*/']) for row in piece.values)


def _rows(series: _Series) -> Iterator[dict[str, Any]]:
    for values in series.values:
        yield dict(zip(series.columns, values, strict=True))
