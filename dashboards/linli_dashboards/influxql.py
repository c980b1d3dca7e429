"""Questions in InfluxQL, and Grafana's form of such a query, which the foundation SDK does not have.

``$timeFilter``, ``$__interval`` and variables are Grafana's to fill in (as :mod:`linli_dashboards.check.grafana`
does). Values are never put into a statement here: a place is named by its variable.
"""

from enum import Enum
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from linli_core.catalogue import Language
from linli_core.model import Quality, quality_code
from linli_dashboards.ask import MAIN, Aggregate, Ask, Lived, Question, Record, Shape, Whom, Window

VALUE: Final = "value"
"""The field of every quantity."""

COUNTED: Final = "counted"
"""The platform's field of every counter whose changes are what was used, though a meter was exchanged or set back."""

PLACES: Final = {"area": "community", "building": "building", "dwelling": "dwelling", "device": "device"}
"""The tag that each variable chooses from."""

TITLED: Final = frozenset({"gateway", "quantity", "rule", *PLACES.values()})
"""Tags beside which the platform has one with what people call it: ``building_zh``, ``rule_en``."""

KEPT: Final = frozenset({"device", "gateway", "point"})
"""Tags that a database under the platform has too."""

ANY: Final = ".*"
"""What a variable stands for while all is chosen: an area that is none matches it too."""

LIVED: Final = {
    Lived.DWELLINGS: "\"dwelling\" != ''",
    Lived.ELSEWHERE: f'"dwelling" = \'\' AND "device_kind" !~ /^{MAIN}/',
    Lived.BUILDINGS: "\"building\" != ''",
    Lived.MAINS: f'"device_kind" =~ /^{MAIN}/',
    Lived.PARTS: f'"device_kind" !~ /^{MAIN}/',
}
"""The condition of each kind of use."""

_HELD: Final = "held"
_BAD: Final = quality_code(Quality.BAD)
_EXTREMES: Final = frozenset({Aggregate.MINIMUM, Aggregate.MAXIMUM})
"""What answers with the instant of what it picked, where no windows are asked for: every reading would be looked at."""

_WINDOWS: Final = {
    Window.AUTO: "$__interval",
    Window.PERIOD: "$period",
    Window.HOUR: "1h",
    Window.DAY: "1d",
}
LAST: Final = {Window.NEWEST: "1h", Window.NIGHTS: "2d", Window.FORTNIGHT: "14d"}
"""Windows that are the last part of the time shown."""

_ONE: Final = frozenset({Window.WHOLE, *LAST})
"""Windows of which there is one."""

_ZONE: Final = " tz('Local')"
"""A day begins where the community has its midnight: it is the platform's, or the database's, own zone."""


class Scope(Enum):
    """What is asked, and so what it knows.

    Attributes:
        PLATFORM: The platform: every measurement and every tag.
        DATABASE: An InfluxDB that the platform writes to: gateways, devices and points only.
    """

    PLATFORM = "platform"
    DATABASE = "database"


class InfluxQuery(Dataquery):
    """A query of a data source of type InfluxDB whose language is InfluxQL."""

    def __init__(self, ref: str, statement: str, source: DataSourceRef, shape: Shape, alias: str) -> None:
        self.ref = ref
        self.statement = statement
        self.source = source
        self.shape = shape
        self.alias = alias

    def to_json(self) -> dict[str, object]:
        """Return it as a dashboard's JSON has it."""
        return {
            "refId": self.ref,
            "datasource": self.source,
            "rawQuery": True,
            "query": self.statement,
            "resultFormat": self.shape.value,
            "alias": self.alias,
        }


class Query(Builder[Dataquery]):
    """A query as the SDK's panels take one."""

    def __init__(self, query: Dataquery) -> None:
        self._query = query

    def build(self) -> Dataquery:
        """Return it."""
        return self._query


