"""Readings of days that are over, in little room, and the way back to just what they were.

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
* **Texts** stand as they came, after a day's numbers: where there are none DuckDB writes nothing.
* **What a device's own clock said** is ``(lead + told) * tick``: clocks go by seconds or minutes. ``lead`` and ``tick``
  are one for a whole series.

``history`` has what an earlier version moved, until it is packed.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from linli_core.instant import DAY, Instant

Execute = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and returns its rows."""

_JOINED: Final = "t.number = p.place - p.back AND t.grid = p.grid AND t.day = p.day"
"""The day and the grid say nothing more, but let DuckDB pass over the blocks of others."""

_TIME: Final = "t.moment + t.shift"
_TOLD: Final = "(p.lead + p.told) * p.tick"
_READINGS: Final = (
    f"SELECT p.series, {_TIME} AS time, coalesce((p.base + p.digits) / p.power, p.value) AS value,"
    f" p.text, p.quality, p.day, {_TOLD} AS told FROM packed p JOIN stamp t ON {_JOINED}"
)
FRESH: Final = "SELECT series, time, value, text, quality, NULL::BIGINT AS told FROM reading"
"""What was not moved; what devices' clocks said of it is beside it."""

_HISTORY: Final = "SELECT series, time, value, text, quality, day, NULL::BIGINT AS told FROM history"

TABLES: Final = """
CREATE TABLE packed (
    series INTEGER NOT NULL, day INTEGER NOT NULL, grid INTEGER NOT NULL, place BIGINT NOT NULL, back BIGINT NOT NULL,
    base BIGINT, digits BIGINT, power DOUBLE, value DOUBLE, quality UTINYINT NOT NULL);
CREATE TABLE stamp (
    day INTEGER NOT NULL, grid INTEGER NOT NULL, number BIGINT NOT NULL, shift BIGINT NOT NULL, moment BIGINT NOT NULL);
"""
"""Version 5."""

WHOLE: Final = f"""
ALTER TABLE packed ADD COLUMN text VARCHAR;
ALTER TABLE packed ADD COLUMN lead BIGINT;
ALTER TABLE packed ADD COLUMN told BIGINT;
ALTER TABLE packed ADD COLUMN tick BIGINT;
ALTER TABLE head ADD COLUMN told BIGINT;
CREATE OR REPLACE VIEW past AS {_HISTORY} UNION ALL {_READINGS};
CREATE OR REPLACE VIEW readings AS
    SELECT series, time, value, text, quality FROM reading
    UNION ALL SELECT series, time, value, text, quality FROM past;
"""
"""Version 6: texts and devices' own times are packed too. ``past`` is what was moved, wherever it stands, ``readings``
are all."""

COUNT: Final = "SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM history) + (SELECT count(*) FROM packed)"
"""How many readings there are."""

COUNT_DEVICE_TIMES: Final = "SELECT (SELECT count(*) FROM device_time) + (SELECT count(told) FROM packed)"
"""Of how many of them the device's own time is known."""

POWERS: Final = (*(f"1e{places}" for places in range(16)), "3.6e3", "3.6e6", "3.6e9")
"""What makes whole numbers, as doubles, all of them exact: a power of ten, or one by which hours became seconds.

A float32 has nine digits at most, and is seldom below a millionth.
"""

TIMES: Final = {"reading": "time", "history": "time", "stamp": "moment + shift"}
"""Where times stand, and as what."""

_WIDEST: Final = 2**43
"""Whole numbers stay below: half a million series, one going on from the other, then stay within 64 bits."""

TICKS: Final = (60_000_000, 1_000_000, 1_000)
"""By how many µs devices' clocks may go."""

ROWS: Final = 122_880
"""Rows of a group, of which DuckDB knows the least and the greatest series."""

_FARTHEST: Final = 2**40
"""Ticks by which one series shifts the device times of the next: wild clocks of a million stay within 64 bits."""

_PLACE: Final = "packed:place"
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Piece:
    """Readings of one day: the first of them, numbers before texts, by series and time.

    Attributes:
        day: Ordinal of the day.
        start, end: When it begins and ends.
        readings: How many those are.
        last: The last series.
        until: Of the last series, readings before this are of the piece; ``None`` for all.
        texts: Whether it goes as far as the texts; ``last`` and ``until`` speak of those then.
        kept: A further condition: of other series the day is over.
    """

    day: int
    start: Instant
    end: Instant
    readings: int
    last: int
    until: Instant | None
    texts: bool
    kept: str

    @property
    def span(self) -> str:
        """All readings of the day as a condition of SQL."""
        return f"time BETWEEN {self.start} AND {self.end - 1}"

    @property
    def around(self) -> str:
        """All readings of the series as a condition of SQL; names and numbers of ours alone stand in it."""
        numbers = "text IS NULL OR" if self.texts else "text IS NULL AND"
        return f"{self.span} AND ({numbers} series <= {self.last}){self.kept}"

    @property
    def cut(self) -> str:
        """Which of those are of the piece, as a condition of SQL."""
        if self.until is None:
            return "true"
        numbers = "text IS NULL OR " if self.texts else ""
        return f"({numbers}series < {self.last} OR time < {self.until})"

    @property
    def where(self) -> str:
        """The readings as a condition of SQL."""
        return self.around if self.until is None else f"{self.around} AND {self.cut}"


