"""Alarm system health, by ISA-18.2: whether people can still act on what they are told."""

from typing import Final

from linli_dashboards.ask import Column, Record, Shape, Whom, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import alarm_figures, alarm_states, alarm_systems
from linli_dashboards.influxql import place
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel


def _sum(name: str, window: Window, label: str = "", *, empty: str = "") -> Record:
    return Record(
        "alarm_health",
        (Column(f'sum("{name}")', "count", "board.column.value", alias="value"),),
        window=window,
        shape=Shape.SERIES,
        label=label,
        may_be_empty=empty,
    )


def _most(name: str, window: Window, label: str = "") -> Record:
    """Return the most that held at the end of an hour, in all communities chosen together."""
    return _of_all(name, f'max("{name}")', window, label)


def _of_all(name: str, expression: str, window: Window, label: str = "") -> Record:
    """Return an expression of a figure's sums, hour by hour, over all communities chosen."""
    where = " AND ".join(["$timeFilter", *place(Whom.AREA)])
    return Record(
        "alarm_health",
        (Column(expression, "count", "board.column.value", alias="value"),),
        window=window,
        inner=f'SELECT sum("{name}") AS "{name}" FROM "alarm_health" WHERE {where} GROUP BY time(1h) fill(none)',  # noqa: S608 - our own names
        shape=Shape.SERIES,
        label=label,
    )


def _figure(key: str, ask: Record, limits: tuple[tuple[float, Shade], ...] = ()) -> Panel:
    return Panel(key, Look.FIGURE, (ask,), width=4, height=5, limits=limits)


_ANY: Final = ((0.0, Shade.GOOD), (1.0, Shade.CAUTION))

ALARM_HEALTH: Final = Board(
    "alarm-health",
    (
        alarm_figures("board.alarm-health.now", width=4),
        _figure(
            "board.alarm-health.a_day",
            _of_all("raised", 'mean("raised") * 24', Window.WHOLE),
            ((0.0, Shade.GOOD), (150.0, Shade.CAUTION), (300.0, Shade.DANGER)),
        ),
        _figure("board.alarm-health.floods", _sum("floods", Window.WHOLE), _ANY),
        _figure("board.alarm-health.chattering", _most("chattering", Window.WHOLE), _ANY),
        _figure("board.alarm-health.standing", _most("standing", Window.WHOLE), _ANY),
        _figure(
            "board.alarm-health.seen_after",
            Record(
                "alarm_seen",
                (Column('median("after")', "s", "board.column.value", alias="value"),),
                window=Window.WHOLE,
                shape=Shape.SERIES,
                may_be_empty="board.empty.none_acknowledged",
            ),
        ),
        Panel(
            "board.alarm-health.per_period",
            Look.BARS,
            tuple(_sum(name, Window.PERIOD, f"priority.{name}") for name in ("high", "medium", "low")),
            stacked=True,
        ),
        Panel(
            "board.alarm-health.in_floods",
            Look.BARS,
            (
                _sum("in_floods", Window.PERIOD, "board.label.in_floods"),
                _sum("acknowledged", Window.PERIOD, "board.label.acknowledged"),
            ),
        ),
        Panel(
            "board.alarm-health.worst",
            Look.RANKING,
            (
                Record(
                    "alarm_change",
                    (Column('count("alarm")', "count", "board.column.alarms", alias="alarms"),),
                    ("\"event\" = 'raise'",),
                    by=("rule",),
                    window=Window.WHOLE,
                    shape=Shape.SERIES,
                ),
            ),
        ),
        Panel(
            "board.alarm-health.unseen",
            Look.BARS,
            (_most("unseen", Window.PERIOD, "board.label.unseen"),),
        ),
        alarm_systems("board.alarm-health.communities", "alarm-health"),
        alarm_states("board.alarm-health.states"),
    ),
    shown="7d",
    refresh="5m",
)