def statement(question: Question, lang: Language, scope: Scope = Scope.PLATFORM) -> str:
    """Return the statement that asks a question."""
    if isinstance(question, Record):
        text = _record(question, lang)
    else:
        text = _ask(question, lang, scope) + (f" SLIMIT {question.most}" if question.most else "")
    return text + (_ZONE if "time(" in text else "")


def _ask(question: Ask, lang: Language, scope: Scope) -> str:
    # The platform has the extremes of windows at hand. A database has not, and dates an extreme by its window: one
    # begins before the time shown, and would be left out.
    lone = question.window is Window.WHOLE and question.aggregate in _EXTREMES and scope is Scope.PLATFORM
    if question.aggregate in {Aggregate.CONSUMED, Aggregate.RATE} or question.across or lone:
        return _across(question, lang, scope)
    value = _aggregated(question, scope)
    window = None if question.window in _ONE else question.window
    fill = "none" if question.aggregate is Aggregate.UNUSABLE else "null"
    source = f'"{question.quantity}"'
    groups = _groups(window, named(question.by, lang, scope))
    return _select(f'{value} AS "{question.name}"', source, _conditions(question, scope), groups, fill)


def named(by: tuple[str, ...], lang: Language, scope: Scope = Scope.PLATFORM) -> tuple[str, ...]:
    """Return tags to group by, each followed by the one that holds what people call it."""
    if scope is Scope.DATABASE:
        return tuple(tag for tag in by if tag in KEPT)
    return tuple(name for tag in by for name in ((tag, f"{tag}_{lang}") if tag in TITLED else (tag,)))


def alias(by: tuple[str, ...], lang: Language, scope: Scope = Scope.PLATFORM) -> str:
    """Return Grafana's pattern of a series' name."""
    tags = by if scope is Scope.PLATFORM else tuple(tag for tag in by if tag in KEPT)
    titled = scope is Scope.PLATFORM
    return " ".join(f"$tag_{tag}_{lang}" if titled and tag in TITLED else f"$tag_{tag}" for tag in tags)


def place(whom: Whom, scope: Scope = Scope.PLATFORM) -> list[str]:
    """Return the conditions that keep to the chosen place."""
    if whom is Whom.ALL:
        return []
    chosen = {"area": PLACES["area"]} if whom is Whom.AREA else PLACES
    known = {"device"} if scope is Scope.DATABASE else set(PLACES.values())
    return [f'"{tag}" =~ /^${{{name}:regex}}$/' for name, tag in chosen.items() if tag in known]


def _across(ask: Ask, lang: Language, scope: Scope) -> str:
    """Return a statement about points that are first taken each by itself, then together."""
    # Not one window for all of the time: it would begin before that, and InfluxDB leaves out what does. Of extremes
    # it is all the same how long the windows are, and those of days are at hand.
    whole = Window.DAY if ask.aggregate in _EXTREMES and scope is Scope.PLATFORM else Window.AUTO
    inner: Window | None = ask.inner or (whole if ask.window in _ONE else ask.window)
    if ask.window is Window.NEWEST:
        # Each point has one value of the last hour: several would be added to each other.
        inner = None
    by = named(ask.by, lang, scope)
    each = (*by, *(tag for tag in ("gateway", "point") if tag not in by))
    if ask.aggregate is Aggregate.CONSUMED:
        register = COUNTED if scope is Scope.PLATFORM else VALUE
        value = f'non_negative_difference(last("{register}"))'
    elif ask.aggregate is Aggregate.RATE:
        # By the time from one window that holds a reading to the next: a day is no hour in which so much ran. An hour
        # in which a meter was exchanged is none: of a part of it nobody knows, and it would hide what always runs.
        value = f'non_negative_derivative(last("{VALUE}"), {_WINDOWS[inner or Window.HOUR]})'
    else:
        value = f'{ask.aggregate.value}("{VALUE}")'
    conditions = _conditions(ask, scope)
    points = _select(f'{value} AS "{VALUE}"', f'"{ask.quantity}"', conditions, _groups(inner, each), "null")
    across = ask.across or ("sum" if ask.aggregate is Aggregate.CONSUMED else ask.aggregate.value)
    brought = f'percentile("{VALUE}", {ask.percent})' if ask.percent else f'{across}("{VALUE}")'
    window = None if ask.window in _ONE else ask.window
    if ask.percent and scope is Scope.DATABASE:
        # InfluxDB answers with nothing at all where the first group has too few values for a percentile.
        both = f'{brought} AS "{VALUE}", count("{VALUE}") AS "{_HELD}"'
        found = _select(both, f"({points})", [_range(ask)], _groups(window, by), "none")
        enough = [_range(ask), f'"{_HELD}" >= {ask.enough}']
        return _select(f'"{VALUE}"{_times(ask)} AS "{ask.name}"', f"({found})", enough, _groups(None, by), "none")
    together = f'{brought}{_times(ask)} AS "{ask.name}"'
    return _select(together, f"({points})", [_range(ask)], _groups(window, by), "null")


