"""City and district: communities side by side."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Lived, Record, Shape, Whom, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.completeness import OF_EXPECTED
from linli_dashboards.boards.parts import alarm_systems
from linli_dashboards.links import Drill, Goal
from linli_dashboards.panel import Look, Panel, Row

_BY: Final = ("community",)
_TO_AREA: Final = (Drill(Goal.AREA, "today"),)


def _record(
    measurement: str, expression: str, unit: str, name: str, *where: str, now: bool = True, empty: str = ""
) -> Record:
    return Record(
        measurement,
        (Column(expression, unit, f"board.column.{name}", alias=name),),
        where,
        by=_BY,
        window=Window.WHOLE,
        now=now,
        whom=Whom.AREA,
        may_be_empty=empty,
    )


def _consumed(quantity: str, shown: str) -> Ask:
    return Ask(quantity, Aggregate.CONSUMED, shown, by=_BY, window=Window.PERIOD, whom=Whom.AREA, lived=Lived.PARTS)


DISTRICT: Final = Board(
    "district",
    (
        Panel(
            "board.district.table",
            Look.TABLE,
            (
                _record("alarm_count", 'sum("all")', "count", "alarms"),
                _record("gateway_state", 'sum("online")', "count", "online"),
                _record("gateway_state", 'sum("away")', "count", "away"),
                _record("device_state", 'count("silent")', "count", "devices"),
                _record("device_state", 'sum("silent")', "count", "silent"),
                _record("completeness", OF_EXPECTED, "share", "complete", now=False),
            ),
            width=24,
            height=9,
            joined=True,
            ranked="alarms",
            drill=_TO_AREA,
        ),
        alarm_systems("board.district.systems", "alarm-health"),
        Row("board.district.use"),
        Panel("board.district.electricity", Look.BARS, (_consumed("energy_import", "kWh"),), drill=_TO_AREA),
        Panel("board.district.water", Look.BARS, (_consumed("water_volume", "m3"),), drill=_TO_AREA),
        Panel("board.district.gas", Look.BARS, (_consumed("gas_volume", "m3"),), drill=_TO_AREA),
        Panel("board.district.heat", Look.BARS, (_consumed("heat_energy", "kWh"),), drill=_TO_AREA),
        Row("board.district.alarms"),
        Panel(
            "board.district.raised",
            Look.BARS,
            (
                Record(
                    "alarm_health",
                    (Column('sum("raised")', "count", "board.column.alarms", alias="alarms"),),
                    by=_BY,
                    window=Window.DAY,
                    whom=Whom.AREA,
                    shape=Shape.SERIES,
                ),
            ),
            drill=_TO_AREA,
        ),
        Panel(
            "board.district.complete",
            Look.BARS,
            (
                Record(
                    "completeness",
                    (Column(OF_EXPECTED, "share", "board.column.complete", alias="share"),),
                    by=_BY,
                    window=Window.DAY,
                    whom=Whom.AREA,
                    shape=Shape.SERIES,
                ),
            ),
            lowest=0,
            highest=1,
            drill=_TO_AREA,
        ),
    ),
    shown="30d",
    places=("area",),
    refresh="15m",
)
