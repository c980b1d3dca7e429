"""Boards straight to a database, without the platform in between: what it can know, and no more.

A database knows gateways, devices and points. Areas, titles, alarms and books are the platform's, and so is what a
caller may see: nothing here keeps one community from seeing another's readings.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from linli_dashboards.ask import Shape
from linli_dashboards.board import Board
from linli_dashboards.dialect import Dialect, InfluxQL
from linli_dashboards.influxql import Scope
from linli_dashboards.links import Goal
from linli_dashboards.panel import Panel, Row
from linli_dashboards.promql import PromQL

DATABASES: Final[dict[str, Dialect]] = {"influxdb": InfluxQL(Scope.DATABASE), "victoriametrics": PromQL()}
"""What is said to each database."""


def reduced(boards: Iterable[Board], dialect: Dialect) -> Iterator[Board]:
    """Yield boards with the panels whose questions can be answered; those of which nothing is left are not made."""
    for board in boards:
        parts = list(_parts(board, dialect))
        if any(isinstance(part, Panel) for part in parts):
            yield replace(board, parts=tuple(parts))


def _parts(board: Board, dialect: Dialect) -> Iterator[Panel | Row]:
    heading: Row | None = None
    for part in board.parts:
        if isinstance(part, Row):
            heading = part
            continue
        asks = tuple(ask for ask in part.asks if dialect.answers(ask))
        if not asks or (part.asks[0].shape is Shape.SERIES and len(asks) < len(part.asks)):
            continue
        if heading is not None:
            yield heading
            heading = None
        yield replace(part, asks=asks, drill=tuple(drill for drill in part.drill if drill.goal is Goal.DEVICE))
