"""``SHOW``: what there is to ask about."""

from dataclasses import dataclass
from typing import Any, Final

from linli_platform.influxql.condition import take_apart
from linli_platform.influxql.members import Members
from linli_platform.influxql.pattern import matcher
from linli_platform.influxql.source import Series, Source
from linli_platform.influxql.sources import named
from linli_platform.influxql.syntax import Regex, Show, Shown

DATABASE: Final = "linli"
"""The one database there is: which areas of it are seen is the asker's token's matter."""
POLICY: Final = "autogen"


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: its name, empty if it has none, its columns, its rows."""

    name: str
    columns: list[str]
    rows: list[list[Any]]


def show(statement: Show, source: Source, now: int) -> list[Listing]:
    """Return what a statement lists; lists without rows are left out."""
    if statement.what is Shown.DATABASES:
        return [Listing("databases", ["name"], [[DATABASE]])]
    if statement.what is Shown.POLICIES:
        columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
        return [Listing("", columns, [[POLICY, "0s", "24h0m0s", 1, True]])]
    found: list[Listing] = []
    for name in _measurements(statement, source):
        series = _series(statement, source, name, now)
        if series:
            found.append(_of_measurement(statement, source, name, series))
    if statement.what is Shown.MEASUREMENTS:
        return _cut([Listing("measurements", ["name"], [[each.name] for each in found])], statement)
    if statement.what is Shown.SERIES:
        return _cut([Listing("", ["key"], [row for each in found for row in each.rows])], statement)
    return _cut(found, statement)


def _measurements(statement: Show, source: Source) -> list[str]:
    names = source.measurements()
    if statement.sources:
        wanted = {name for each in statement.sources for name in named(each, source)}
        names = [name for name in names if name in wanted]
    if statement.measurement is not None:
        operator, what = statement.measurement
        names = [name for name in names if _fits(operator, (what,) if isinstance(what, str) else what, name)]
    return list(names)


def _series(statement: Show, source: Source, name: str, now: int) -> Members:
    """Return the series for which the condition holds; of times it says nothing here, as with InfluxDB."""
    rest = take_apart(statement.condition, now, None).rest
    return Members.of(source.series(name)).holding(rest)


def _of_measurement(statement: Show, source: Source, name: str, series: Members) -> Listing:
    if statement.what is Shown.FIELD_KEYS:
        rows = [[field, kind.value] for field, kind in sorted(source.fields(name).items())]
        return Listing(name, ["fieldKey", "fieldType"], rows)
    if statement.what is Shown.TAG_KEYS:
        return Listing(name, ["tagKey"], [[key] for key in sorted(series.tags)])
    if statement.what is Shown.TAG_VALUES:
        assert statement.key is not None
        operator, what = statement.key
        keys = [key for key in series.tags if _fits(operator, what, key)]
        pairs = {(key, value) for key in keys for one in series if (value := one.tags.get(key)) is not None}
        return Listing(name, ["key", "value"], [list(pair) for pair in sorted(pairs)])
    rows = [
        [",".join((_escaped(name), *(f"{_escaped(k)}={_escaped(v)}" for k, v in one.tags.items())))] for one in series
    ]
    return Listing(name, ["key"], rows if statement.what is Shown.SERIES else [])


def _fits(operator: str, what: tuple[str, ...] | Regex, name: str) -> bool:
    found = matcher(what.pattern)(name) if isinstance(what, Regex) else name in what
    return found != operator.startswith("!")


def _key(name: str, one: Series) -> str:
    return ",".join([_escaped(name), *(f"{_escaped(tag)}={_escaped(value)}" for tag, value in one.tags.items())])


def _escaped(text: str) -> str:
    for character in ",= ":
        text = text.replace(character, "\\" + character)
    return text


def _cut(listings: list[Listing], statement: Show) -> list[Listing]:
    part = slice(statement.offset, statement.offset + statement.limit if statement.limit else None)
    cut = [Listing(each.name, each.columns, each.rows[part]) for each in listings]
    return [each for each in cut if each.rows]