def days_of(first: Instant, last: Instant) -> tuple[int, int]:
    """Return between which ordinals the days of these instants lie, whatever the zone."""
    return first // DAY + _EPOCH_DAY - 1, last // DAY + _EPOCH_DAY + 1


def room(execute: Execute) -> int:
    """Return how many readings are lacking in the group of rows that was written last."""
    counts = execute(
        "SELECT sum(count) FROM pragma_storage_info('packed') WHERE column_name = 'place' AND segment_type = 'BIGINT'"
        " GROUP BY row_group_id ORDER BY row_group_id DESC LIMIT 1"
    )
    return ROWS - int(counts[0][0]) if counts else 0


Span = tuple[Instant, Instant]
"""From when to when."""


def past(*spans: Span, odd: bool = True) -> str:
    """Return in SQL what was moved, of days of these spans and a few around them: whoever asks looks at the time.

    Args:
        spans: From when to when.
        odd: With what is not packed: what an earlier version moved.
    """

    def days(table: str) -> str:
        return " OR ".join("{}day BETWEEN {} AND {}".format(table, *days_of(*span)) for span in spans)

    plain = f"{_HISTORY} WHERE {days('')} UNION ALL " if odd else ""
    return f"({plain}{_READINGS} WHERE ({days('p.')}) AND ({days('t.')}))"


def readings(first: Instant, last: Instant, *, fresh: bool = True, odd: bool = True) -> str:
    """Return in SQL all readings but those that were moved of other days; without what is fresh, or was not packed."""
    newest = f"{FRESH} UNION ALL " if fresh else ""
    return f"({newest}SELECT series, time, value, text, quality, told FROM {past((first, last), odd=odd)})"


def device_times(first: Instant, last: Instant) -> str:
    """Return in SQL what devices' clocks said of readings that were moved, of days of these instants."""
    days = "BETWEEN {} AND {}".format(*days_of(first, last))
    return (
        f"(SELECT p.series, {_TIME} AS time, {_TOLD} AS device_time FROM packed p JOIN stamp t ON {_JOINED}"
        f" WHERE p.told IS NOT NULL AND p.day {days} AND t.day {days})"
    )


def pack(execute: Execute, source: str, piece: Piece) -> int:
    """Move readings of one day to where they take little room, inside a transaction; return how many those were.

    Args:
        execute: Runs a statement.
        source: The table they are in.
        piece: Which. The others of its series count where it is asked what a whole series has in common.
    """
    day, columns = piece.day, "series, time, value, text, quality"
    execute(
        f"CREATE OR REPLACE TEMP TABLE moving AS SELECT {columns}, d.told, {piece.cut} AS now"
        f" FROM (SELECT * FROM {source} WHERE {piece.around}) LEFT JOIN (SELECT series, time, min(device_time) AS told"
        f" FROM device_time WHERE {piece.span} GROUP BY ALL) d USING (series, time)"
    )
    execute(f"DELETE FROM {source} WHERE {piece.where}")
    execute(
        "DELETE FROM device_time d USING moving m WHERE m.now AND m.told IS NOT NULL AND d.series = m.series"
        f" AND d.time = m.time AND d.{piece.span}"
    )
    ((place,),) = execute(f"SELECT coalesce(max(CAST(value AS BIGINT)), 0) FROM meta WHERE key = '{_PLACE}'")
    ticks = " ".join(f"WHEN bool_and(told % {tick} = 0) THEN {tick}" for tick in TICKS)
    execute(
        "CREATE OR REPLACE TEMP TABLE course AS SELECT series, held, times, first, last, tick,"
        f" [{', '.join(POWERS)}][list_position(exact, list_max(exact))] AS power FROM ("
        " SELECT series, count(*) AS held, sum(hash(time)) AS times, min(time) AS first, max(time) AS last,"
        f" CASE WHEN count(told) > 0 THEN CASE {ticks} ELSE 1 END END AS tick,"
        f" [{', '.join(f'count(*) FILTER ({_is_exact(power)})' for power in POWERS)}] AS exact"
        " FROM moving GROUP BY series)"
    )
    _stamp(execute, place, day)
    # Of series whose times only seem the same, the one finds no stamp of its own: that is left as it is.
    execute(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT {columns}, told, told // tick AS ticks, tick, grid, power,"
        f" number, CASE WHEN {_is_exact('power')} THEN CAST(round(value * power) AS BIGINT) END AS whole"
        " FROM moving JOIN course USING (series) LEFT JOIN shared USING (series) LEFT JOIN numbered USING (of, time)"
        " WHERE now ORDER BY series, time"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE drawn AS SELECT series, rank,"
        f" coalesce(first - {_before('last - first')}, 0)::BIGINT AS base,"
        f" (first_tick - {_before(f'greatest(least(last_tick - first_tick, {_FARTHEST}), -{_FARTHEST})')})::BIGINT"
        " AS lead FROM (SELECT *, row_number() OVER"
        " (ORDER BY block, texts, first_tick IS NULL, width, series) AS rank FROM ("
        f" SELECT *, sum(held) OVER (ORDER BY texts, series) // {ROWS} AS block FROM ("
        f" SELECT series, count(*) AS held, bool_or(text IS NOT NULL) AS texts, {_ends('whole')},"
        f" {_ends('ticks', '_tick')}, coalesce(max(whole) - min(whole), 0) AS width"
        " FROM placed WHERE number IS NOT NULL GROUP BY series)))"
    )
    execute(
        f"INSERT INTO packed SELECT series, {day}, grid, place, place - number, base, whole - base, power,"
        " CASE WHEN whole IS NULL THEN value END, quality, text, lead, ticks - lead, tick FROM ("
        f" SELECT *, {place} + row_number() OVER (ORDER BY rank, number) AS place"
        " FROM placed JOIN drawn USING (series) WHERE number IS NOT NULL) ORDER BY place"
    )
    of_day = f", {day}" if source == "history" else ""
    execute(f"INSERT INTO {source} SELECT {columns}{of_day} FROM placed WHERE number IS NULL")
    execute("INSERT INTO device_time SELECT series, time, told FROM placed WHERE number IS NULL AND told IS NOT NULL")
    ((count,),) = execute("SELECT count(*) FROM placed WHERE number IS NOT NULL")
    ((used,),) = execute("SELECT count(*) FROM moving")
    execute(f"INSERT OR REPLACE INTO meta VALUES ('{_PLACE}', '{place + used}')")
    for table in ("drawn", "placed", "numbered", "shared", "course", "moving"):
        execute(f"DROP TABLE {table}")
    return int(count)