def _aggregated(ask: Ask, scope: Scope) -> str:
    if ask.aggregate is Aggregate.UNUSABLE:
        return 'count("unusable")' if scope is Scope.PLATFORM else 'count("quality")'
    return f'{ask.aggregate.value}("{VALUE}"){_times(ask)}'


def _times(ask: Ask) -> str:
    return (f" * {ask.scale}" if ask.scale else "") + (f" * ${{{ask.times}}}" if ask.times else "")


def _range(ask: Ask) -> str:
    if ask.window in LAST:
        return f"time >= ${{__to}}ms - {LAST[ask.window]} AND time <= ${{__to}}ms"
    if ask.earlier:
        return f"time >= ${{__from}}ms - {ask.earlier} AND time <= ${{__to}}ms - {ask.earlier}"
    return "$timeFilter"


def _conditions(ask: Ask, scope: Scope) -> list[str]:
    found = [_range(ask), *place(ask.whom, scope)]
    if ask.plain:
        found.append(f'"point" =~ /\\/{ask.quantity}$/')
    if ask.aggregate is Aggregate.UNUSABLE and scope is Scope.DATABASE:
        found.append(f'"quality" >= {_BAD}')
    if ask.lived is not Lived.ANYWHERE and scope is Scope.PLATFORM:
        found.append(LIVED[ask.lived])
    return found


def _record(record: Record, lang: Language) -> str:
    def said(text: str) -> str:
        return text.replace("{lang}", lang)

    columns = ", ".join(
        f'{said(it.name)} AS "{it.alias}"' if it.alias else said(it.name if "(" in it.name else f'"{it.name}"')
        for it in record.columns
    )
    source = f"({said(record.inner)})" if record.inner else f'"{record.measurement}"'
    time = [] if record.now else ["$timeFilter"]
    where = [*time, *(place(record.place) if not record.inner else []), *map(said, record.where)]
    window = None if record.window is Window.WHOLE else record.window
    text = _select(columns, source, where, _groups(window, named(record.by, lang)), record.fill)
    text += " ORDER BY time DESC" if record.newest else ""
    return text + (f" LIMIT {record.limit}" if record.limit else "")


def _groups(window: Window | None, by: tuple[str, ...]) -> list[str]:
    # Weeks begin on Mondays: 1970 began on a Thursday. To all that is no longer than a day it makes no difference.
    offset = ", 4d" if window is Window.PERIOD else ""
    return ([f"time({_WINDOWS[window]}{offset})"] if window else []) + [f'"{tag}"' for tag in by]


def _select(columns: str, source: str, where: list[str], groups: list[str], fill: str) -> str:
    text = f"SELECT {columns} FROM {source}"  # noqa: S608 - made of our own names; a reader's choice stays a variable
    text += f" WHERE {' AND '.join(where)}" if where else ""
    text += f" GROUP BY {', '.join(groups)}" if groups else ""
    return text + (f" fill({fill})" if groups and groups[0].startswith("time(") else "")
