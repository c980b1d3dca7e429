"""Numbers of days that are over, in little room, and the way back to just what they were.

Theory of operation. ``packed`` has a row for each reading, by series and time, and nothing in it but what DuckDB keeps
in a few bits: differences between neighbours, and what is one for thousands of rows (``docs/adr/0037``).

* **Times are written once for all series that have the same ones on a day**: what one request reads shares its stamps.
  ``stamp`` holds them, numbered; ``grid`` is the least of the series that share them. A time is ``moment + shift``, and
  the number of a reading's stamp ``place - back``. ``shift`` and ``back`` are one for a whole grid and series, and
  ``place`` counts rows, so it takes no room.
* **A number is the whole number of its digits**: 230.17 is 23017 by 100. ``power`` is one for a whole series, as is
  ``base``, from which ``digits`` count. What is not that double again, bit by bit, is kept as it came, in ``value``.
* **Where one series ends the next goes on**: ``base`` and ``shift`` are such that there is no step between them. DuckDB
  packs 2,048 rows by the widest difference among them, whosever they are. Series that move little stand together, as
  far as 122,880 rows go: by these DuckDB finds a series again.

Texts, of which there are few, stay in ``history``, as does all that an earlier version moved there until it is packed.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Callable
from datetime import date
from typing import Any, Final

from linli_core.instant import DAY, Instant

Execute = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and returns its rows."""

_JOINED: Final = "t.number = p.place - p.back AND t.grid = p.grid AND t.day = p.day"
"""The day and the grid say nothing more, but let DuckDB pass over the blocks of others."""

_TIME: Final = "t.moment + t.shift"
_READINGS: Final = (
    f"SELECT p.series, {_TIME} AS time, coalesce((p.base + p.digits) / p.power, p.value) AS value,"
    f" NULL::VARCHAR AS text, p.quality, p.day FROM packed p JOIN stamp t ON {_JOINED}"
)

TABLES: Final = f"""
CREATE TABLE packed (
    series INTEGER NOT NULL, day INTEGER NOT NULL, grid INTEGER NOT NULL, place BIGINT NOT NULL, back BIGINT NOT NULL,
    base BIGINT, digits BIGINT, power DOUBLE, value DOUBLE, quality UTINYINT NOT NULL);
CREATE TABLE stamp (
    day INTEGER NOT NULL, grid INTEGER NOT NULL, number BIGINT NOT NULL, shift BIGINT NOT NULL, moment BIGINT NOT NULL);
CREATE VIEW past AS SELECT series, time, value, text, quality, day FROM history UNION ALL {_READINGS};
CREATE OR REPLACE VIEW readings AS
    SELECT series, time, value, text, quality FROM reading
    UNION ALL SELECT series, time, value, text, quality FROM past;
"""
"""Version 5: ``past`` is what was moved, wherever it stands, ``readings`` are all."""

COUNT: Final = "SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM history) + (SELECT count(*) FROM packed)"
"""How many readings there are."""

POWERS: Final = (*(f"1e{places}" for places in range(16)), "3.6e3", "3.6e6", "3.6e9")
"""What makes whole numbers, as doubles, all of them exact: a power of ten, or one by which hours became seconds.

A float32 has nine digits at most, and is seldom below a millionth.
"""

TIMES: Final = {"reading": "time", "history": "time", "stamp": "moment + shift"}
"""Where times stand, and as what."""

_WIDEST: Final = 2**43
"""Whole numbers stay below: half a million series, one going on from the other, then stay within 64 bits."""

_ROWS: Final = 122_880
"""Of which DuckDB knows the least and the greatest series."""

_PLACE: Final = "packed:place"
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def days_of(first: Instant, last: Instant) -> tuple[int, int]:
    """Return between which ordinals the days of these instants lie, whatever the zone."""
    return first // DAY + _EPOCH_DAY - 1, last // DAY + _EPOCH_DAY + 1


Span = tuple[Instant, Instant]
"""From when to when."""


def past(*spans: Span, odd: bool = True) -> str:
    """Return in SQL what was moved, of days of these spans and a few around them: whoever asks looks at the time.

    Args:
        spans: From when to when.
        odd: With what is not packed: texts, and what an earlier version moved.
    """

    def days(table: str) -> str:
        return " OR ".join("{}day BETWEEN {} AND {}".format(table, *days_of(*span)) for span in spans)

    plain = f"SELECT series, time, value, text, quality, day FROM history WHERE {days('')} UNION ALL " if odd else ""
    return f"({plain}{_READINGS} WHERE ({days('p.')}) AND ({days('t.')}))"


