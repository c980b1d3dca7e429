"""Field health: gateways, lines, devices, and where readings were lost."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Record, Shape, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import TO_DEVICE, trend
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

_GATEWAY_WORDS: Final = (
    ("online", "gateway_state.online", Shade.GOOD),
    ("offline", "gateway_state.offline", Shade.CAUTION),
    ("lost", "gateway_state.lost", Shade.DANGER),
    ("unknown", "gateway_state.unknown", Shade.QUIET),
)
_LINK_WORDS: Final = (
    ("up", "link_state.up", Shade.GOOD),
    ("degraded", "link_state.degraded", Shade.CAUTION),
    ("down", "link_state.down", Shade.DANGER),
)

_CAUSES: Final = ("space", "corruption", "retention", "log_replaced")
"""Why the ledger says that messages never came."""

GATEWAYS: Final = Panel(
    "board.field-health.gateways",
    Look.TABLE,
    (
        Record(
            "gateway_state",
            (
                Column("gateway", hidden=True),
                Column("gateway_{lang}", label="board.tag.gateway"),
                Column("state", label="board.column.state"),
                Column("age", "s", "board.column.age"),
                Column("backlog", "count", "board.column.backlog"),
                Column("doubtful", "count", "board.column.doubtful"),
                Column("card_days", "d", "board.column.card_days"),
                Column("card_bytes", "B", "board.column.card_bytes"),
                Column("version", label="board.column.version"),
            ),
            now=True,
        ),
    ),
    width=24,
    words=_GATEWAY_WORDS,
    of="state",
    drill=(Drill(Goal.GATEWAY, column="gateway_{lang}"),),
)


def _figure(key: str, measurement: str, expression: str, unit: str, good: float = 0.5) -> Panel:
    """Return one figure of what is so now; more than ``good`` of it is a reason to look."""
    ask = Record(
        measurement,
        (Column(expression, unit, "board.column.value", alias="value"),),
        window=Window.WHOLE,
        now=True,
        shape=Shape.SERIES,
    )
    limits = ((0.0, Shade.GOOD), (good, Shade.CAUTION))
    return Panel(key, Look.FIGURE, (ask,), width=4, height=5, limits=limits)


FIELD_HEALTH: Final = Board(
    "field-health",
    (
        _figure("board.field-health.away", "gateway_state", 'sum("away")', "count"),
        _figure("board.field-health.silent", "device_state", 'sum("silent")', "count"),
        _figure("board.field-health.backlog", "gateway_state", 'sum("backlog")', "count", 1_000),
        _figure("board.field-health.doubtful", "gateway_state", 'sum("doubtful")', "count"),
        _figure("board.field-health.late", "unit_state", 'sum("late")', "count", 100),
        _figure("board.field-health.busiest", "link_state", 'max("use")', "share", 0.8),
        GATEWAYS,
        Row("board.field-health.lines"),
        Panel(
            "board.field-health.links",
            Look.TABLE,
            (
                Record(
                    "link_state",
                    (
                        Column("gateway", hidden=True),
                        Column("gateway_{lang}", label="board.tag.gateway"),
                        Column("link", label="board.tag.link"),
                        Column("driver", label="board.column.driver"),
                        Column("state", label="board.column.state"),
                        Column("use", "share", "board.column.use"),
                        Column("stretched", label="board.column.stretched"),
                        Column("devices", "count", "board.column.devices"),
                        Column("silent", "count", "board.column.silent"),
                        Column("error", label="board.column.error"),
                    ),
                    now=True,
                ),
            ),
            width=24,
            words=_LINK_WORDS,
            of="state",
            ranked="use",
            drill=(Drill(Goal.GATEWAY, column="gateway_{lang}"),),
        ),
        Panel(
            "board.field-health.units",
            Look.TABLE,
            (
                Record(
                    "unit_state",
                    (
                        Column("gateway", hidden=True),
                        Column("device", hidden=True),
                        Column("device_{lang}", label="board.tag.device"),
                        Column("link", label="board.tag.link"),
                        Column("requests", "count", "board.column.requests"),
                        Column("timeouts", "count", "board.column.timeouts"),
                        Column("late", "count", "board.column.late"),
                        Column("checksum", "count", "board.column.checksum"),
                        Column("median", "s", "board.column.median"),
                        Column("share", "share", "board.column.use"),
                    ),
                    now=True,
                ),
            ),
            width=12,
            height=10,
            ranked="timeouts",
            drill=(TO_DEVICE,),
        ),
        Panel(
            "board.field-health.devices",
            Look.TABLE,
            (
                Record(
                    "device_state",
                    (
                        Column("gateway", hidden=True),
                        Column("device", hidden=True),
                        Column("device_{lang}", label="board.tag.device"),
                        Column("gateway_{lang}", label="board.tag.gateway"),
                        Column("age", "s", "board.column.age"),
                        Column("interval", "s", "board.column.interval"),
                        # One that never spoke has neither: it would be no row at all.
                        Column("points", "count", "board.column.points"),
                    ),
                    ('"silent" = 1',),
                    now=True,
                    may_be_empty="board.empty.none_silent",
                ),
            ),
            width=12,
            height=10,
            ranked="age",
            drill=(TO_DEVICE,),
        ),
        Row("board.field-health.books"),
        Panel(
            "board.field-health.losses",
            Look.TABLE,
            (
                Record(
                    "loss",
                    (
                        Column("gateway_{lang}", label="board.tag.gateway"),
                        Column("cause", label="board.column.cause"),
                        Column("messages", "count", "board.column.messages"),
                        Column("readings", "count", "board.column.readings"),
                    ),
                    timed=True,
                    newest=True,
                    limit=200,
                    may_be_empty="board.empty.none_lost",
                ),
            ),
            words=tuple((cause, f"accounts.cause.{cause}", Shade.QUIET) for cause in _CAUSES),
            of="cause",
        ),
        Panel(
            "board.field-health.accounts",
            Look.TABLE,
            (
                Record(
                    "account",
                    (
                        Column("gateway_{lang}", label="board.tag.gateway"),
                        Column("polled", "count", "board.column.polled"),
                        Column("accepted", "count", "board.column.accepted"),
                        Column("under_way", "count", "board.column.under_way"),
                        Column("refused", "count", "board.column.refused"),
                        Column("evicted", "count", "board.column.evicted"),
                        Column("unexplained", "count", "board.column.unexplained"),
                    ),
                    timed=True,
                    newest=True,
                    limit=200,
                ),
            ),
        ),
        trend(
            "board.field-health.signal",
            Ask("signal_strength", Aggregate.MEAN, by=("device",), may_be_empty="board.empty.no_such_device"),
        ),
        trend(
            "board.field-health.batteries",
            Ask("battery_voltage", Aggregate.MINIMUM, by=("device",), may_be_empty="board.empty.no_such_device"),
        ),
        trend(
            "board.field-health.restarts",
            Ask("restarts", Aggregate.MAXIMUM, by=("device",), may_be_empty="board.empty.no_such_device"),
        ),
        trend(
            "board.field-health.heap",
            Ask("heap_free", Aggregate.MINIMUM, by=("device",), may_be_empty="board.empty.no_such_device"),
        ),
    ),
)
