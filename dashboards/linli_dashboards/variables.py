"""What the reader may choose: the place, the length of a period, and numbers such as a price."""

from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from linli_core.catalogue import Language, text
from linli_dashboards.influxql import ANY, PLACES

_PERIODS: Final = ("15m", "1h", "1d", "7d")
AUTO: Final = "$__auto_interval_"
"""Begins what stands for a length that follows the time shown."""

AUTO_COUNT: Final = 30
"""Into how many periods the time shown is parted then."""

_ORDER: Final = tuple(PLACES)
_PART: Final = r"/^(?<text>.*) \[(?<value>[^\[\]]*)\]$/"
"""What people call a place, and its id in brackets behind: the first is shown, the second is asked for."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number the reader may set: a price, a limit.

    Attributes:
        name: Of the variable; its label is ``board.number.<name>``.
        preset: What it is at first.
    """

    name: str
    preset: str


def choices(name: str, lang: Language) -> str:
    """Return the statement that lists what can be chosen: of the smaller places those within the larger ones chosen."""
    above = _ORDER[: _ORDER.index(name)]
    within = [f'"{PLACES[each]}" =~ /^${{{each}:regex}}$/' for each in above]
    if name == "device":
        source = "device_state"
    else:
        source, within = "area", [f"\"area_kind\" = '{PLACES[name]}'", *within]
    where = f" WHERE {' AND '.join(within)}" if within else ""
    return f'SHOW TAG VALUES FROM "{source}" WITH KEY = "label_{lang}"{where}'


def place(name: str, lang: Language, source: DataSourceRef, *, one: bool = False) -> VariableModel:
    """Return the choice of areas, buildings, dwellings or devices; with ``one``, of a single one of them."""
    return _choice(name, choices(name, lang), lang, source, regex=_PART, one=one)


def device(listing: str, lang: Language, source: DataSourceRef, *, one: bool = False) -> VariableModel:
    """Return the choice of devices where nothing but their ids is known."""
    return _choice("device", listing, lang, source, one=one)


def _choice(
    name: str, asked: str, lang: Language, source: DataSourceRef, *, regex: str | None = None, one: bool
) -> VariableModel:
    """Return a choice out of what a query answers: of one, else of several or all."""
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=text(f"board.variable.{name}", lang),
        query=asked,
        datasource=source,
        # Of one, Grafana takes the first; whoever comes with all chosen on another board sees all.
        current=None if one else VariableOption(selected=True, text=["All"], value=["$__all"]),
        multi=not one,
        include_all=not one,
        all_value=ANY,
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=VariableSort.NATURAL_ASC,
        regex=regex,
    )


def period(lang: Language) -> VariableModel:
    """Return the choice of how long a period is, over which consumption is summed up."""
    choices = {"auto": f"{AUTO}period"} | {each: each for each in _PERIODS}
    options = [VariableOption(selected=each == "auto", text=each, value=value) for each, value in choices.items()]
    return VariableModel(
        type_val=VariableType.INTERVAL,
        name="period",
        label=text("board.variable.period", lang),
        query=",".join(_PERIODS),
        current=options[0],
        options=options,
        auto=True,
        auto_count=AUTO_COUNT,
        auto_min=_PERIODS[0],
    )


def number(wanted: Number, lang: Language) -> VariableModel:
    """Return a number to be typed."""
    return VariableModel(
        type_val=VariableType.TEXTBOX,
        name=wanted.name,
        label=text(f"board.number.{wanted.name}", lang),
        query=wanted.preset,
        current=VariableOption(selected=True, text=wanted.preset, value=wanted.preset),
        options=[VariableOption(selected=True, text=wanted.preset, value=wanted.preset)],
    )


def console_at(address: str) -> VariableModel:
    """Return where the console is: links lead there."""
    return VariableModel(
        type_val=VariableType.CONSTANT,
        name="console",
        query=address,
        hide=VariableHide.HIDE_VARIABLE,
        skip_url_sync=True,
        current=VariableOption(selected=True, text=address, value=address),
    )
