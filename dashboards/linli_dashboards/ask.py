"""What a panel asks: a quantity, how it is brought together, by what, and for whom.

Nothing here knows a query language: :mod:`linli_dashboards.influxql` and :mod:`linli_dashboards.promql` say it in one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from linli_dashboards.palette import Shade
from linli_dashboards.units import factor, unit_of


class Aggregate(StrEnum):
    """How the readings of one window come to one value."""

    MEAN = "mean"
    MINIMUM = "min"
    MAXIMUM = "max"
    LAST = "last"
    COUNT = "count"
    CONSUMED = "consumed"
    """By how much a counter has risen; what it falls by (reset, swap, rollover) counts as nothing."""
    RATE = "rate"
    """How fast a counter rose from one reading to the next, of which a low one is picked (:attr:`Ask.percent`)."""
    UNUSABLE = "unusable"
    """How many readings came and were BAD."""


class Window(StrEnum):
    """How long each value's window is."""

    AUTO = "auto"
    """As the width of the panel allows."""
    PERIOD = "period"
    """As the reader chose: an hour, a day, a week."""
    HOUR = "1h"
    DAY = "1d"
    WHOLE = "whole"
    """All of the time that is shown."""
    NEWEST = "newest"
    """The last hour of the time that is shown."""
    NIGHTS = "nights"
    """The last two days of it, though it were shorter: what began a week ago and was mended is told no more."""
    FORTNIGHT = "fortnight"
    """The last fourteen days of it, though it were shorter."""


class Whom(StrEnum):
    """For which part of what the reader may see at all: that is the token's matter, and is enforced in the platform."""

    PLACE = "place"
    """The chosen area, building, dwelling and device."""
    AREA = "area"
    """The chosen area, whatever is chosen in it."""
    ALL = "all"


class Shape(StrEnum):
    """What an answer is."""

    SERIES = "time_series"
    TABLE = "table"


MAIN: Final = "bulk_"
"""Begins the kind of a main meter: what it counts, the meters behind it count again."""


class Lived(StrEnum):
    """Only what lies in dwellings, only what does not, what lies in a building at all; only main meters, or no such."""

    ANYWHERE = ""
    DWELLINGS = "dwellings"
    ELSEWHERE = "elsewhere"
    """In no dwelling, and no main meter."""
    BUILDINGS = "buildings"
    MAINS = "mains"
    PARTS = "parts"
    """All but main meters; a database under the platform does not know which those are."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about a quantity.

    Attributes:
        quantity: Of the vocabulary.
        aggregate: Over each window.
        shown: The unit people read; the vocabulary's if empty. One of another dimension is an error.
        by: Tags that part the answer into series or rows.
        across: How the points of a series are brought together (``sum``, ``mean``, ``min``, ``max``); where it is empty
            the aggregate goes over the readings of all of them at once.
        window: Of each value.
        inner: Window of the points before they are brought together, where that is another; of all the time that is
            shown, hundredths of it. A rate is how much a counter rose in such a time.
        percent: Of the rates the one below which so many of a hundred are. Of less than 50 / percent of them that is
            none: whoever is read too seldom to tell is given no value.
        whom: For whom.
        lived: In dwellings or not.
        plain: Only points without phase, tariff, channel or storage: the totals.
        rate: Values are multiplied with it: 24 makes of an hour a day.
        times: A variable's name: values are multiplied with it too, and are money then.
        earlier: The same range so long ago (``7d``).
        shape: Of the answer.
        label: Key of a text that names the series or column; empty: named by its tags.
        name: Of the column in the answer.
        most: Series at most, the first by their tags; 0 for all.
        may_be_empty: Key of the text that says why there may be no answer.
    """

    quantity: str
    aggregate: Aggregate
    shown: str = ""
    by: tuple[str, ...] = ()
    across: str = ""
    window: Window = Window.AUTO
    inner: Window | None = None
    percent: int = 0
    whom: Whom = Whom.PLACE
    lived: Lived = Lived.ANYWHERE
    plain: bool = True
    rate: int = 1
    times: str = ""
    earlier: str = ""
    shape: Shape = Shape.SERIES
    label: str = ""
    name: str = "value"
    most: int = 0
    may_be_empty: str = ""

    @property
    def unit(self) -> str:
        """The unit of the answer."""
        if self.aggregate in {Aggregate.UNUSABLE, Aggregate.COUNT}:
            return "count"
        if self.times:
            return "money"
        return self.shown or unit_of(self.quantity)

    @property
    def enough(self) -> int:
        """How many values there have to be that a low one of a hundred is one of them."""
        return -(-50 // self.percent) if self.percent else 1

    @property
    def scale(self) -> str:
        """What values are multiplied with, as a number's text; empty for one."""
        if self.aggregate in {Aggregate.UNUSABLE, Aggregate.COUNT}:
            return ""
        found = factor(self.quantity, self.shown or unit_of(self.quantity)) * self.rate
        return "" if found == 1 else f"{found.normalize():f}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what the platform tells about itself.

    Attributes:
        name: Of the field, or an expression of it, or a tag.
        unit: As people read it.
        label: Key of the text at its head.
        alias: Its name in the answer; the field's if empty.
        hidden: Only links need it.
    """

    name: str
    unit: str = ""
    label: str = ""
    alias: str = ""
    hidden: bool = False

    @property
    def key(self) -> str:
        """Its name in the answer."""
        return self.alias or self.name.strip('"')


OF_GATEWAYS: Final = frozenset({"account", "alarm_health", "alarm_seen", "gateway_state", "link_state", "loss"})
"""What is told of whole gateways, wherever the devices behind them are."""


@dataclass(frozen=True, slots=True)
class Record:
    """One question about what the platform itself keeps: alarms, gateways, books.

    ``{lang}`` in a name stands for the board's language.

    Attributes:
        measurement: As ``/query`` names it.
        columns: What is asked.
        where: Further conditions, all of which hold.
        by: Tags that part the answer.
        window: Of each value; ``None`` for the rows themselves.
        now: What is so now, whatever time is shown.
        inner: A statement in place of the measurement, in parentheses.
        whom: For whom.
        fill: Of empty windows.
        limit: Most rows; 0 for all.
        newest: The newest first.
        timed: When each row was is told.
        shape: Of the answer.
        label: Key of a text that names the series.
        alert: The colour of a figure from one on; below it is sound.
        may_be_empty: Key of the text that says why there may be no answer.
    """

    measurement: str
    columns: tuple[Column, ...]
    where: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    window: Window | None = None
    now: bool = False
    inner: str = ""
    whom: Whom = Whom.PLACE
    fill: str = "null"
    limit: int = 0
    newest: bool = False
    timed: bool = False
    shape: Shape = Shape.TABLE
    label: str = ""
    alert: Shade | None = None
    may_be_empty: str = ""

    @property
    def unit(self) -> str:
        """The unit of its first column."""
        return self.columns[0].unit

    @property
    def place(self) -> Whom:
        """For whom: what is told of gateways knows no building."""
        return Whom.AREA if self.measurement in OF_GATEWAYS and self.whom is Whom.PLACE else self.whom


Question = Ask | Record
