"""A query from its text to its results."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo

from linli_platform.influxql.answer import Answer, answer
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.show import DATABASE, Listing, show
from linli_platform.influxql.source import Source
from linli_platform.influxql.syntax import CreateDatabase, Measurement, Select, Show, Statement
from linli_platform.store.query import TooManyReadings


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one statement.

    Attributes:
        answers: Of a ``SELECT``.
        listings: Of a ``SHOW``.
        error: Why nothing came of it; empty if something did.
    """

    answers: list[Answer] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    error: str = ""


def execute(
    statements: list[Statement], source: Source, now: int, database: str, local: tzinfo | None = None
) -> Iterator[Result]:
    """Yield the result of each statement; what is wrong with one keeps none of the others from being answered.

    Args:
        statements: As :func:`linli_platform.influxql.parse.parse` returns them.
        source: What there is for the asker.
        now: The present instant (ns).
        database: The one that is asked, where a statement names none.
        local: The community's time zone, ``None`` for UTC.
    """
    for statement in statements:
        try:
            yield _execute(statement, source, now, database, local)
        except (QueryError, TooManyReadings) as exc:
            yield Result(error=str(exc))


def _execute(statement: Statement, source: Source, now: int, database: str, local: tzinfo | None) -> Result:
    if isinstance(statement, CreateDatabase):
        _check_database(statement.name)
        return Result()
    if isinstance(statement, Show):
        if statement.database or database:
            _check_database(statement.database or database)
        return Result(listings=show(statement, source, now))
    for name in _databases(statement, database):
        _check_database(name)
    return Result(answers=answer(statement, source, now, local=local))


def _databases(select: Select, database: str) -> Iterator[str]:
    for source in select.sources:
        if isinstance(source, Select):
            yield from _databases(source, database)
        else:
            yield (source.database if isinstance(source, Measurement) else "") or database


def _check_database(name: str) -> None:
    if not name:
        raise QueryError(f"database name required: this platform has one, {DATABASE}")
    if name != DATABASE:
        raise QueryError(f"database not found: {name[:80]}; this platform has one, {DATABASE}")
