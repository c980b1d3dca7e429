"""Cameras' counts: people and vehicles, what blocks the way, and which cameras see nothing."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import TO_DEVICE, WANTED, by_device, consumed, states, trend
from linli_dashboards.panel import Look, Panel, Row


def _total(key: str, *questions: tuple[str, str]) -> Panel:
    asks = tuple(Ask(quantity, Aggregate.CONSUMED, window=Window.WHOLE, label=label) for quantity, label in questions)
    return Panel(key, Look.FIGURE, asks, width=12, height=5)


CAMERAS: Final = Board(
    "cameras",
    (
        _total("board.cameras.people", ("people_in", "board.label.in"), ("people_out", "board.label.out")),
        _total("board.cameras.vehicles", ("vehicle_in", "board.label.in"), ("vehicle_out", "board.label.out")),
        Panel(
            "board.cameras.people_flow",
            Look.BARS,
            (
                consumed("people_in", "count", label="board.label.in"),
                consumed("people_out", "count", label="board.label.out"),
            ),
        ),
        Panel(
            "board.cameras.vehicle_flow",
            Look.BARS,
            (
                consumed("vehicle_in", "count", label="board.label.in"),
                consumed("vehicle_out", "count", label="board.label.out"),
            ),
        ),
        trend("board.cameras.present", by_device("people_count", Aggregate.MAXIMUM)),
        trend("board.cameras.parked", by_device("vehicle_count", Aggregate.MAXIMUM)),
        Row("board.cameras.dangers"),
        states("board.cameras.ebikes", "ebike_in_elevator"),
        states("board.cameras.lanes", "fire_lane_blocked"),
        states("board.cameras.crowds", "crowding"),
        states("board.cameras.thrown", "thrown_object"),
        Row("board.cameras.health"),
        states("board.cameras.online", "camera_online", WANTED),
        states("board.cameras.tampered", "camera_tampered"),
        Panel(
            "board.cameras.by_device",
            Look.RANKING,
            (Ask("people_in", Aggregate.CONSUMED, by=("device",), window=Window.WHOLE),),
            width=24,
            drill=(TO_DEVICE,),
        ),
    ),
)
