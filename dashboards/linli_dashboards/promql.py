"""Questions in PromQL as VictoriaMetrics answers it, where the platform keeps its readings there.

A usable number is a sample of ``<quantity>_value``, what was BAD one of ``_raw`` or ``_missing``; a better reading of
an instant is of another series, by its label ``quality``. So points are brought together before anything is counted.
Texts in backquotes are taken as they stand, so that what a variable puts in needs no second escape.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from linli_core.catalogue import Language, text
from linli_dashboards.ask import Aggregate, Ask, Question, Shape, Window
from linli_dashboards.dialect import Heading, without_places
from linli_dashboards.influxql import LAST, Query
from linli_dashboards.links import PREFIX

_WINDOWS: Final = {
    Window.AUTO: "$__interval",
    Window.PERIOD: "$period",
    Window.HOUR: "1h",
    Window.DAY: "1d",
    Window.WHOLE: "$__range",
    **LAST,
}
_HOURS: Final = {Window.DAY: 24, Window.NIGHTS: 48, Window.FORTNIGHT: 14 * 24}
_HOURS_OF: Final = {"1h": 1, "1d": 24}
_OVER: Final = {
    Aggregate.MEAN: ("avg", "avg_over_time"),
    Aggregate.MINIMUM: ("min", "min_over_time"),
    Aggregate.MAXIMUM: ("max", "max_over_time"),
    Aggregate.LAST: ("max", "last_over_time"),
    Aggregate.COUNT: ("sum", "count_over_time"),
}


def expression(ask: Ask) -> str:
    """Return the expression that asks a question."""
    found = _asked(ask)
    return f"limitk({ask.most}, {found})" if ask.most else found


def _asked(ask: Ask) -> str:
    window = _WINDOWS[ask.window]
    if ask.aggregate is Aggregate.UNUSABLE:
        return f"sum{_by(ask)} (count_over_time({_selector(ask, '(raw|missing)')}[{window}]))"
    if ask.aggregate is Aggregate.CONSUMED:
        return _consumed(ask) + _times(ask)
    if ask.aggregate is Aggregate.RATE:
        return _rate(ask) + _times(ask)
    across, over = _OVER[ask.aggregate]
    points = f"{over}({_selector(ask, 'value')}[{window}]{_earlier(ask)})"
    return f"{ask.across or across}{_by(ask)} ({points}){_times(ask)}"


def _consumed(ask: Ask) -> str:
    inner = ask.inner if ask.inner not in {None, ask.window} else None
    window = _WINDOWS[inner or ask.window]
    # Of two qualities of one register the one that rose is what was consumed.
    each = ", ".join(dict.fromkeys([*ask.by, "gateway", "point"]))
    points = f"max by ({each}) (increase({_selector(ask, 'value')}[{window}]{_earlier(ask)}))"
    if inner is None:
        return f"{ask.across or 'sum'}{_by(ask)} ({points})"
    together = f"sum{_by(ask)} ({points})"
    return f"{ask.across or 'sum'}_over_time(({together})[{_WINDOWS[ask.window]}:{window}])"


def _rate(ask: Ask) -> str:
    """Return the low one of a counter's rates, of those points alone that have readings enough.

    ``increase`` would tell nothing of an hour without a reading but that nothing ran in it. So what stood at the end of
    one hour is held against what stood at the end of the one before; of a meter that is read more seldom, four hours.
    """
    if ask.inner is not Window.HOUR:
        return f"min{_by(ask)} ({_low(ask, _WINDOWS[ask.inner or Window.DAY], ask.enough)})"
    often = _HOURS[ask.window] * 4 // 5
    return f"min{_by(ask)} (({_low(ask, '1h', often)}) or ({_low(ask, '1h', ask.enough, parts=4)}))"


def _low(ask: Ask, step: str, enough: int, parts: int = 1) -> str:
    each = ", ".join(dict.fromkeys([*ask.by, "gateway", "point"]))
    selector, whole = _selector(ask, "value"), _WINDOWS[ask.window]
    span, share = (f"{parts}h", f" / {parts}") if parts > 1 else (step, "")
    stood = f"max by ({each}) (last_over_time({selector}[{span}]"
    rises = f"(({stood})) - {stood} offset {span}))) >= 0){share}"
    # VictoriaMetrics takes a value between two; the one that has the rank is asked for.
    many = _HOURS[ask.window] // _HOURS_OF[step]
    rank = max(0, many * ask.percent // 100 + int(many * ask.percent % 100 >= 50) - 1)
    low = f"quantile_over_time({rank / (many - 1):.4f}, ({rises})[{whole}:{step}])"
    return f"{low} if (sum by ({each}) (count_over_time({selector}[{whole}])) >= {enough})"


def _selector(ask: Ask, kind: str) -> str:
    labels = [f"__name__=~`{ask.quantity}_{kind}`" if "(" in kind else "", "device=~`${device:regex}`"]
    labels.append(f"point=~`.+/{ask.quantity}`" if ask.plain else "")
    name = "" if "(" in kind else f"{ask.quantity}_{kind}"
    return f"{name}{{{','.join(label for label in labels if label)}}}"


def _by(ask: Ask) -> str:
    return f" by ({', '.join(ask.by)})" if ask.by else ""


def _earlier(ask: Ask) -> str:
    return f" offset {ask.earlier}" if ask.earlier else ""


def _times(ask: Ask) -> str:
    return (f" * {ask.scale}" if ask.scale else "") + (f" * ${{{ask.times}}}" if ask.times else "")


@dataclass(frozen=True, slots=True)
class PromQL:
    """PromQL, as VictoriaMetrics answers it."""

    suffix: str = "-victoriametrics"

    @property
    def source(self) -> DataSourceRef:
        """The data source of the database."""
        return DataSourceRef(type_val="prometheus", uid=f"{PREFIX}{self.suffix}")

    @property
    def exchanged(self) -> str:
        """Key of the text that says what becomes of a meter that is exchanged: nobody tells a database of it."""
        return "board.exchanged.victoriametrics"

    def answers(self, question: Question) -> bool:
        """Tell whether the one who is asked can know."""
        return without_places(question)

    def query(self, letter: str, question: Question, _lang: Language, source: DataSourceRef) -> Builder[Dataquery]:
        """Return a question as a query."""
        assert isinstance(question, Ask)
        whole = question.window in {Window.WHOLE, Window.NEWEST}
        return Query(
            PrometheusQuery(
                expr=expression(question),
                instant=whole,
                range_val=not whole,
                format_val=PromQueryFormat.TABLE if question.shape is Shape.TABLE else PromQueryFormat.TIME_SERIES,
                legend_format=" ".join(f"{{{{{tag}}}}}" for tag in question.by) or None,
                ref_id=letter,
                datasource=source,
            )
        )

    def columns(self, letter: str, question: Question, lang: Language) -> Iterator[Heading]:
        """Yield the columns of an answer: the time, labels, the value."""
        assert isinstance(question, Ask)
        yield "Time", "", "", True
        for tag in question.by:
            yield tag, text(f"board.tag.{tag}", lang), "", False
        name = f"Value #{letter}" if letter else "Value"
        yield name, text(question.label or "board.column.value", lang), question.unit, False

    def devices(self) -> str:
        """Return what lists the devices."""
        return "label_values(device)"
