"""Food safety: every cold unit, how long it was out of its range, and whether its record has no holes."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Record, Shape, Whom, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.completeness import OF_EXPECTED
from linli_dashboards.boards.parts import PLAIN, TO_DEVICE, alarm_states, alarms_now, by_device, states, trend
from linli_dashboards.influxql import place
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row
from linli_dashboards.variables import Number

_CHILLED: Final = r'"device_kind" =~ /^(cold_room|chiller|fridge)/'
_FROZEN: Final = r'"device_kind" =~ /^(frozen_room|freezer)/'
_UNIT: Final = ("gateway", "device")
_STEP: Final = "15m"
_STEP_S: Final = 900
_GROUP: Final = 'GROUP BY time(15m), "gateway", "gateway_{lang}", "device", "device_{lang}"'

_KELVIN: Final = 273.15
_ACTIVATION: Final = 10_000
"""83.144 kJ/mol over the gas constant of 8.3144 J/(mol·K), in kelvin, as cold chains agree on it."""


def _air(value: str, *conditions: str) -> str:
    where = " AND ".join(["$timeFilter", *place(Whom.PLACE), *conditions])
    return f'SELECT {value} FROM "air_temperature" WHERE {where} {_GROUP} fill(none)'  # noqa: S608 - our own names


def _out(limit: str, kind: str, name: str) -> Record:
    """Return how long units were beyond a limit, by quarters of an hour.

    The limit is taken off where the highest is asked for: a word in its place is refused there. Compared with, it would
    be a field that nobody has, and no unit would ever have been too warm.
    """
    return Record(
        "air_temperature",
        (Column(f'count("over") * {_STEP_S}', "s", f"board.column.{name}", alias=name),),
        ('"over" > 0',),
        by=_UNIT,
        window=Window.WHOLE,
        inner=_air(f'max("value") - (${{{limit}}}) AS "over"', kind),
        may_be_empty="board.empty.in_range",
    )


_KINETIC: Final = Record(
    "air_temperature",
    (
        Column(
            f'{_ACTIVATION} / (0 - ln(mean("rate"))) - {_KELVIN}',
            "Cel",
            "board.column.kinetic",
            alias="kinetic",
        ),
    ),
    by=_UNIT,
    window=Window.WHOLE,
    inner=_air(f'exp(0 - {_ACTIVATION} / (mean("value") + {_KELVIN})) AS "rate"'),
)
_COMPLETE: Final = Record(
    "completeness",
    (Column(OF_EXPECTED, "share", "board.column.complete", alias="complete"),),
    ("\"quantity\" = 'air_temperature'",),
    by=_UNIT,
    window=Window.WHOLE,
)


def _extreme(aggregate: Aggregate, name: str) -> Ask:
    return Ask(
        "air_temperature",
        aggregate,
        by=_UNIT,
        window=Window.WHOLE,
        shape=Shape.TABLE,
        plain=False,
        name=name,
        label=f"board.column.{name}",
    )


FOOD: Final = Board(
    "food",
    (
        Panel(
            "board.food.units",
            Look.TABLE,
            (
                _extreme(Aggregate.MINIMUM, "coldest"),
                _extreme(Aggregate.MEAN, "average"),
                _extreme(Aggregate.MAXIMUM, "warmest"),
                _KINETIC,
                _out("chilled_limit", _CHILLED, "chilled_out"),
                _out("frozen_limit", _FROZEN, "frozen_out"),
                _COMPLETE,
            ),
            width=24,
            height=9,
            joined=True,
            ranked="chilled_out",
            drill=(TO_DEVICE,),
        ),
        trend("board.food.air", Ask("air_temperature", Aggregate.MEAN, by=("device",), plain=False), width=24),
        trend("board.food.product", by_device("product_temperature", Aggregate.MEAN)),
        trend(
            "board.food.hot",
            by_device("hot_holding_temperature", Aggregate.MINIMUM),
            limits=((0.0, Shade.DANGER), (60.0, Shade.GOOD)),
        ),
        states("board.food.doors", "door_open", PLAIN),
        states("board.food.compressors", "compressor_running", PLAIN),
        Row("board.food.alarms"),
        alarms_now("board.food.alarms_now", "food"),
        alarm_states("board.food.alarm_states", "food"),
    ),
    numbers=(Number("chilled_limit", "8"), Number("frozen_limit", "-18")),
)
