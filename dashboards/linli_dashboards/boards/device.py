"""One device: every point of it, and the curves most devices have."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Record, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import alarm_states
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

_EMPTY: Final = "board.empty.no_such_device"


def _curve(key: str, quantity: str, aggregate: Aggregate, shown: str = "", *, look: Look = Look.TREND) -> Panel:
    window = Window.PERIOD if look is Look.BARS else Window.AUTO
    ask = Ask(quantity, aggregate, shown, by=("device",), window=window, may_be_empty=_EMPTY)
    return Panel(key, look, (ask,))


DEVICE: Final = Board(
    "device",
    (
        Panel(
            "board.device.points",
            Look.TABLE,
            (
                Record(
                    "point_state",
                    (
                        Column("gateway", hidden=True),
                        Column("device", hidden=True),
                        Column("device_{lang}", label="board.tag.device"),
                        Column("quantity_{lang}", label="board.column.quantity"),
                        Column("point", label="board.tag.point"),
                        Column("number", label="board.column.value"),
                        Column("unit", label="board.column.unit"),
                        Column("words", label="board.column.text"),
                        Column("state", label="board.column.quality"),
                        Column("age", "s", "board.column.age"),
                    ),
                    now=True,
                    limit=2_000,
                ),
            ),
            width=24,
            height=12,
            words=(
                ("good", "quality.good", Shade.GOOD),
                ("uncertain", "quality.uncertain", Shade.CAUTION),
                ("bad", "quality.bad", Shade.UNUSABLE),
            ),
            of="state",
            drill=(Drill(Goal.POINT, column="point"),),
        ),
        alarm_states("board.device.alarms"),
        Row("board.device.curves"),
        _curve("board.device.power", "active_power", Aggregate.MEAN, "kW"),
        _curve("board.device.energy", "energy_import", Aggregate.CONSUMED, "kWh", look=Look.BARS),
        _curve("board.device.water", "water_volume", Aggregate.CONSUMED, "l", look=Look.BARS),
        _curve("board.device.temperature", "air_temperature", Aggregate.MEAN),
    ),
    single=True,
)
