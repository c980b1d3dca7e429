"""Data completeness: what should have come, and what came."""

from typing import Final

from linli_dashboards.ask import Column, Record, Shape, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import TO_DEVICE
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

OF_EXPECTED: Final = 'sum("fulfilled") / sum("expected")'
"""Of all points together: a mean of their shares would count a meter read once a day like one read every second."""

_SHARE: Final = ((0.0, Shade.DANGER), (0.95, Shade.CAUTION), (0.99, Shade.GOOD))


def _of(expression: str, unit: str, window: Window, *by: str, shape: Shape = Shape.SERIES, label: str = "") -> Record:
    name = label.rpartition(".")[2] or "value"
    return Record(
        "completeness",
        (Column(expression, unit, label or "board.column.value", alias=name),),
        by=by,
        window=window,
        shape=shape,
    )


def _for_device(expression: str, unit: str, name: str) -> Record:
    by = ("gateway", "device")
    return _of(expression, unit, Window.WHOLE, *by, shape=Shape.TABLE, label=f"board.column.{name}")


COMPLETENESS: Final = Board(
    "completeness",
    (
        Panel(
            "board.completeness.share",
            Look.FIGURE,
            (_of(OF_EXPECTED, "share", Window.WHOLE),),
            width=6,
            height=5,
            limits=_SHARE,
        ),
        Panel(
            "board.completeness.missing",
            Look.FIGURE,
            (_of('sum("missing")', "count", Window.WHOLE),),
            width=6,
            height=5,
            limits=((0.0, Shade.GOOD), (1.0, Shade.CAUTION)),
        ),
        Panel("board.completeness.late", Look.FIGURE, (_of('sum("late")', "count", Window.WHOLE),), width=6, height=5),
        Panel(
            "board.completeness.unexplained",
            Look.FIGURE,
            (
                Record(
                    "account",
                    (Column('sum("unexplained")', "count", "board.column.unexplained", alias="unexplained"),),
                    window=Window.WHOLE,
                    shape=Shape.SERIES,
                ),
            ),
            width=6,
            height=5,
            limits=((0.0, Shade.GOOD), (1.0, Shade.DANGER)),
        ),
        Panel(
            "board.completeness.by_gateway",
            Look.BARS,
            (_of(OF_EXPECTED, "share", Window.DAY, "gateway"),),
            lowest=0,
            highest=1,
        ),
        Panel(
            "board.completeness.by_quantity",
            Look.RANKING,
            (_of(OF_EXPECTED, "share", Window.WHOLE, "quantity"),),
            limits=_SHARE,
            lowest=0,
            highest=1,
        ),
        Row("board.completeness.devices"),
        Panel(
            "board.completeness.table",
            Look.TABLE,
            (
                _for_device(OF_EXPECTED, "share", "complete"),
                _for_device('sum("missing")', "count", "missing"),
                _for_device('sum("late")', "count", "late"),
            ),
            width=24,
            height=12,
            joined=True,
            ranked="missing",
            drill=(TO_DEVICE,),
        ),
    ),
    shown="7d",
    refresh="5m",
)
