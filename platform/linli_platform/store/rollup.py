"""What the readings of history come to in a minute, a quarter, an hour and a day: kept beside them, in step with them.

Theory of operation. The tables hold at every instant just what ``past`` comes to: whoever changes that makes the
rows of the series and days that it touched anew, in the same transaction (:func:`redo`). So an answer may take what is
fresh from ``reading``, the rest from here, and is what all the readings would have given.

A day always has its row. The shorter levels are kept for a series on a day only where they save something: a window
must hold so many readings on average (:data:`WORTH`), for a row here takes the room of thirty. Which of them a day has
stands in its row, and where one is missing the readings are few.

Rows are what can be put together again: a mean is a sum and a count, a first value has its time. ``integral`` is the
value by time (value times µs), each usable value held until the next reading, a BAD one too, ends it; ``covered`` is
the time for which there is one, so that their quotient is the time-weighted mean. ``used`` is by how much a register
rose from the first to the last reading that can be trusted; what falls is not booked, nor what a doubtful reading says.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Callable
from typing import Any, Final

import msgspec

from linli_core.instant import DAY, HOUR, MINUTE, Instant, from_rfc3339
from linli_core.model import DOUBTED, Kind, Quality, quality_code
from linli_core.vocabulary import vocabulary

Execute = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and returns its rows."""

LEVELS: Final = {MINUTE: "rollup_1m", 15 * MINUTE: "rollup_15m", HOUR: "rollup_1h"}
"""Table by the length of its windows, which begin at whole multiples of it; :data:`DAILY` holds days of the zone."""

WORTH: Final = {MINUTE: 90, 15 * MINUTE: 7, HOUR: 7}
"""Readings that a window must hold on average for its rollup to be kept.

A row takes the room of thirty. Minutes are many, and sixty readings are read faster than it takes to tell.
"""

BITS: Final = {MINUTE: 1, 15 * MINUTE: 2, HOUR: 4}
"""How ``levels`` in a day's row says which of them it has."""

DAILY: Final = "rollup_1d"
SORTS: Final = 122_880
"""Rows of days that are not sorted yet, from which on all are sorted: as many as DuckDB looks at together."""

_SORTED: Final = "sorted:rollup_1d"
ALL: Final = (*LEVELS.values(), DAILY)

NAMES: Final = {MINUTE: "1m", 15 * MINUTE: "15m", HOUR: "1h", DAY: "1d"}
"""What answers call them by the length of their windows."""

SWAPPED: Final = "linli.device.swapped"


class _SwapData(msgspec.Struct):
    swapped_at: str = ""


_swap_decoder: Final = msgspec.json.Decoder(_SwapData)

_BAD: Final = quality_code(Quality.BAD)
_UNTRUSTED: Final = ", ".join(map(str, sorted(DOUBTED)))

_COLUMNS: Final = (
    "series INTEGER NOT NULL, time BIGINT NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL,"
    " others INTEGER NOT NULL, bad INTEGER NOT NULL, quality UTINYINT NOT NULL, sum DOUBLE, min DOUBLE, max DOUBLE,"
    " first DOUBLE, first_time BIGINT, last DOUBLE, last_time BIGINT, integral DOUBLE, covered BIGINT NOT NULL,"
    " used DOUBLE, trusted_first DOUBLE, trusted_last DOUBLE"
)
TABLES: Final = "".join(
    f"CREATE TABLE {table} ({_COLUMNS}{', levels UTINYINT NOT NULL' if table == DAILY else ''});\n" for table in ALL
)
"""``count`` are usable numbers, ``others`` usable texts, ``quality`` the best of these, or the worst of the BAD ones
where there are no others. ``trusted_first`` and ``trusted_last`` are NULL where they are ``first`` and ``last``."""


def floor(time: str, length: int) -> str:
    """Return in SQL when the window begins that an instant lies in; SQL rounds towards 0, also before 1970."""
    return f"({time} - (({time} % {length}) + {length}) % {length})"


