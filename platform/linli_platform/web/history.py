"""A point's history as a chart."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from linli_core.catalogue import text
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Kind
from linli_platform.api.quantities import facts
from linli_platform.store import Aggregate, Row, SeriesInfo, Store
from linli_platform.web import show
from linli_platform.web.chart import Dot, chart
from linli_platform.web.views import Views


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch a person may choose, the step of its line and of its bars."""

    length: Instant
    step: Instant
    bar: Instant


WINDOWS: Final = {
    "hour": Window(HOUR, 15 * SECOND, 5 * MINUTE),
    "day": Window(DAY, 5 * MINUTE, HOUR),
    "week": Window(7 * DAY, 30 * MINUTE, 6 * HOUR),
}


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A point's chart and its caption.

    Attributes:
        svg: The chart.
        nothing: Why it shows no value, to be said in its place; empty if it shows one.
        bad: Whether readings were missing or bad.
        caption: What the bars are.
    """

    svg: Markup
    nothing: str
    bad: bool
    caption: str


def history(views: Views, store: Store, series: SeriesInfo, window: Window) -> HistoryView:
    """Return the chart of a point up to now; counters show what each step added."""
    kind = facts(series.quantity).kind
    end = views.now
    step = window.bar if kind is Kind.COUNTER else window.step
    start = (end - window.length) // step * step

    def read(aggregate: Aggregate, since: Instant = start) -> list[Row]:
        return store.read(series.id, since, end + 1, step=step, aggregate=aggregate, limit=5_000)

    if kind is Kind.COUNTER:
        dots = _amounts(series, read(Aggregate.LAST, start - step), start)
    elif kind is Kind.STATE:
        dots = [Dot(row.time, row.value, bad=row.bad) for row in read(Aggregate.MAXIMUM)]
    else:
        lows = {row.time: row.value for row in read(Aggregate.MINIMUM)}
        highs = {row.time: row.value for row in read(Aggregate.MAXIMUM)}
        dots = [
            Dot(
                row.time,
                _scaled(series, row.value),
                _scaled(series, lows.get(row.time)),
                _scaled(series, highs.get(row.time)),
                row.bad,
            )
            for row in read(Aggregate.MEAN)
        ]
    known = [dot.value for dot in dots if dot.value is not None]
    title = show.title(series, views.lang)
    decimals = show.shape_of(facts(series.quantity).unit).decimals
    label = text("chart.label_empty", views.lang, title=title)
    if known:
        low, high = show.number(min(known), decimals), show.number(max(known), decimals)
        label = text("chart.label", views.lang, title=title, low=low, high=high)
    caption = ""
    if kind is Kind.COUNTER:
        caption = text("chart.amount", views.lang, step=show.span(step, views.lang))
    # The step of a slow point is its own interval: a line, not a row of dots.
    spacing = max(step, _typical_gap(dots))
    return HistoryView(
        svg=chart(dots, start, end, step if kind is Kind.COUNTER else spacing, kind=kind, label=label, zone=views.zone),
        nothing="" if known else _why_nothing(kind, dots, views),
        bad=any(dot.bad for dot in dots),
        caption=caption,
    )


def _why_nothing(kind: Kind, dots: list[Dot], views: Views) -> str:
    """Tell a period without readings from one whose readings make no curve."""
    if not dots:
        return text("chart.empty", views.lang)
    return text("chart.no_amount" if kind is Kind.COUNTER else "chart.words", views.lang)


def _scaled(series: SeriesInfo, value: float | None) -> float | None:
    return None if value is None else show.scaled(series, value)


def _amounts(series: SeriesInfo, rows: list[Row], start: Instant) -> list[Dot]:
    """Return what each step added to a counter; a register that went back tells nothing for that step."""
    dots: list[Dot] = []
    before: float | None = None
    for row in rows:
        amount = None
        if row.value is not None:
            amount = row.value - before if before is not None and row.value >= before else None
            before = row.value
        if row.time >= start:
            dots.append(Dot(row.time, _scaled(series, amount), bad=row.bad))
    return dots


def _typical_gap(dots: list[Dot]) -> Instant:
    times = [dot.time for dot in dots if dot.value is not None]
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    return gaps[len(gaps) // 2] if gaps else 0