def readings(first: Instant, last: Instant, *, fresh: bool = True, odd: bool = True) -> str:
    """Return in SQL all readings but those that were moved of other days; without what is fresh, or was not packed."""
    columns = "SELECT series, time, value, text, quality FROM"
    newest = f"{columns} reading UNION ALL " if fresh else ""
    return f"({newest}{columns} {past((first, last), odd=odd)})"


def pack(execute: Execute, source: str, where: str, day: int) -> int:
    """Copy readings of one day to where they take little room, inside a transaction; return how many those were.

    Args:
        execute: Runs a statement.
        source: The table they are in; whoever calls deletes them there.
        where: Which.
        day: Ordinal of the day.
    """
    columns = "series, time, value, text, quality"
    execute(f"CREATE OR REPLACE TEMP TABLE moving AS SELECT {columns} FROM {source} WHERE {where}")
    ((place,),) = execute(f"SELECT coalesce(max(CAST(value AS BIGINT)), 0) FROM meta WHERE key = '{_PLACE}'")
    execute(
        "CREATE OR REPLACE TEMP TABLE course AS SELECT series, held, times, first, last,"
        f" [{', '.join(POWERS)}][list_position(exact, list_max(exact))] AS power FROM ("
        " SELECT series, count(*) AS held, sum(hash(time)) AS times, min(time) AS first, max(time) AS last,"
        f" [{', '.join(f'count(*) FILTER ({_is_exact(power)})' for power in POWERS)}] AS exact"
        " FROM moving WHERE text IS NULL GROUP BY series)"
    )
    _stamp(execute, place, day)
    # Of series whose times only seem the same, the one finds no stamp of its own: that stays as it is.
    execute(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT {columns}, grid, power, number,"
        f" CASE WHEN {_is_exact('power')} THEN CAST(round(value * power) AS BIGINT) END AS whole"
        " FROM moving LEFT JOIN course USING (series) LEFT JOIN numbered USING (held, times, time)"
        " ORDER BY series, time"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE drawn AS SELECT series, rank,"
        " coalesce(first - coalesce(sum(last - first) OVER (ORDER BY rank ROWS BETWEEN UNBOUNDED PRECEDING"
        " AND 1 PRECEDING), 0), 0)::BIGINT AS base"
        " FROM (SELECT series, first, last, row_number() OVER (ORDER BY block, width, series) AS rank FROM ("
        " SELECT series, arg_min(whole, time) FILTER (whole IS NOT NULL) AS first,"
        " arg_max(whole, time) FILTER (whole IS NOT NULL) AS last, coalesce(max(whole) - min(whole), 0) AS width,"
        f" sum(count(*)) OVER (ORDER BY series) // {_ROWS} AS block"
        " FROM placed WHERE number IS NOT NULL GROUP BY series))"
    )
    execute(
        f"INSERT INTO packed SELECT series, {day}, grid, place, place - number, base, whole - base, power,"
        " CASE WHEN whole IS NULL THEN value END, quality FROM ("
        f" SELECT *, {place} + row_number() OVER (ORDER BY rank, number) AS place"
        " FROM placed JOIN drawn USING (series) WHERE number IS NOT NULL) ORDER BY place"
    )
    execute(f"INSERT INTO history SELECT {columns}, {day} FROM placed WHERE number IS NULL ORDER BY series, time")
    ((count,),) = execute("SELECT count(*) FROM placed")
    execute(f"INSERT OR REPLACE INTO meta VALUES ('{_PLACE}', '{place + count}')")
    for table in ("drawn", "placed", "numbered", "course", "moving"):
        execute(f"DROP TABLE {table}")
    return int(count)


