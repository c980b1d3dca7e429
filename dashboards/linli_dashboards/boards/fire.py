"""Fire and special equipment: what has spoken, what leaks current, whether there is water, how the lifts run."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import WANTED, alarm_states, alarms_now, by_device, states, trend
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

FIRE: Final = Board(
    "fire",
    (
        alarms_now("board.fire.alarms", "safety", height=8),
        Row("board.fire.detection"),
        states("board.fire.smoke", "smoke_alarm", width=8),
        states("board.fire.heat", "heat_alarm", width=8),
        states("board.fire.call_points", "manual_call_point", width=8),
        Row("board.fire.electrical"),
        trend(
            "board.fire.residual",
            by_device("residual_current", Aggregate.MAXIMUM, "mA"),
            limits=((0.0, Shade.GOOD), (300.0, Shade.CAUTION), (500.0, Shade.DANGER)),
        ),
        trend(
            "board.fire.cables",
            by_device("cable_temperature", Aggregate.MAXIMUM),
            limits=((0.0, Shade.GOOD), (60.0, Shade.CAUTION), (80.0, Shade.DANGER)),
        ),
        Row("board.fire.water"),
        trend("board.fire.hydrants", by_device("hydrant_pressure", Aggregate.MINIMUM, "bar")),
        trend("board.fire.sprinklers", by_device("sprinkler_pressure", Aggregate.MINIMUM, "bar")),
        Row("board.fire.equipment"),
        states("board.fire.trapped", "elevator_person_trapped", width=8),
        states("board.fire.doors", "fire_door_open", width=8),
        states("board.fire.power", "power_present", WANTED, width=8),
        Panel(
            "board.fire.trips",
            Look.BARS,
            (Ask("elevator_trips", Aggregate.CONSUMED, by=("device",), window=Window.PERIOD),),
        ),
        trend(
            "board.fire.monoxide",
            by_device("carbon_monoxide", Aggregate.MAXIMUM),
            limits=((0.0, Shade.GOOD), (30.0, Shade.CAUTION), (50.0, Shade.DANGER)),
        ),
        alarm_states("board.fire.alarm_states", "safety"),
    ),
)