def touch(execute: Execute, pairs: str) -> tuple[int, int] | None:
    """Note which rows are to be made anew by :func:`redo`.

    Args:
        execute: Runs a statement inside a transaction.
        pairs: A query of (series, day, start), each once; ``start`` counts where the day has no row yet.

    Returns:
        The first and the last day, ``None`` if there are none.
    """
    execute(
        "CREATE OR REPLACE TEMP TABLE touched AS SELECT p.series, p.day, coalesce(known.time, p.start) AS start,"
        f" s.quantity IN ({_counters()}) AS counter FROM ({pairs}) AS p JOIN series s ON s.id = p.series"
        f" LEFT JOIN (SELECT day, any_value(time) AS time FROM {DAILY} GROUP BY day) AS known ON known.day = p.day"
    )
    first, last = execute("SELECT min(day), max(day) FROM touched")[0]
    return None if first is None else (first, last)


def redo(execute: Execute, span: tuple[int, int]) -> None:
    """Make the rows anew that :func:`touch` noted, inside the same transaction; ``span`` is what it returned."""
    days = f"day BETWEEN {span[0]} AND {span[1]}"
    execute(
        "CREATE OR REPLACE TEMP TABLE redone AS SELECT *,"
        " lead(time) OVER of_day AS next_time,"
        " lag(time) OVER of_day AS before_time,"
        " lag(held) OVER of_day AS before,"
        " lag(trusted IGNORE NULLS) OVER of_meter AS trusted_before,"
        " lag(CASE WHEN trusted IS NOT NULL THEN time END IGNORE NULLS) OVER of_meter AS trusted_before_time"
        " FROM (SELECT h.series, h.day, h.time, h.quality, d.start,"
        f" {_era(execute)} AS era,"
        f" CASE WHEN quality < {_BAD} THEN value END AS held,"
        f" CASE WHEN counter AND quality < {_BAD} AND quality NOT IN ({_UNTRUSTED}) THEN value END AS trusted"
        f" FROM past h JOIN touched d ON h.series = d.series AND h.day = d.day WHERE h.{days})"
        " WINDOW of_day AS (PARTITION BY series, day ORDER BY time),"
        " of_meter AS (PARTITION BY series, day, era ORDER BY time)"
    )
    execute(
        "CREATE OR REPLACE TEMP TABLE kept AS SELECT series, day, "
        + " + ".join(
            f"CASE WHEN count(*) >= {DAY // length * WORTH[length]} THEN {BITS[length]} ELSE 0 END" for length in LEVELS
        )
        + " AS levels FROM redone GROUP BY ALL"
    )
    for length, table in LEVELS.items():
        _write(
            execute,
            table,
            days,
            f"SELECT series, start, day, {_row(length)}"
            f" FROM (SELECT * REPLACE ({floor('time', length)} AS start) FROM redone SEMI JOIN"
            f" (FROM kept WHERE levels & {BITS[length]} <> 0) AS k USING (series, day))"
            " GROUP BY series, day, start",
        )
    _write(
        execute,
        DAILY,
        days,
        f"SELECT series, start, day, {_row(None)}, any_value(levels)"
        " FROM redone JOIN kept USING (series, day) GROUP BY series, day, start",
    )
    execute("DROP TABLE redone")


def _write(execute: Execute, table: str, days: str, rows: str) -> None:
    """Let a table hold these rows of the series and days of ``touched``, and leave alone those that it holds already.

    Ten late minutes change ten rows of a day's: the others, written anew, would leave as many holes behind.
    """
    execute(
        f"CREATE OR REPLACE TEMP TABLE held AS SELECT t.* FROM {table} t"
        f" JOIN touched d ON t.series = d.series AND t.day = d.day WHERE t.{days}"
    )
    execute(f"CREATE OR REPLACE TEMP TABLE made AS {rows}")
    execute(
        f"DELETE FROM {table} t USING (FROM held EXCEPT FROM made) AS o"
        f" WHERE t.series = o.series AND t.day = o.day AND t.time = o.time AND t.{days}"
    )
    execute(f"INSERT INTO {table} FROM (FROM made EXCEPT FROM held) ORDER BY day, series, 2")
    for temporary in ("held", "made"):
        execute(f"DROP TABLE {temporary}")


def sorting(rows: Execute, most: int) -> tuple[list[tuple[int, int]], int]:
    """Return ranges of series whose days are to be sorted together, and up to which day that is; none if few are not.

    Days are written one after the other, all series of each: a year of one series would be a look at all of them.
    """
    after = rows(f"SELECT coalesce(max(CAST(value AS BIGINT)), {-(2**31)}) FROM meta WHERE key = '{_SORTED}'")[0][0]
    count, last = rows(f"SELECT count(*), max(day) FROM {DAILY} WHERE day > {after}")[0]
    if count < SORTS:
        return [], after
    ranges: list[tuple[int, int]] = []
    first, held = -(2**31), 0
    for series, of_series in rows(f"SELECT series, count(*) FROM {DAILY} GROUP BY 1 ORDER BY 1"):
        if held and held + of_series > most:
            ranges.append((first, series - 1))
            first, held = series, 0
        held += of_series
    return [*ranges, (first, 2**31 - 1)], last