def _stamp(execute: Execute, place: int, day: int) -> None:
    """Write the times of ``moving`` once for all series that have the same; leave in ``numbered`` where they stand.

    What an earlier piece of the day has written for the same devices is not written again.
    """
    execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT held, times, min(grid) AS grid, arg_min(shift, grid) AS shift"
        f" FROM (SELECT grid, shift, count(*) AS held, sum(hash({_TIME})) AS times FROM stamp t WHERE day = {day}"
        " AND grid IN (SELECT id FROM series WHERE (gateway, device) IN"
        " (SELECT (gateway, device) FROM series JOIN course ON course.series = series.id)) GROUP BY ALL)"
        " SEMI JOIN course USING (held, times) GROUP BY ALL"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE numbered AS SELECT held, times, k.grid, t.number, k.shift,"
        f" {_TIME} AS time FROM known k JOIN stamp t ON t.grid = k.grid AND t.shift = k.shift AND t.day = {day}"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE grids AS SELECT held, times, grid, rank,"
        " first - coalesce(sum(last - first + step) OVER (ORDER BY rank ROWS BETWEEN UNBOUNDED PRECEDING"
        " AND 1 PRECEDING), 0)::BIGINT AS shift FROM ("
        " SELECT *, row_number() OVER (ORDER BY round(log2(step + 1)), grid) AS rank FROM ("
        " SELECT held, times, min(series) AS grid, arg_min(first, series) AS first, arg_min(last, series) AS last,"
        " arg_min((last - first) // greatest(held - 1, 1), series) AS step"
        " FROM course ANTI JOIN known USING (held, times) GROUP BY held, times))"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT g.held, g.times, g.grid,"
        f" {place} + row_number() OVER (ORDER BY g.rank, m.time) AS number, g.shift, m.time"
        " FROM moving m JOIN grids g ON g.grid = m.series WHERE m.text IS NULL"
    )
    execute(f"INSERT INTO stamp SELECT {day}, grid, number, shift, time - shift FROM fresh ORDER BY number")
    execute("INSERT INTO numbered SELECT * FROM fresh")
    for table in ("fresh", "grids", "known"):
        execute(f"DROP TABLE {table}")


def _is_exact(power: str) -> str:
    """Return in SQL whether a value is a whole number by a power of ten, bit by bit; -0.0 is none."""
    whole = f"round(value * {power})"
    return f"(abs(value * {power}) < {_WIDEST} AND {whole} / {power} = value AND NOT (value = 0 AND signbit(value)))"


def delete(execute: Execute, where: str, day: int) -> int:
    """Take readings of a day out, with the stamps that nobody shares any more.

    Args:
        execute: Runs a statement inside a transaction.
        where: Which, by columns of ``packed``.
        day: Ordinal of the day.
    """
    ((gone,),) = execute(f"DELETE FROM packed WHERE day = {day} AND {where}")
    if gone:
        execute(f"DELETE FROM stamp WHERE day = {day} AND grid NOT IN (SELECT grid FROM packed WHERE day = {day})")
    return int(gone)


def delete_span(execute: Execute, ids: str, start: Instant, end: Instant) -> int:
    """Take readings of series with ``start <= time < end`` out, with the stamps that nobody shares any more.

    Args:
        execute: Runs a statement inside a transaction.
        ids: Of the series, as a list of SQL.
        start: When they begin.
        end: When they end.
    """
    days = "BETWEEN {} AND {}".format(*days_of(start, end))
    of_series = f"p.series IN ({ids}) AND p.day {days}"
    span = f"t.day {days} AND {_TIME} >= {start} AND {_TIME} < {end}"
    grids = execute(f"SELECT DISTINCT grid FROM packed p WHERE {of_series}")
    if not grids:
        return 0
    ((gone,),) = execute(f"DELETE FROM packed p USING stamp t WHERE {_JOINED} AND {of_series} AND {span}")
    chosen = ", ".join(str(grid) for (grid,) in grids)
    execute(
        f"DELETE FROM stamp t WHERE {span} AND t.grid IN ({chosen}) AND t.number NOT IN"
        f" (SELECT p.place - p.back FROM packed p WHERE p.day {days} AND p.grid IN ({chosen}))"
    )
    return int(gone)


DELETE_SAME: Final = (
    f"DELETE FROM packed p USING stamp t, replaced r WHERE {_JOINED} AND p.series = r.series AND {_TIME} = r.time"
    f" AND {_TIME} BETWEEN ? AND ? AND t.day BETWEEN ? AND ? RETURNING p.series, p.day"
)
"""Takes out what has the identity of rows of a table ``replaced``; parameters are bounds of the time and of the day."""

DELETE_UNSHARED: Final = (
    f"DELETE FROM stamp t USING replaced r WHERE {_TIME} = r.time AND {_TIME} BETWEEN ? AND ? AND t.day BETWEEN ? AND ?"
    " AND NOT EXISTS (SELECT 1 FROM packed p WHERE p.day = t.day AND p.grid = t.grid AND p.place - p.back = t.number)"
)
"""Takes out the stamps that nobody shares any more after :data:`DELETE_SAME`; the parameters are the same."""
