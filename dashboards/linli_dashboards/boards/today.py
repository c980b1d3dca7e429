"""Community today: one glance says whether anything needs a person."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Lived, Record, Shape, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.field_health import GATEWAYS
from linli_dashboards.boards.parts import alarm_figures, alarms_now, by_device, compared, consumed, trend
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

_ONLINE: Final = Record(
    "gateway_state",
    (Column('sum("online")', "count", "board.column.value", alias="online"),),
    window=Window.WHOLE,
    now=True,
    shape=Shape.SERIES,
    label="gateway_state.online",
)
_AWAY: Final = Record(
    "gateway_state",
    (Column('sum("away")', "count", "board.column.value", alias="away"),),
    window=Window.WHOLE,
    now=True,
    shape=Shape.SERIES,
    label="gateway_state.lost",
    alert=Shade.DANGER,
)
_SILENT: Final = Record(
    "device_state",
    (Column('sum("silent")', "count", "board.column.value", alias="silent"),),
    window=Window.WHOLE,
    now=True,
    shape=Shape.SERIES,
    label="board.label.silent",
    alert=Shade.CAUTION,
)
_DEVICES: Final = Record(
    "device_state",
    (Column('count("silent")', "count", "board.column.value", alias="devices"),),
    window=Window.WHOLE,
    now=True,
    shape=Shape.SERIES,
    label="board.label.devices",
)
_WARM: Final = ((0.0, Shade.GOOD), (8.0, Shade.DANGER))
_TO_BUILDING: Final = (Drill(Goal.BUILDING, "electricity"),)

TODAY: Final = Board(
    "today",
    (
        Row("board.today.attention"),
        alarm_figures("board.today.alarms", width=8),
        Panel("board.today.gateways", Look.FIGURE, (_ONLINE, _AWAY), width=8, height=5),
        Panel("board.today.devices", Look.FIGURE, (_DEVICES, _SILENT), width=8, height=5),
        alarms_now("board.today.list"),
        Row("board.today.utilities"),
        compared("board.today.electricity", "energy_import", "kWh", Lived.DWELLINGS),
        compared("board.today.water", "water_volume", "m3", Lived.DWELLINGS),
        compared("board.today.gas", "gas_volume", "m3", Lived.DWELLINGS),
        compared("board.today.heat", "heat_energy", "kWh", Lived.DWELLINGS),
        Panel(
            "board.today.electricity_by_building",
            Look.BARS,
            (consumed("energy_import", "kWh", "building", lived=Lived.DWELLINGS),),
            stacked=True,
            drill=_TO_BUILDING,
        ),
        Panel(
            "board.today.water_by_building",
            Look.BARS,
            (consumed("water_volume", "m3", "building", lived=Lived.DWELLINGS),),
            stacked=True,
            drill=(Drill(Goal.BUILDING, "water"),),
        ),
        Row("board.today.people"),
        Panel("board.today.people_in", Look.BARS, (consumed("people_in", "count", "device"),), stacked=True),
        Panel("board.today.people_now", Look.FIGURE, (Ask("people_count", Aggregate.LAST, by=("device",)),)),
        Row("board.today.food"),
        trend("board.today.cold", by_device("air_temperature", Aggregate.MEAN), limits=_WARM),
        alarms_now("board.today.food_alarms", "food", width=12, height=8),
        Row("board.today.field"),
        GATEWAYS,
    ),
    today=True,
    refresh="30s",
)