def sort(execute: Execute, first: int, last: int) -> None:
    """Write the days of a range of series anew, one series after the other, inside a transaction."""
    of_range = f"series BETWEEN {first} AND {last}"
    execute(f"CREATE OR REPLACE TEMP TABLE sorted AS SELECT * FROM {DAILY} WHERE {of_range}")
    execute(f"DELETE FROM {DAILY} WHERE {of_range}")
    execute(f"INSERT INTO {DAILY} SELECT * FROM sorted ORDER BY series, time")
    execute("DROP TABLE sorted")


def note_sorted(execute: Execute, day: int) -> None:
    """Write up to which day the days are sorted."""
    execute(f"INSERT OR REPLACE INTO meta VALUES ('{_SORTED}', '{day}')")


def swapped_at(event_time: Instant, body: str) -> Instant:
    """Return when a meter was exchanged: as the event says, or when it was noticed."""
    try:
        data = _swap_decoder.decode(body)
        return from_rfc3339(data.swapped_at) if data.swapped_at else event_time
    except (ValueError, msgspec.MsgspecError):
        return event_time


def _era(execute: Execute) -> str:
    """Return in SQL which meter a reading of ``h`` is of: what one shows says nothing of another's use."""
    swaps = execute(
        f"SELECT s.id, e.time, e.body FROM event e JOIN series s ON s.gateway = e.gateway AND s.device = e.subject"
        f" WHERE e.type = '{SWAPPED}' AND s.id IN (SELECT series FROM touched WHERE counter)"
    )
    if not swaps:
        return "0"
    rows = ", ".join(f"({series}, {swapped_at(time, body)})" for series, time, body in swaps)
    execute(f"CREATE OR REPLACE TEMP TABLE swaps AS SELECT * FROM (VALUES {rows}) AS v(series, time)")
    return "(SELECT count(*) FROM swaps w WHERE w.series = h.series AND w.time <= h.time)"


def _counters() -> str:
    return ", ".join(f"'{word.name}'" for word in vocabulary().values() if word.kind is Kind.COUNTER)


def _row(length: int | None) -> str:
    """Return the columns of a window's row, of rows of ``redone`` with the window's ``start``; no length for a day."""
    # For how long the last reading of a day was held nobody knows yet: nothing follows it, and it counts for nothing.
    end = "next_time"
    if length is not None:
        border = f"start + {length}"
        end = f"CASE WHEN next_time < {border} THEN next_time WHEN next_time IS NOT NULL THEN {border} END"
    held = f"held * ({end} - time)"
    # What is held from the window before until the first reading of this one.
    head = "0" if length is None else "CASE WHEN before_time < start THEN time - start ELSE 0 END"
    # A day holds nothing of the one before it: its readings may not have come yet.
    inside = "trusted_before_time >= start"
    return (
        "count(held), count(*) FILTER (held IS NULL AND quality < {bad}), count(*) FILTER (quality >= {bad}),"
        " coalesce(min(quality) FILTER (quality < {bad}), max(quality)), sum(held), min(held), max(held),"
        " arg_min(held, time), min(time) FILTER (held IS NOT NULL),"
        " arg_max(held, time), max(time) FILTER (held IS NOT NULL),"
        f" sum(coalesce({held}, 0) + coalesce(before * ({head}), 0)) FILTER (held IS NOT NULL OR before IS NOT NULL),"
        f" coalesce(sum(CASE WHEN held IS NOT NULL THEN coalesce({end} - time, 0) ELSE 0 END"
        f" + CASE WHEN before IS NOT NULL THEN {head} ELSE 0 END), 0),"
        " CASE WHEN count(trusted) > 0 THEN"
        f" coalesce(sum(greatest(trusted - trusted_before, 0)) FILTER ({inside}), 0) END,"
        " nullif(arg_min(trusted, time), arg_min(held, time)), nullif(arg_max(trusted, time), arg_max(held, time))"
    ).format(bad=_BAD)
