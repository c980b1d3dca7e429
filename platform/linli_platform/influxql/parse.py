"""From the text of a query to its statements."""

import re
from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, cast

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from linli_core.errors import LinliError
from linli_platform.influxql.syntax import (
    Binary,
    Boolean,
    Call,
    Column,
    CreateDatabase,
    Distinct,
    Duration,
    Expression,
    Fill,
    Grouping,
    Kind,
    Measurement,
    Measurements,
    Name,
    Number,
    Parameters,
    Regex,
    Select,
    Show,
    Shown,
    Source,
    Statement,
    Text,
    Wildcard,
    parts_of,
)

LONGEST: Final = 65_536
"""Characters of one query; a board's longest is a few thousand."""

DEEPEST: Final = 100
"""Open parentheses at one place: each costs the parser, the planner and the interpreter a level."""

_UNITS: Final = {
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "µ": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_PIECES: Final = re.compile(r"(\d+)(ns|ms|us|[uµsmhdw])")
_LARGEST: Final = 2**63 - 1


class QueryError(LinliError):
    """A query that cannot be answered: it is malformed, or asks for what there is not. The text says where."""


class QuerySyntaxError(QueryError):
    """A query that cannot be read."""


_BOUND: Final[ContextVar[Parameters]] = ContextVar("_BOUND")
"""What the query that is being read may name: the one parser serves several threads."""


def parse(text: str, parameters: Parameters | None = None) -> list[Statement]:
    """Return the statements of a query.

    Args:
        text: The query.
        parameters: What ``$name`` stands for.

    Raises:
        QuerySyntaxError: It is no InfluxQL, or more than is taken (:data:`LONGEST`, :data:`DEEPEST`).
    """
    if len(text) > LONGEST:
        raise QuerySyntaxError(f"the query has {len(text)} characters; {LONGEST} are taken at most")
    _check_depth(text)
    bound = _BOUND.set(parameters or {})
    try:
        # The tree is built while the text is read: a tree of the parser's own would be gone through by recursion.
        statements = cast("list[Statement]", _parser().parse(text))
    except UnexpectedInput as exc:
        raise QuerySyntaxError(_explain(exc, text)) from exc
    finally:
        _BOUND.reset(bound)
    if not statements:
        raise QuerySyntaxError("the query is empty")
    return statements


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1h30m``."""
    pieces = _PIECES.findall(text)
    if "".join(map("".join, pieces)) != text or not pieces:
        raise QuerySyntaxError(f"the duration {text[:40]!r} is none: write one such as 1h30m")
    if len(text) > 40:
        raise QuerySyntaxError(f"the duration {text[:40]}… is longer than 292 years")
    total = sum(int(number) * _UNITS[unit] for number, unit in pieces)
    if total > _LARGEST:
        raise QuerySyntaxError(f"the duration {text} is longer than 292 years")
    return total


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True, transformer=_Builder())


def _check_depth(text: str) -> None:
    depth = 0
    for char in text:
        if char == "(":
            depth += 1
            if depth > DEEPEST:
                raise QuerySyntaxError(f"more than {DEEPEST} parentheses are open")
        elif char == ")":
            depth -= 1


def _check_height(expression: Expression) -> None:
    """Refuse what everything that goes through the tree would go too deep into."""
    level: list[Expression] = [expression]
    for _ in range(DEEPEST):
        level = [part for item in level for part in parts_of(item)]
        if not level:
            return
    raise QuerySyntaxError(f"more than {DEEPEST} operations are one within the other")


def _balanced(operator: str, parts: Sequence[Expression]) -> Expression:
    """Return a chain as a tree that is no higher than it must be: a board's list of devices may have a thousand."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        rest = parts[-1:] if len(parts) % 2 else ()
        parts = [*(Binary(operator, left, right) for left, right in pairs), *rest]
    return parts[0]


def _explain(error: UnexpectedInput, text: str) -> str:
    token = getattr(error, "token", None)
    at = error.pos_in_stream if error.pos_in_stream is not None else len(text)
    if token is not None and token.type == "$END":
        found, at = "EOF", len(text)
    elif token is not None:
        found = str(token)
    else:
        found = text[at : at + 12].split("\n", maxsplit=1)[0]
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    expected = sorted(
        _readable(name) for name in (getattr(error, "accepts", None) or getattr(error, "allowed", None) or ())
    )
    wanted = f", expected {', '.join(expected)}" if expected else ""
    return f"error parsing query: found {found}{wanted} at line {line}, char {column}"


def _readable(terminal: str) -> str:
    return {
        "RPAR": ")",
        "LPAR": "(",
        "COMMA": ",",
        "SEMICOLON": ";",
        "DOT": ".",
        "__ANON_0": "::",
        "$END": "EOF",
        "CALLED": "function",
    }.get(terminal, terminal)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Builds the tree of :mod:`syntax` out of the parser's, bottom up."""

    def start(self, *items: Any) -> list[Statement]:
        return [item for item in items if isinstance(item, Select | Show | CreateDatabase)]

    # Leaves

    def identifier(self, token: Token) -> str:
        return _unquoted(token) if token.type == "QUOTED" else str(token)

    def name(self, name: str, kind: Token | None) -> Name:
        return Name(name, Kind(kind.lower()) if kind else None)

    def number(self, token: Token) -> Number:
        if token.type == "DECIMAL":
            return Number(float(token))
        if len(token) > 19 or int(token) > _LARGEST:
            raise QuerySyntaxError(f"the number {token[:40]} is larger than {_LARGEST}")
        return Number(int(token))

    def duration(self, token: Token) -> Duration:
        return Duration(parse_duration(token))

    def text(self, token: Token) -> Text:
        return Text(_unquoted(token))

    def true(self, _token: Token) -> Boolean:
        return Boolean(value=True)

    def false(self, _token: Token) -> Boolean:
        return Boolean(value=False)

    def regex(self, token: Token) -> Regex:
        return Regex(token[1:-1].replace(r"\/", "/"))

    def parameter(self, token: Token) -> Expression:
        name = _unquoted(token[1:]) if token[1] == '"' else token[1:]
        if (value := _BOUND.get().get(name)) is None:
            raise QuerySyntaxError(f"missing parameter: {name}")
        return value

    def wildcard(self, _star: Token, kind: Token | None = None) -> Wildcard:
        return Wildcard(Kind(kind.lower()) if kind else None)

    def distinct(self, _word: Token, name: str) -> Distinct:
        return Distinct(name)

    # Expressions

    def call(self, name: Token, *arguments: Expression | None) -> Call:
        return Call(name.lower(), tuple(item for item in arguments if item is not None))

    def any_of(self, *parts: Expression | Token) -> Expression:
        return _balanced("OR", cast("Sequence[Expression]", parts[::2]))

    def all_of(self, *parts: Expression | Token) -> Expression:
        return _balanced("AND", cast("Sequence[Expression]", parts[::2]))

    def binary(self, left: Expression, operator: Token, right: Expression | Token) -> Binary:
        word = operator.upper()
        if isinstance(right, Token):
            right = self.parameter(right) if right.type == "PARAMETER" else self.regex(right)
            if not isinstance(right, Regex):
                raise QuerySyntaxError(f"after {word} a pattern is expected: send it as {{'regex': '…'}}")
        return Binary("!=" if word == "<>" else word, left, right)

    def signed(self, sign: Token, operand: Expression) -> Expression:
        if sign == "+":
            return operand
        if isinstance(operand, Number):
            return Number(-operand.value)
        if isinstance(operand, Duration):
            return Duration(-operand.value)
        return Binary("*", Number(-1), operand)

    # Clauses

    def column(self, expression: Expression, _word: Token | None, alias: str | None) -> Column:
        _check_height(expression)
        return Column(expression, alias or "")

    def columns(self, *columns: Column) -> tuple[Column, ...]:
        return columns

    def named(self, *names: str | None) -> Measurement:
        *where, name = names
        database, policy = (*where, None, None)[:2]
        return Measurement(name or "", database or "", policy or "")

    def in_policy(self, policy: str, name: str) -> Measurement:
        return Measurement(name, "", policy)

    def pattern(self, token: Token) -> Measurements:
        return Measurements(self.regex(token))

    def sources(self, *sources: Source) -> tuple[Source, ...]:
        return sources

    def where(self, _word: Token, condition: Expression) -> Expression:
        _check_height(condition)
        return condition

    def group_by(self, _group: Token, _by: Token, *dimensions: Expression) -> Grouping:
        interval = offset = 0
        tags: list[Name | Regex | Wildcard] = []
        for dimension in dimensions:
            if isinstance(dimension, Name | Regex | Wildcard):
                tags.append(dimension)
            elif isinstance(dimension, Call) and dimension.name == "time":
                if interval:
                    raise QuerySyntaxError("multiple time dimensions not allowed")
                interval, offset = _windows(dimension)
            else:
                raise QuerySyntaxError("only time() and tag dimensions allowed")
        return Grouping(interval, offset, tuple(tags))

    def fill(self, _word: Token, sign: Token | None, what: Number | Token) -> tuple[Fill, float]:
        if isinstance(what, Number):
            return Fill.NUMBER, -what.value if sign == "-" else what.value
        word = what.lower()
        if sign or word not in {"null", "none", "previous", "linear"}:
            raise QuerySyntaxError(f"fill({sign or ''}{what}): expected null, none, previous, linear or a number")
        return Fill(word), 0.0

    def order_by(self, _order: Token, _by: Token, name: str, direction: Token | None) -> bool:
        if name.lower() != "time":
            raise QuerySyntaxError("only ORDER BY time supported at this time")
        return direction is not None and direction.upper() == "DESC"

    def limit(self, _word: Token, number: Token) -> int:
        return self._count(number)

    offset = slimit = soffset = limit

    def _count(self, token: Token) -> int:
        if len(token) > 9:
            raise QuerySyntaxError(f"{token[:40]} is more than can be counted to")
        return int(token)

    def tz(self, _word: Token, zone: Token) -> str:
        return _unquoted(zone)

    def select(
        self, _select: Token, columns: tuple[Column, ...], _from: Token, sources: tuple[Source, ...], *rest: Any
    ) -> Select:
        condition, grouping, fill, descending, limit, offset, slimit, soffset, zone = rest
        kind, value = fill or (Fill.NULL, 0.0)
        return Select(
            columns,
            sources,
            condition,
            grouping or Grouping(),
            kind,
            value,
            bool(descending),
            limit or 0,
            offset or 0,
            slimit or 0,
            soffset or 0,
            zone or "",
        )

    # SHOW

    def on(self, _word: Token, database: str) -> str:
        return database

    def key(self, operator: Token, key: str | Token) -> tuple[str, tuple[str, ...] | Regex]:
        return str(operator), self.regex(key) if isinstance(key, Token) else (key,)

    def keys(self, _word: Token, *names: str) -> tuple[str, tuple[str, ...]]:
        return "=", names

    def with_measurement(
        self, _with: Token, _word: Token, operator: Token, name: str | Token
    ) -> tuple[str, str | Regex]:
        return str(operator), self.regex(name) if isinstance(name, Token) else name

    def show_databases(self, *_words: Token) -> Show:
        return Show(Shown.DATABASES)

    def show_measurements(self, *items: Any) -> Show:
        on, measurement, condition, limit, offset = items[2:]
        return Show(
            Shown.MEASUREMENTS,
            condition=condition,
            measurement=measurement,
            limit=limit or 0,
            offset=offset or 0,
            database=on or "",
        )

    def show_tag_keys(self, *items: Any) -> Show:
        return self._show(Shown.TAG_KEYS, *items[3:])

    def show_field_keys(self, *items: Any) -> Show:
        on, sources, limit, offset = items[3:]
        return self._show(Shown.FIELD_KEYS, on, sources, None, limit, offset)

    def show_series(self, *items: Any) -> Show:
        return self._show(Shown.SERIES, *items[2:])

    def show_tag_values(self, *items: Any) -> Show:
        on, sources, _with, _key, key, condition, limit, offset = items[3:]
        return self._show(Shown.TAG_VALUES, on, sources, condition, limit, offset, key=key)

    def show_policies(self, *items: Any) -> Show:
        return Show(Shown.POLICIES, database=items[3] or "")

    def from_(self, _word: Token, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return sources

    def _show(
        self,
        what: Shown,
        on: str | None,
        sources: Any,
        condition: Expression | None,
        limit: int | None,
        offset: int | None,
        **more: Any,
    ) -> Show:
        if sources and any(isinstance(source, Select) for source in sources):
            raise QuerySyntaxError("SHOW takes measurements, no subquery")
        return Show(what, sources or (), condition, limit=limit or 0, offset=offset or 0, database=on or "", **more)

    def create_database(self, _create: Token, _database: Token, name: str, _rest: Token | None) -> CreateDatabase:
        return CreateDatabase(name)


# ``from`` is a word of Python's; the grammar's rule has that name.
setattr(_Builder, "from", _Builder.from_)


def _windows(call: Call) -> tuple[int, int]:
    """Return interval and offset of ``time(interval, offset)``."""
    if not 1 <= len(call.arguments) <= 2:
        raise QuerySyntaxError("time dimension expected 1 or 2 arguments")
    interval = call.arguments[0]
    if not isinstance(interval, Duration):
        raise QuerySyntaxError("time dimension must have duration argument")
    if interval.value <= 0:
        raise QuerySyntaxError("time dimension must be longer than nothing")
    if len(call.arguments) == 1:
        return interval.value, 0
    offset = call.arguments[1]
    if isinstance(offset, Duration):
        return interval.value, offset.value
    raise QuerySyntaxError("time dimension offset must be a duration")
