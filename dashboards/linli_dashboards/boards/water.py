"""Water and leaks: what runs when nobody draws any, what the balance lacks, and what that costs."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Lived, Shape, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import PLAIN, TO_DEVICE, by_device, compared, consumed, meters_read, states, trend
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row
from linli_dashboards.variables import Number

_EMPTY: Final = {Lived.MAINS: "board.empty.no_mains"}


def _steady(shown: str, name: str, rate: int = 1, times: str = "", *, lived: Lived = Lived.PARTS) -> Ask:
    """Return what ran at all hours of the last two days, but one in twenty: what is more than nothing never ends.

    That is no least value: one hour in which the main was shut, or of which a part is still to come, hides no leak.
    """
    return Ask(
        "water_volume",
        Aggregate.RATE,
        shown,
        by=("gateway", "device"),
        window=Window.NIGHTS,
        inner=Window.HOUR,
        percent=5,
        rate=rate,
        times=times,
        lived=lived,
        shape=Shape.TABLE,
        name=name,
        label=f"board.column.{name}",
        may_be_empty=_EMPTY.get(lived, ""),
    )


def _of_days(name: str, percent: int, *, lived: Lived = Lived.PARTS) -> Ask:
    """Return what was used on a day, of fourteen: that any meter tells, however seldom it is read.

    The least of them but one: the present day is not over.
    """
    return Ask(
        "water_volume",
        Aggregate.RATE,
        "l",
        by=("gateway", "device"),
        window=Window.FORTNIGHT,
        inner=Window.DAY,
        percent=percent,
        lived=lived,
        shape=Shape.TABLE,
        name=name,
        label=f"board.column.{name}",
        may_be_empty=_EMPTY.get(lived, "board.empty.few_days"),
    )


WATER: Final = Board(
    "water",
    (
        compared("board.water.dwellings", "water_volume", "m3", Lived.DWELLINGS, width=7),
        compared("board.water.elsewhere", "water_volume", "m3", Lived.ELSEWHERE, width=7),
        meters_read("board.water.read", "water_volume", width=5),
        Panel(
            "board.water.leaks",
            Look.FIGURE,
            (Ask("water_leak", Aggregate.MAXIMUM, window=Window.WHOLE, plain=False),),
            width=5,
            height=5,
            words=(("0", "board.word.none", Shade.GOOD), ("1", "board.word.leak", Shade.DANGER)),
        ),
        Panel(
            "board.water.suspicions",
            Look.TABLE,
            (_steady("l", "steady"), _steady("l", "daily", 24), _steady("m3", "money", 24, "water_price")),
            width=12,
            height=10,
            joined=True,
            ranked="daily",
            drill=(TO_DEVICE,),
        ),
        Panel(
            "board.water.night",
            Look.BARS,
            (
                Ask(
                    "water_volume",
                    Aggregate.RATE,
                    "l",
                    by=("device",),
                    window=Window.DAY,
                    inner=Window.HOUR,
                    percent=10,
                ),
            ),
            height=10,
            drill=(TO_DEVICE,),
        ),
        Panel(
            "board.water.days",
            Look.TABLE,
            (_of_days("least_day", 12), _of_days("middle_day", 50)),
            joined=True,
            ranked="least_day",
            drill=(TO_DEVICE,),
        ),
        # All draw through a main meter at any hour: among the others it would always come first.
        Panel(
            "board.water.mains",
            Look.TABLE,
            (
                _steady("l", "steady", lived=Lived.MAINS),
                _steady("l", "daily", 24, lived=Lived.MAINS),
                _of_days("least_day", 12, lived=Lived.MAINS),
                _of_days("middle_day", 50, lived=Lived.MAINS),
            ),
            joined=True,
            ranked="daily",
            drill=(TO_DEVICE,),
        ),
        Row("board.water.use"),
        Panel(
            "board.water.balance",
            Look.BARS,
            (
                consumed(
                    "water_volume",
                    "m3",
                    lived=Lived.MAINS,
                    label="board.label.mains",
                    empty="board.empty.no_mains",
                ),
                consumed("water_volume", "m3", lived=Lived.DWELLINGS, label="board.label.dwellings"),
                consumed("water_volume", "m3", lived=Lived.ELSEWHERE, label="board.label.elsewhere"),
            ),
        ),
        Panel(
            "board.water.by_building",
            Look.BARS,
            (consumed("water_volume", "m3", "building", lived=Lived.DWELLINGS),),
            stacked=True,
            drill=(Drill(Goal.BUILDING, "water"),),
        ),
        Row("board.water.supply"),
        trend("board.water.flow", by_device("water_flow", Aggregate.MEAN, "m3/h")),
        trend("board.water.pressure", by_device("water_pressure", Aggregate.MINIMUM, "bar")),
        trend("board.water.tank", by_device("tank_fill", Aggregate.MINIMUM)),
        states("board.water.pumps", "pump_running", PLAIN),
        Row("board.water.quality"),
        trend("board.water.chlorine", by_device("residual_chlorine", Aggregate.MEAN), width=8),
        trend("board.water.turbidity", by_device("turbidity", Aggregate.MAXIMUM), width=8),
        trend("board.water.ph", by_device("ph", Aggregate.MEAN), width=8),
    ),
    shown="7d",
    numbers=(Number("water_price", "4.00"),),
    refresh="5m",
)
