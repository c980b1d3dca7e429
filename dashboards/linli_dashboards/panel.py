"""Panels: what each shows and asks, and how it becomes one of Grafana's.

A missing value stays a gap: curves never span one. Readings that came and were BAD are marks at the foot of the curve.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias, TypeGuard

from grafana_foundation_sdk.builders import bargauge, common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.dashboard import (
    Panel as PanelModel,
)

from linli_core.catalogue import Language
from linli_core.catalogue import text as said
from linli_dashboards.ask import Aggregate, Ask, Question, Record, Shape
from linli_dashboards.dialect import Dialect
from linli_dashboards.links import Drill
from linli_dashboards.palette import AS_TEXT, PRIORITIES, SERIES, Shade
from linli_dashboards.units import GRAFANA

MARKS: Final = "Z"
"""Begins the letters of the queries that ask for readings that were BAD."""


CURVES: Final = 100
"""How many devices a panel draws at most: a thousand curves say nothing, and are megabytes for a phone."""

SUMMED: Final = 100
"""Into how many windows the time shown is parted where only what they come to is shown."""

STEPS: Final = 240
"""Into how many windows it is parted for bars of states: of a thousand detectors more would be megabytes for a phone.

None of the detectors is left out, for that might be the one that has spoken; nor a moment, for the highest is taken.
"""


Words: TypeAlias = tuple[tuple[str, str, Shade], ...]
"""What to say of a value in its place, and in which colour."""


class Look(StrEnum):
    """What a panel looks like."""

    TREND = "trend"
    BARS = "bars"
    FIGURE = "figure"
    RANKING = "ranking"
    TABLE = "table"
    STATES = "states"


_DRAWN: Final = frozenset({Look.TREND, Look.BARS})


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        key: Of its title; with ``_hint`` of the text behind its i, which every panel has.
        look: What it looks like.
        asks: What it asks.
        width, height: In Grafana's grid.
        limits: From which value on which colour holds, upwards; the first one's value does not count.
        stacked: Whether curves or bars stand on each other.
        words: What to say of a value in its place, and its colour: ``("lost", "gateway_state.lost", Shade.DANGER)``.
        of: The column that ``words`` speak of; all if empty.
        more: What to say of values of further columns, by column.
        drill: Where a click leads.
        lowest, highest: Of the scale, where it is known.
        ranked: The column by which a table is ordered, the largest first.
        joined: Whether the answers of a table's questions stand beside each other in one row for each thing.
    """

    key: str
    look: Look
    asks: tuple[Question, ...] = ()
    width: int = 12
    height: int = 8
    limits: tuple[tuple[float, Shade], ...] = ()
    stacked: bool = False
    words: Words = ()
    of: str = ""
    more: tuple[tuple[str, Words], ...] = ()
    drill: tuple[Drill, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    ranked: str = ""
    joined: bool = False

    @property
    def unit(self) -> str:
        """What its values are in."""
        return self.asks[0].unit if self.asks else ""

    def questions(self) -> list[tuple[str, Question]]:
        """Return what is asked, by the letter of each query; after what it asks come the marks of BAD readings."""
        asks = [replace(ask, most=CURVES) if self.draws_devices(ask) else ask for ask in self.asks]
        found: list[tuple[str, Question]] = [(chr(ord("A") + number), ask) for number, ask in enumerate(asks)]
        if self.look is Look.TREND:
            marked = dict.fromkeys(_unusable(it) for it in self.asks if isinstance(it, Ask) and not it.earlier)
            found += [(f"{MARKS}{number}", ask) for number, ask in enumerate(marked)]
        return found

    def draws_devices(self, question: Question) -> TypeGuard[Ask]:
        """Tell whether a question is answered with a curve, or bars, of each device."""
        return self.look in _DRAWN and isinstance(question, Ask) and "device" in question.by


def _unusable(ask: Ask) -> Ask:
    return Ask(
        ask.quantity,
        Aggregate.UNUSABLE,
        plain=ask.plain,
        whom=ask.whom,
        lived=ask.lived,
        may_be_empty="board.empty.unmarked",
    )


def _is_consumed(question: Question) -> bool:
    return isinstance(question, Ask) and question.aggregate is Aggregate.CONSUMED


def names_of(question: Question) -> list[str]:
    """Return the columns of an answer in which values are."""
    return [question.name] if isinstance(question, Ask) else [column.key for column in question.columns]


@dataclass(frozen=True, slots=True)
class Row:
    """A heading over the panels that follow."""

    key: str


_Builder: TypeAlias = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes panels of one board in one language.

    Attributes:
        lang: The language.
        dialect: In which queries are said.
        source: Whom they ask.
        single: The board shows one device.
    """

    lang: Language
    dialect: Dialect
    source: DataSourceRef = field(default_factory=DataSourceRef)
    single: bool = False

    def make(self, panel: Panel, number: int, left: int, top: int) -> PanelModel:
        """Return a panel as Grafana has it."""
        made = _LOOKS[panel.look](panel)
        hint = said(f"{panel.key}_hint", self.lang)
        if not self.single and any(panel.draws_devices(ask) for ask in panel.asks):
            hint += "\n\n" + said("board.most", self.lang, most=CURVES)
        if self.dialect.exchanged and any(map(_is_consumed, panel.asks)):
            hint += "\n\n" + said(self.dialect.exchanged, self.lang)
        made.title(said(panel.key, self.lang)).description(hint)
        made.grid_pos(GridPos(h=panel.height, w=panel.width, x=left, y=top)).id(number)
        made.datasource(self.source)
        if panel.look in _SUMS:
            made.max_data_points(SUMMED)
        elif panel.look is Look.STATES:
            made.max_data_points(STEPS)
        self._queries(panel, made)
        self._fields(panel, made)
        return made.build()

    def _queries(self, panel: Panel, made: _Builder) -> None:
        for letter, question in panel.questions():
            made.with_target(self.dialect.query(letter, question, self.lang, self.source))

    def _fields(self, panel: Panel, made: _Builder) -> None:
        made.unit(GRAFANA[panel.unit]).no_value("–")
        if panel.lowest is not None:
            made.min(panel.lowest)
        if panel.highest is not None:
            made.max(panel.highest)
        if panel.limits:
            steps = [
                Threshold(value=None if place == 0 else limit, color=shade.value)
                for place, (limit, shade) in enumerate(panel.limits)
            ]
            made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        if panel.words and not panel.of:
            made.mappings(self._words(panel.words))
        if panel.drill and panel.look is not Look.TABLE:
            made.data_links([drill.link(self.lang, columns=False, suffix=self.dialect.suffix) for drill in panel.drill])
        if isinstance(made, table.Panel):
            self._columns(panel, made)
        for letter, question in panel.questions():
            if letter.startswith(MARKS):
                made.override_by_query(letter, _marks(said("board.unusable", self.lang)))
            elif question.label and question.shape is Shape.SERIES:
                named = _property("displayName", said(question.label, self.lang))
                made.override_by_query(letter, [named, *_colour(panel, question)])

    def _words(self, words: Words) -> list[ValueMapping]:
        results = {
            value: ValueMappingResult(text=said(key, self.lang), color=shade.value, index=index)
            for index, (value, key, shade) in enumerate(words)
        }
        return [ValueMap(options=results)]

    def _columns(self, panel: Panel, made: table.Panel) -> None:
        """Say of a table's columns what they are called and measured in; hide those that only links need."""
        speaking = dict(panel.more) | ({panel.of: panel.words} if panel.of else {})
        if panel.joined:
            # The instant of an aggregate is where the time shown begins; a lone extreme's is that of what was found.
            untimed = {"exclude": {"pattern": "^[Tt]ime$"}}
            made.transformations(
                [
                    DataTransformerConfig(id_val="filterFieldsByName", options=untimed),
                    DataTransformerConfig(id_val="merge", options={}),
                ]
            )
        if panel.ranked:
            heading = self._heading(panel)
            made.sort_by([common.TableSortByFieldState().display_name(heading).desc(True)])
        for letter, question in panel.questions():
            for name, heading, unit, hidden in self.dialect.columns(
                letter if panel.joined else "", question, self.lang
            ):
                properties = [_property("displayName", heading)] if heading else []
                properties += [_property("unit", GRAFANA[unit])] if unit else []
                properties += [_property("custom.hidden", value=True)] if hidden else []
                if name in speaking:
                    properties.append(_property("mappings", self._words(speaking[name])))
                    # Behind the word, not of it: orange letters on white are hardly read.
                    properties.append(_property("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
                leading = [it for it in panel.drill if it.column.replace("{lang}", self.lang) in ("", name)]
                links = [drill.link(self.lang, columns=True, suffix=self.dialect.suffix).build() for drill in leading]
                if links and not hidden:
                    properties.append(_property("links", links))
                if properties:
                    made.override_by_name(name, properties)

    def _heading(self, panel: Panel) -> str:
        """Return what the column is called by which a table is ordered; the first one's where a database lacks it."""
        asked = next((ask for ask in panel.asks if panel.ranked in names_of(ask)), panel.asks[0])
        if isinstance(asked, Ask):
            return said(asked.label, self.lang)
        return next(said(column.label, self.lang) for column in asked.columns if column.key == panel.ranked)


def _property(name: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)


def _threshold(limit: float | None, shade: Shade) -> dict[str, float | str | None]:
    return {"value": limit, "color": shade.value}


def _colour(panel: Panel, question: Question) -> list[DynamicConfigValue]:
    """Return the colour of what a question alone answers, where Grafana would give it one that means nothing."""
    alert = question.alert if isinstance(question, Record) else None
    if alert is not None:
        steps = [_threshold(None, Shade.GOOD), _threshold(1, alert)]
        return [_property("thresholds", {"mode": ThresholdsMode.ABSOLUTE.value, "steps": steps})]
    if panel.look is Look.FIGURE and _alerts(panel):
        return [_property("color", {"mode": "fixed", "fixedColor": AS_TEXT})]
    if panel.look not in {Look.TREND, Look.BARS} or question.by:
        return []
    area, _, name = question.label.partition(".")
    shade = PRIORITIES.get(name) if area == "priority" else None
    colour = shade.value if shade is not None else SERIES[panel.asks.index(question) % len(SERIES)]
    return [_property("color", {"mode": "fixed", "fixedColor": colour})]


def _alerts(panel: Panel) -> bool:
    return any(isinstance(ask, Record) and ask.alert is not None for ask in panel.asks)


def _marks(name: str) -> list[DynamicConfigValue]:
    """Return how readings that were BAD are shown: marks at the foot, on a scale of their own that nobody sees."""
    return [
        _property("displayName", name),
        _property("unit", "none"),
        _property("color", {"mode": "fixed", "fixedColor": Shade.UNUSABLE.value}),
        _property("custom.drawStyle", "points"),
        _property("custom.showPoints", "always"),
        _property("custom.pointSize", 9),
        _property("custom.stacking", {"mode": "none"}),
        _property("custom.axisPlacement", "hidden"),
        _property("custom.axisSoftMin", 0),
        _property("custom.axisSoftMax", 1_000_000),
        _property("links", []),
    ]


def _curves(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .span_nulls(False)
        .line_width(2)
        .show_points(options.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if panel.look is Look.BARS:
        made = made.draw_style(options.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).axis_soft_min(0)
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL)).fill_opacity(60)
    if panel.limits:
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED))
    return made


def _figure(panel: Panel) -> stat.Panel:
    is_coloured = panel.limits or panel.words or _alerts(panel)
    shown = options.BigValueColorMode.VALUE if is_coloured else options.BigValueColorMode.NONE
    return (
        stat.Panel()
        .graph_mode(options.BigValueGraphMode.NONE)
        .color_mode(shown)
        .text_mode(options.BigValueTextMode.AUTO if len(panel.asks) == 1 else options.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .orientation(options.VizOrientation.AUTO)
    )


def _ranking(panel: Panel) -> bargauge.Panel:
    # Without limits of ours Grafana has its own: green, and red from 80 on, of whatever it is.
    plain = dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(SERIES[0])
    return (
        bargauge.Panel()
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .orientation(options.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS) if panel.limits else plain)
    )


def _table(_panel: Panel) -> table.Panel:
    return table.Panel().show_header(True).filterable(True).cell_height(options.TableCellHeight.SM)


def _states(_panel: Panel) -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .show_value(options.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


_SUMS: Final = frozenset({Look.FIGURE, Look.RANKING, Look.TABLE})
_LOOKS: Final[dict[Look, Callable[[Panel], _Builder]]] = {
    Look.TREND: _curves,
    Look.BARS: _curves,
    Look.FIGURE: _figure,
    Look.RANKING: _ranking,
    Look.TABLE: _table,
    Look.STATES: _states,
}
