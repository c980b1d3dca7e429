"""What is selected: wildcards written out, names given, and what cannot stand together refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linli_platform.influxql.checks import check
from linli_platform.influxql.functions import OF_ANYTHING
from linli_platform.influxql.mathematics import folded
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.pattern import matcher
from linli_platform.influxql.syntax import (
    TIME,
    Binary,
    Call,
    Column,
    Distinct,
    Expression,
    Kind,
    Name,
    Regex,
    Select,
    Wildcard,
)

_NUMBERS: Final = {Kind.FLOAT, Kind.INTEGER}


@dataclass(frozen=True, slots=True)
class Schema:
    """What there is: fields with their kinds, and tags."""

    fields: Mapping[str, Kind]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A column of the answer.

    Attributes:
        name: What it is called.
        expression: What it is made of.
        is_tag: It is a tag alone: a row of nothing else is none.
    """

    name: str
    expression: Expression
    is_tag: bool


def choose(select: Select, schema: Schema, grouped: Sequence[str]) -> list[Chosen]:
    """Return the columns of a statement.

    Tags by which is grouped are not among those of a ``*``; grouped by a pattern no tag is, as InfluxDB has it.

    Raises:
        QueryError: Columns that cannot stand together, or a function that is given what it does not take.
    """
    if any(isinstance(tag, Regex) for tag in select.grouping.tags):
        grouped = tuple(schema.tags)
    written = [each for column in select.columns for each in _written_out(column, schema, grouped)]
    written = [column for column in written if not _is_time(column.expression)]
    if not written:
        raise QueryError("at least 1 non-time field must be queried")
    check(select, [column.expression for column in written], schema.fields)
    chosen: list[Chosen] = []
    taken: dict[str, int] = {TIME: 0}
    for column in written:
        name = column.alias or _name_of(column.expression)
        if name in taken and not column.alias:
            taken[name] += 1
            while (other := f"{name}_{taken[name]}") in taken:
                taken[name] += 1
            name = other
        taken.setdefault(name, 0)
        chosen.append(Chosen(name, folded(column.expression), _is_tag(column.expression, schema)))
    return chosen


def _written_out(column: Column, schema: Schema, grouped: Sequence[str]) -> Iterable[Column]:
    expression = column.expression
    if isinstance(expression, Wildcard | Regex):
        for name in _matching(expression, schema, grouped):
            yield Column(Name(name))
        return
    if isinstance(expression, Call) and expression.arguments and isinstance(expression.arguments[0], Wildcard | Regex):
        pattern, rest = expression.arguments[0], expression.arguments[1:]
        for name, kind in sorted(schema.fields.items()):
            fits = not isinstance(pattern, Regex) or matcher(pattern.pattern)(name)
            if fits and (kind in _NUMBERS or expression.name in OF_ANYTHING):
                yield Column(Call(expression.name, (Name(name), *rest)), f"{column.alias or expression.name}_{name}")
        return
    yield column


def _matching(pattern: Wildcard | Regex, schema: Schema, grouped: Sequence[str]) -> list[str]:
    names = set(schema.fields) | (schema.tags - set(grouped))
    if isinstance(pattern, Regex):
        return sorted(name for name in names if matcher(pattern.pattern)(name))
    if pattern.kind is Kind.FIELD:
        names = set(schema.fields)
    elif pattern.kind is Kind.TAG:
        names = set(schema.tags) - set(grouped)
    return sorted(names)


def _is_time(expression: Expression) -> bool:
    return isinstance(expression, Name) and expression.name.lower() == TIME


def _is_tag(expression: Expression, schema: Schema) -> bool:
    return isinstance(expression, Name) and (expression.name not in schema.fields or expression.kind is Kind.TAG)


def _name_of(expression: Expression) -> str:
    if isinstance(expression, Name | Call):
        return expression.name
    if isinstance(expression, Distinct):
        return "distinct"
    if isinstance(expression, Binary):
        return "_".join(name for name in (_name_of(expression.left), _name_of(expression.right)) if name)
    return ""
