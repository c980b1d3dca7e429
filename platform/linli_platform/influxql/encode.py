"""Results as InfluxDB 1.x writes them: JSON for programs, CSV for people."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from linli_platform.influxql.answer import Answer
from linli_platform.influxql.execute import Result
from linli_platform.influxql.syntax import TIME, Kind
from linli_platform.influxql.vector import Times, Vector, joined

EPOCHS: Final = {
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "µ": 1_000,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds of the unit in which times are asked for; where none is, times are RFC 3339."""

_TOGETHER: Final = 10_000
"""Rows that are written at one time."""

_encoder: Final = msgspec.json.Encoder()


class _Series(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A series as it is written: without a name or tags that it has not."""

    name: str = ""
    tags: dict[str, str] | None = None
    columns: list[str]
    values: list[Any]


def to_json(results: Iterable[Result], unit: int | None) -> bytes:
    """Return results as JSON; times as text, or in units of so many ns.

    One series after the other is written: as Python's objects all of them take ten times the room.
    """
    written = []
    for number, result in enumerate(results):
        head = f'{{"statement_id":{number}'.encode()
        if result.error:
            written.append(head + b',"error":' + _encoder.encode(result.error) + b"}")
            continue
        series = b",".join(_encoder.encode(each) for each in _series(result, unit))
        written.append(head + (b',"series":[' + series + b"]}" if series else b"}"))
    return b'{"results":[' + b",".join(written) + b"]}"


def to_csv(results: Iterable[Result], unit: int | None) -> str:
    """Return results as CSV: a header wherever the columns change, with an empty line before."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] | None = None
    for result in results:
        if result.error:
            writer.writerow(["error"])
            writer.writerow([result.error])
            continue
        for each in _series(result, unit):
            wanted = ["name", "tags", *each.columns]
            if wanted != header:
                if header is not None:
                    out.write("\n")
                writer.writerow(wanted)
                header = wanted
            place = ",".join(f"{key}={value}" for key, value in (each.tags or {}).items())
            writer.writerows(
                [each.name, place, *("" if value is None else value for value in row)] for row in each.values
            )
    return out.getvalue()


def _series(result: Result, unit: int | None) -> Iterator[_Series]:
    for many in _alike(result.answers):
        for answer, rows in zip(many, _rows(many, unit), strict=True):
            yield _Series(name=answer.name, tags=answer.tags, columns=[TIME, *answer.columns], values=rows)
    for listing in result.listings:
        yield _Series(name=listing.name, columns=listing.columns, values=listing.rows)


def _alike(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
    """Yield answers some at a time: of five thousand of one row each, each by itself costs more than its row."""
    many: list[Answer] = []
    kinds: list[Kind] = []
    rows = 0
    for answer in answers:
        here = [column.kind for column in answer.table.columns]
        if many and (rows > _TOGETHER or here != kinds):
            yield many
            many, rows = [], 0
        many.append(answer)
        kinds = here
        rows += len(answer.table.times)
    if many:
        yield many


def _rows(answers: Sequence[Answer], unit: int | None) -> Iterator[list[Any]]:
    times = np.concatenate([answer.table.times for answer in answers])
    stamps: list[Any] = _texts(times) if unit is None else (times // unit).tolist()
    columns = [
        _values(joined([answer.table.columns[place] for answer in answers]))
        for place in range(len(answers[0].table.columns))
    ]
    rows = list(zip(stamps, *columns, strict=True))
    first = 0
    for answer in answers:
        last = first + len(answer.table.times)
        yield rows[first:last]
        first = last


def _values(column: Vector) -> list[Any]:
    """Return values; a number that is none, as a root of less than nothing, is no value in JSON."""
    if column.kind is Kind.FLOAT:
        finite = np.isfinite(column.data)
        if not finite.all():
            column = Vector(column.kind, column.data, column.valid & finite)
    return column.listed()


def _texts(times: Times) -> list[str]:
    whole = np.datetime_as_string(times.astype("datetime64[ns]")).tolist()
    return [f"{text.rstrip('0').rstrip('.')}Z" for text in whole]
