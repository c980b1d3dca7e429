"""Conditions from TOML tables, one reader for each kind."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from linli_core.alarm.conditions import (
    Absence,
    Balance,
    Baseline,
    Change,
    Condition,
    Direction,
    Expression,
    Happening,
    Integral,
    Limit,
    MeanKinetic,
    NightFlow,
    Outside,
    Pattern,
    PatternForm,
    Rate,
    StateIs,
    Statistic,
    Window,
)
from linli_core.alarm.expression import parse_expression
from linli_core.alarm.schedule import DAYS, MINUTES, Schedule
from linli_core.alarm.scope import Scope, SubjectKind
from linli_core.alarm.table import Table, kind_of
from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant

LONGEST: Final = 400 * DAY
"""No condition looks further back: what a watch keeps must stay small."""

MOST_COUNTED: Final = 1_000
MOST_GAP: Final = 60
MOST_WEEKS: Final = 12
MOST_POINTS: Final = 16

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_SEASON: Final = re.compile(r"(\d{2})-(\d{2})/(\d{2})-(\d{2})", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_DAYS_OF_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Kind(StrEnum):
    LIMIT = "limit"
    STATE = "state"
    ABSENCE = "absence"
    RATE = "rate"
    OUTSIDE = "outside"
    INTEGRAL = "integral"
    MEAN_KINETIC = "mean_kinetic_temperature"
    WINDOW = "window"
    CHANGE = "change"
    PATTERN = "pattern"
    BASELINE = "baseline"
    NIGHT_FLOW = "night_flow"
    BALANCE = "balance"
    EXPRESSION = "expression"


_DELAYS: Final = ("hysteresis", "on_delay", "off_delay")
_LEVEL: Final = ("high", "low", *_DELAYS)


def parse_condition(raw: object, where: str) -> Condition:
    """Return the condition of a table; raise :class:`ConfigError` where it cannot be used."""
    every = {key for keys, _ in _READERS.values() for key in keys}
    kind = Table(raw, where, sorted({*every, "kind"})).choice("kind", _Kind)
    keys, read = _READERS[kind]
    return read(Table(raw, where, ("kind", *keys)))


def parse_scope(raw: object, where: str) -> Scope:
    """Return the scope of a table."""
    table = Table(raw, where, ("gateways", "devices", "kinds", "tags", "points", "areas"))
    return Scope(
        gateways=table.texts("gateways"),
        devices=table.texts("devices"),
        kinds=table.texts("kinds"),
        tags=table.texts("tags"),
        points=table.texts("points"),
        areas=table.texts("areas"),
    )


def parse_schedule(raw: object, where: str) -> Schedule:
    """Return the schedule of a table."""
    table = Table(raw, where, ("days", "hours", "seasons"))
    days = table.texts("days")
    for day in days:
        if day not in DAYS:
            raise ConfigError(table.place("days"), f"found {day!r}", f"write some of {', '.join(DAYS)}")
    hours = tuple(_hours(text, table.place("hours")) for text in table.texts("hours"))
    seasons = tuple(_season(text, table.place("seasons")) for text in table.texts("seasons"))
    if not (days or hours or seasons):
        raise ConfigError(where, "found no days, hours or seasons", "write some, or leave the schedule out")
    return Schedule(tuple(sorted({DAYS.index(day) for day in days})), hours, seasons)


def _hours(text: str, where: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ConfigError(where, f"found {text!r}", 'write hours such as "22:00-06:00"')
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin == end or end > MINUTES:
        raise ConfigError(where, f"found {text!r}", "let them begin and end at different times of a day")
    return begin, end


def _season(text: str, where: str) -> tuple[tuple[int, int], tuple[int, int]]:
    match = _SEASON.fullmatch(text)
    numbers = [int(part) for part in match.groups()] if match else [0, 0, 0, 0]
    first, last = (numbers[0], numbers[1]), (numbers[2], numbers[3])
    if not all(
        1 <= month <= len(_DAYS_OF_MONTH) and 1 <= day <= _DAYS_OF_MONTH[month - 1] for month, day in (first, last)
    ):
        raise ConfigError(where, f"found {text!r}", 'write months and days such as "11-15/03-15"')
    return first, last


def _positive(table: Table, key: str, default: Instant | None = None) -> Instant:
    """Return a duration that is there, longer than nothing and no longer than a watch may look back."""
    if default is None and not table.has(key):
        raise ConfigError(table.place(key), "found nothing", 'write a duration such as "90 s" or "15 min"')
    value = table.duration(key, default or 0)
    if not SECOND <= value <= LONGEST:
        raise ConfigError(table.place(key), f"found {kind_of(table.get(key))}", "write one between 1 s and 400 d")
    return value


def _gap(table: Table, over: Instant) -> Instant:
    """Return how long a reading speaks for what follows it."""
    gap = _positive(table, "gap", 15 * MINUTE)
    if gap > MOST_GAP * over:
        raise ConfigError(table.place("gap"), "found one much longer than over", f"write at most {MOST_GAP} times over")
    return gap


def _not_negative(table: Table, key: str, default: float | None = None) -> float:
    value = table.number(key, default)
    if value < 0:
        raise ConfigError(table.place(key), f"found {value:g}", "write 0 or more")
    return value


def _share(table: Table, key: str, default: float | None = None) -> float:
    value = table.number(key, default)
    if not 0 <= value <= 1:
        raise ConfigError(table.place(key), f"found {value:g}", "write a share between 0 and 1")
    return value


def _whole(table: Table, key: str, default: int | None, least: int, most: int) -> int:
    value = table.get(key) if table.has(key) else default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(table.place(key), f"found {kind_of(value)}", f"write a number from {least} to {most}")
    return value


def _one_of(table: Table, one: str, other: str, hint: str) -> None:
    if table.has(one) == table.has(other):
        found = f"found both {one} and {other}" if table.has(one) else f"found neither {one} nor {other}"
        raise ConfigError(table.where, found, hint)


def _level(table: Table, high: str = "high", low: str = "low", sign: float = 1.0) -> Limit:
    """Return the limit of a table; ``sign`` turns what is written for the low one."""
    _one_of(table, high, low, "write one of them; the other limit is a rule of its own, with its texts")
    return Limit(
        high=table.number(high) if table.has(high) else None,
        low=sign * table.number(low) if table.has(low) else None,
        hysteresis=_not_negative(table, "hysteresis", 0.0),
        on_delay=table.duration("on_delay", 0),
        off_delay=table.duration("off_delay", 0),
    )


def _states(table: Table, key: str = "values", *, needed: bool = True) -> tuple[bool | float | str, ...]:
    if not needed and not table.has(key):
        return ()
    values = table.get(key)
    if not isinstance(values, list) or not values or not all(isinstance(v, bool | int | float | str) for v in values):
        raise ConfigError(table.place(key), f"found {kind_of(values)}", "write a list of states, such as [true]")
    return tuple(values)


def _state(table: Table) -> StateIs:
    return StateIs(_states(table), on_delay=table.duration("on_delay", 0), off_delay=table.duration("off_delay", 0))


def _absence(table: Table) -> Absence:
    intervals = table.number("intervals", 0.0)
    if intervals and intervals < 1:
        raise ConfigError(table.place("intervals"), f"found {intervals:g}", "wait for at least one interval")
    after = table.duration("after", 60 * SECOND)
    if after <= 0:
        raise ConfigError(table.place("after"), "found no time at all", "wait for at least some milliseconds")
    return Absence(
        of=table.choice("of", SubjectKind, SubjectKind.POINT),
        bad_counts=table.flag("bad_counts"),
        after=after,
        intervals=intervals,
        until_known=table.duration("until_known", HOUR),
    )


def _rate(table: Table) -> Rate:
    for key in ("rise", "fall"):
        if table.has(key):
            _not_negative(table, key)
    level = _level(table, "rise", "fall", -1.0)
    return Rate(level, _positive(table, "over"), _positive(table, "per", HOUR))


def _outside(table: Table) -> Outside:
    low = table.number("low") if table.has("low") else None
    high = table.number("high") if table.has("high") else None
    if low is None and high is None:
        raise ConfigError(table.where, "found neither low nor high", "write the range, or one end of it")
    if low is not None and high is not None and low >= high:
        raise ConfigError(table.place("low"), f"found {low:g}, not below high", "write a range that has an inside")
    longest, over = _positive(table, "for"), _positive(table, "over")
    if longest >= over:
        raise ConfigError(table.place("for"), "found a time not shorter than over", "write a shorter one")
    return Outside(longest, over, low, high, _gap(table, over))


def _integral(table: Table) -> Integral:
    _one_of(table, "above", "below", "write the edge beyond which it is added up")
    level = Limit(
        high=_not_negative(table, "high"),
        hysteresis=_not_negative(table, "hysteresis", 0.0),
        on_delay=table.duration("on_delay", 0),
        off_delay=table.duration("off_delay", 0),
    )
    over = _positive(table, "over")
    return Integral(
        level,
        over,
        above=table.number("above") if table.has("above") else None,
        below=table.number("below") if table.has("below") else None,
        gap=_gap(table, over),
    )


def _mean_kinetic(table: Table) -> MeanKinetic:
    activation = table.number("activation", 10_000.0)
    if not 0 < activation <= 100_000:
        raise ConfigError(table.place("activation"), f"found {activation:g}", "write kelvins, such as 10000")
    over = _positive(table, "over")
    return MeanKinetic(
        _level(table),
        over,
        activation,
        gap=_gap(table, over),
        coverage=_share(table, "coverage", 0.5),
    )


def _window(table: Table) -> Window:
    over = _positive(table, "over")
    return Window(
        table.choice("statistic", Statistic),
        _level(table),
        over,
        _gap(table, over),
        _share(table, "coverage", 0.5),
    )


def _change(table: Table) -> Change:
    return Change(
        _states(table, "from", needed=False), _states(table, "to", needed=False), _positive(table, "hold", MINUTE)
    )


def _happening(raw: object, where: str) -> Happening:
    table = Table(raw, where, ("values", "quantity", "points"))
    return Happening(_states(table), Scope(points=table.texts("points")), table.text("quantity", ""))


def _pattern(table: Table) -> Pattern:
    form = table.choice("form", PatternForm)
    is_count = form is PatternForm.COUNT
    if is_count == table.has("b"):
        found = "found b" if is_count else "found nothing"
        raise ConfigError(table.place("b"), found, "count has a alone; then and without have a and b")
    if table.has("count") is not is_count:
        raise ConfigError(table.place("count"), "found it at the wrong form", "say how many for count, and only there")
    return Pattern(
        form,
        _happening(table.get("a"), table.place("a")),
        _positive(table, "within"),
        None if is_count else _happening(table.get("b"), table.place("b")),
        _whole(table, "count", 1, 1, MOST_COUNTED),
        _positive(table, "hold", MINUTE),
        table.choice("of", SubjectKind, SubjectKind.POINT if is_count else SubjectKind.DEVICE),
    )


def _baseline(table: Table) -> Baseline:
    deviations = table.number("deviations", 4.0)
    if deviations <= 0:
        raise ConfigError(table.place("deviations"), f"found {deviations:g}", "write more than 0")
    return Baseline(
        deviations,
        _not_negative(table, "least", 0.0),
        table.choice("direction", Direction, Direction.EITHER),
        _whole(table, "weeks", 4, 2, MOST_WEEKS),
        table.flag("cumulative"),
        _positive(table, "gap", 30 * MINUTE),
        _share(table, "coverage", 0.5),
    )


def _clock(table: Table, key: str, default: str) -> int:
    text = table.text(key, default)
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ConfigError(table.place(key), f"found {text!r}", 'write a time such as "02:00"')
    return int(match[1]) * 60 + int(match[2])


def _night_flow(table: Table) -> NightFlow:
    begins, ends = _clock(table, "begins", "02:00"), _clock(table, "ends", "04:00")
    slot = _positive(table, "slot", 15 * MINUTE)
    if begins >= ends:
        raise ConfigError(table.place("ends"), "the night ends before it begins", "choose hours after midnight")
    if slot > (ends - begins) * MINUTE:
        raise ConfigError(table.place("slot"), "found a slot longer than the night", "write a shorter one")
    level = Limit(high=_not_negative(table, "high"), hysteresis=_not_negative(table, "hysteresis", 0.0))
    return NightFlow(level, begins, ends, table.flag("cumulative"), slot, _whole(table, "nights", 1, 1, 30))


def _balance(table: Table) -> Balance:
    over = _positive(table, "over", DAY)
    if over < MINUTE:
        raise ConfigError(table.place("over"), f"found {kind_of(table.get('over'))}", "compare at least a minute")
    return Balance(
        parse_scope(table.get("bulk"), table.place("bulk")),
        parse_scope(table.get("subs"), table.place("subs")),
        _share(table, "share"),
        _not_negative(table, "least", 0.0),
        over,
        _positive(table, "wait", 6 * HOUR),
        table.text("gateway", ""),
    )


def _expression(table: Table) -> Expression:
    raw = table.get("points")
    names = tuple(str(name) for name in raw) if isinstance(raw, dict) else ()
    points = Table(raw, table.place("points"), names)
    if not 1 <= len(names) <= MOST_POINTS:
        raise ConfigError(points.where, f"found {len(names)} points", f"name from 1 to {MOST_POINTS}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(points.place(name), f"found {name!r}", "name it in lower case, such as supply")
    when = table.text("when")
    parse_expression(when, names, table.place("when"))
    return Expression(
        when,
        tuple((name, points.text(name)) for name in names),
        _positive(table, "fresh", 15 * MINUTE),
        table.duration("on_delay", 0),
        table.duration("off_delay", 0),
    )


_Reader = tuple[tuple[str, ...], Callable[[Table], Condition]]
_READERS: Final[dict[_Kind, _Reader]] = {
    _Kind.LIMIT: (_LEVEL, _level),
    _Kind.STATE: (("values", "on_delay", "off_delay"), _state),
    _Kind.ABSENCE: (("of", "bad_counts", "after", "intervals", "until_known"), _absence),
    _Kind.RATE: (("rise", "fall", *_DELAYS, "over", "per"), _rate),
    _Kind.OUTSIDE: (("low", "high", "for", "over", "gap"), _outside),
    _Kind.INTEGRAL: (("above", "below", "high", *_DELAYS, "over", "gap"), _integral),
    _Kind.MEAN_KINETIC: ((*_LEVEL, "over", "activation", "gap", "coverage"), _mean_kinetic),
    _Kind.WINDOW: (("statistic", *_LEVEL, "over", "gap", "coverage"), _window),
    _Kind.CHANGE: (("from", "to", "hold"), _change),
    _Kind.PATTERN: (("form", "a", "b", "count", "within", "hold", "of"), _pattern),
    _Kind.BASELINE: (("deviations", "least", "direction", "weeks", "cumulative", "gap", "coverage"), _baseline),
    _Kind.NIGHT_FLOW: (("begins", "ends", "high", "hysteresis", "cumulative", "slot", "nights"), _night_flow),
    _Kind.BALANCE: (("bulk", "subs", "share", "least", "over", "wait", "gateway"), _balance),
    _Kind.EXPRESSION: (("when", "points", "fresh", "on_delay", "off_delay"), _expression),
}