def _before(step: str) -> str:
    """Return in SQL by how much the series before this one, by their rank, move what follows them."""
    return f"coalesce(sum({step}) OVER (ORDER BY rank ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)"


def _ends(column: str, suffix: str = "") -> str:
    """Return in SQL a series' first and last of a column that may be NULL."""
    ends = {"first": "arg_min", "last": "arg_max"}
    return ", ".join(
        f"{end}({column}, time) FILTER ({column} IS NOT NULL) AS {name}{suffix}" for name, end in ends.items()
    )


def _stamp(execute: Execute, place: int, day: int) -> None:
    """Write the times of ``moving`` once for all series that have the same.

    Leaves in ``shared`` which stamps each series has, and in ``numbered`` where those stand. What an earlier piece of
    the day has written for the same devices is not written again, also if it has more: a series may come in parts.
    """
    execute(
        "CREATE OR REPLACE TEMP TABLE earlier AS SELECT grid, shift, number,"
        f" {_TIME} AS time, -dense_rank() OVER (ORDER BY grid, shift) AS of FROM stamp t WHERE day = {day}"
        " AND grid IN (SELECT id FROM series WHERE (gateway, device) IN"
        " (SELECT (gateway, device) FROM series JOIN course ON course.series = series.id))"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE shared AS SELECT series, min(grid) AS grid, arg_min(shift, grid) AS shift,"
        " arg_min(of, grid) AS of FROM (SELECT m.series, e.grid, e.shift, e.of, count(*) AS found FROM moving m"
        " JOIN series s ON s.id = m.series JOIN earlier e ON e.time = m.time"
        " JOIN series g ON g.id = e.grid AND g.gateway = s.gateway AND g.device = s.device"
        " GROUP BY ALL) JOIN course USING (series) WHERE found = held GROUP BY series"
    )
    execute("CREATE OR REPLACE TEMP TABLE numbered AS SELECT of, time, min(number) AS number FROM earlier GROUP BY ALL")
    execute(
        "CREATE OR REPLACE TEMP TABLE grids AS SELECT held, times, grid, rank AS of,"
        f" first - {_before('last - first + step')}::BIGINT AS shift FROM ("
        " SELECT *, row_number() OVER (ORDER BY round(log2(step + 1)), grid) AS rank FROM ("
        " SELECT held, times, min(series) AS grid, arg_min(first, series) AS first, arg_min(last, series) AS last,"
        " arg_min((last - first) // greatest(held - 1, 1), series) AS step"
        " FROM course ANTI JOIN shared USING (series) GROUP BY held, times))"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT g.of, g.grid,"
        f" {place} + row_number() OVER (ORDER BY g.of, m.time) AS number, g.shift, m.time"
        " FROM moving m JOIN grids g ON g.grid = m.series"
    )
    execute(f"INSERT INTO stamp SELECT {day}, grid, number, shift, time - shift FROM fresh ORDER BY number")
    execute("INSERT INTO numbered SELECT of, time, number FROM fresh")
    execute(
        "INSERT INTO shared SELECT series, grid, shift, of FROM course ANTI JOIN shared USING (series)"
        " JOIN grids USING (held, times)"
    )
    for table in ("fresh", "grids", "earlier"):
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
