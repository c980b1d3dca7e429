"""Electricity: how much, where, when; and whether the supply is sound."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Lived, Shape, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import compared, consumed, meters_read
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row


def _of_device(aggregate: Aggregate, quantity: str, shown: str, name: str, *, plain: bool = True) -> Ask:
    return Ask(
        quantity,
        aggregate,
        shown,
        by=("gateway", "dwelling", "device"),
        window=Window.WHOLE,
        across="sum" if aggregate is Aggregate.CONSUMED else "",
        shape=Shape.TABLE,
        plain=plain,
        name=name,
        label=f"board.column.{name}",
    )


_VOLTAGE: Final = ((0.0, Shade.DANGER), (198.0, Shade.GOOD), (235.4, Shade.CAUTION), (242.0, Shade.DANGER))
"""From -10 % to +7 % of 220 V is sound."""


def _by_building(
    key: str,
    quantity: str,
    aggregate: Aggregate,
    shown: str = "",
    *,
    plain: bool = True,
    width: int = 12,
    limits: tuple[tuple[float, Shade], ...] = (),
) -> Panel:
    """Return a curve for each building: of a thousand meters no eye tells one from another."""
    # What lies in none would be a curve without a name.
    ask = Ask(quantity, aggregate, shown, by=("building",), plain=plain, lived=Lived.BUILDINGS)
    return Panel(key, Look.TREND, (ask,), width, limits=limits, drill=(Drill(Goal.BUILDING, "electricity"),))


ELECTRICITY: Final = Board(
    "electricity",
    (
        compared("board.electricity.dwellings", "energy_import", "kWh", Lived.DWELLINGS),
        compared("board.electricity.elsewhere", "energy_import", "kWh", Lived.ELSEWHERE, width=5),
        meters_read("board.electricity.read", "energy_import"),
        Panel(
            "board.electricity.power_now",
            Look.FIGURE,
            (
                Ask(
                    "active_power",
                    Aggregate.MEAN,
                    "kW",
                    across="sum",
                    window=Window.NEWEST,
                    lived=Lived.DWELLINGS,
                ),
            ),
            width=5,
            height=5,
        ),
        Panel(
            "board.electricity.failures",
            Look.FIGURE,
            (
                Ask(
                    "power_failures",
                    Aggregate.CONSUMED,
                    window=Window.WHOLE,
                    plain=False,
                    may_be_empty="board.empty.no_such_device",
                ),
            ),
            width=4,
            height=5,
        ),
        Panel(
            "board.electricity.by_building",
            Look.BARS,
            (consumed("energy_import", "kWh", "building", lived=Lived.DWELLINGS),),
            stacked=True,
            drill=(Drill(Goal.BUILDING, "electricity"),),
        ),
        _by_building("board.electricity.power", "active_power", Aggregate.MEAN, "kW"),
        Row("board.electricity.quality"),
        _by_building("board.electricity.voltage", "voltage", Aggregate.MINIMUM, plain=False, limits=_VOLTAGE),
        _by_building("board.electricity.factor", "power_factor", Aggregate.MEAN),
        Row("board.electricity.meters"),
        Panel(
            "board.electricity.by_dwelling",
            Look.TABLE,
            (
                Ask(
                    "energy_import",
                    Aggregate.CONSUMED,
                    "kWh",
                    by=("dwelling",),
                    window=Window.WHOLE,
                    lived=Lived.DWELLINGS,
                    shape=Shape.TABLE,
                    name="consumed",
                    label="board.column.consumed",
                ),
            ),
            width=7,
            height=10,
            ranked="consumed",
            drill=(Drill(Goal.DWELLING, "electricity", "dwelling_{lang}"),),
        ),
        Panel(
            "board.electricity.table",
            Look.TABLE,
            (
                _of_device(Aggregate.CONSUMED, "energy_import", "kWh", "consumed"),
                _of_device(Aggregate.MAXIMUM, "active_power", "kW", "highest"),
                _of_device(Aggregate.MINIMUM, "voltage", "V", "lowest", plain=False),
            ),
            width=17,
            height=10,
            joined=True,
            ranked="consumed",
            drill=(
                Drill(Goal.DWELLING, "electricity", "dwelling_{lang}"),
                Drill(Goal.DEVICE, "device", "device_{lang}"),
            ),
        ),
    ),
)
