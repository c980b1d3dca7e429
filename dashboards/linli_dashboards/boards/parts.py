"""Panels and questions that several boards have."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Column, Lived, Record, Shape, Whom, Window
from linli_dashboards.influxql import LIVED, place
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import PRIORITIES, STATES, Shade
from linli_dashboards.panel import Look, Panel

BINARY: Final = (("0", "board.word.no", Shade.GOOD), ("1", "board.word.yes", Shade.DANGER))
"""States that are bad where they are 1."""

PLAIN: Final = (("0", "board.word.no", Shade.QUIET), ("1", "board.word.yes", Shade.NOTICE))
"""States that are neither good nor bad."""

WANTED: Final = (("0", "board.word.no", Shade.DANGER), ("1", "board.word.yes", Shade.GOOD))
"""States that are good where they are 1."""

ALARM_WORDS: Final = tuple((name, f"alarm_state.{name}", shade) for name, shade in STATES.items())
"""States of alarms."""

TO_DEVICE: Final = Drill(Goal.DEVICE, "device")


def consumed(
    quantity: str, shown: str, *by: str, lived: Lived = Lived.ANYWHERE, label: str = "", empty: str = ""
) -> Ask:
    """Return what was consumed in each period."""
    return Ask(
        quantity,
        Aggregate.CONSUMED,
        shown,
        by=by,
        window=Window.PERIOD,
        lived=lived,
        label=label,
        may_be_empty=empty,
    )


def compared(key: str, quantity: str, shown: str, lived: Lived = Lived.ANYWHERE, width: int = 6) -> Panel:
    """Return what was consumed in the time shown, beside the same time of the week before."""
    asks = tuple(
        Ask(
            quantity,
            Aggregate.CONSUMED,
            shown,
            window=Window.WHOLE,
            lived=lived,
            earlier=earlier,
            label=label,
            may_be_empty=empty,
        )
        for earlier, label, empty in (("", "board.label.now", ""), ("7d", "board.label.week_ago", "board.empty.young"))
    )
    return Panel(key, Look.FIGURE, asks, width=width, height=5)


def meters_read(key: str, quantity: str, width: int = 4) -> Panel:
    """Return how many meters the sums of the time shown hold, beside how many there are now."""
    conditions = (f'"point" =~ /\\/{quantity}$/', LIVED[Lived.PARTS])
    where = " AND ".join(["$timeFilter", *place(Whom.PLACE), *conditions])
    read = Record(
        quantity,
        (Column('count("readings")', "count", "board.column.value", alias="meters"),),
        ('"readings" >= 2',),
        window=Window.WHOLE,
        inner=f'SELECT count("value") AS "readings" FROM "{quantity}" WHERE {where} GROUP BY "gateway", "point"',  # noqa: S608 - our own names
        shape=Shape.SERIES,
        label="board.label.read_twice",
        may_be_empty="board.empty.none_read",
    )
    known = Record(
        "point_state",
        (Column('count("age")', "count", "board.column.value", alias="meters"),),
        (f"\"quantity\" = '{quantity}'", *conditions),
        window=Window.WHOLE,
        now=True,
        shape=Shape.SERIES,
        label="board.label.meters",
    )
    return Panel(key, Look.FIGURE, (read, known), width=width, height=5)


def trend(key: str, *asks: Ask, width: int = 12, limits: tuple[tuple[float, Shade], ...] = ()) -> Panel:
    """Return curves that lead to the device."""
    return Panel(key, Look.TREND, asks, width=width, limits=limits, drill=(TO_DEVICE,))


def by_device(quantity: str, aggregate: Aggregate, shown: str = "", *, plain: bool = True) -> Ask:
    """Return a curve for each device; for each point where a device has several of them."""
    return Ask(quantity, aggregate, shown, by=("device",) if plain else ("device", "point"), plain=plain)


def states(key: str, quantity: str, words: tuple[tuple[str, str, Shade], ...] = BINARY, width: int = 12) -> Panel:
    """Return bars that say when a state held, one for each device."""
    ask = Ask(quantity, Aggregate.MAXIMUM, by=("device",), plain=False)
    return Panel(key, Look.STATES, (ask,), width=width, height=6, words=words, drill=(TO_DEVICE,))


def alarms_now(key: str, category: str = "", width: int = 24, height: int = 9) -> Panel:
    """Return the alarms that are not settled; a click on one leads to where it is acknowledged."""
    where = (f"\"category\" = '{category}'",) if category else ()
    ask = Record(
        "alarm_active",
        (
            Column("alarm", hidden=True),
            Column("priority", label="board.column.priority"),
            Column("title_{lang}", label="board.column.alarm"),
            Column("device_{lang}", label="board.tag.device"),
            Column("building_{lang}", label="board.tag.building"),
            Column("state", label="board.column.state"),
            Column("since", "s", label="board.column.since"),
            Column("response_{lang}", label="board.column.response"),
        ),
        where,
        now=True,
        timed=True,
        newest=True,
        limit=200,
        may_be_empty="board.empty.no_alarm",
    )
    words = tuple((name, f"priority.{name}", shade) for name, shade in PRIORITIES.items())
    link = Drill(Goal.ALARM, column="title_{lang}")
    return Panel(
        key,
        Look.TABLE,
        (ask,),
        width=width,
        height=height,
        words=words,
        of="priority",
        more=(("state", ALARM_WORDS),),
        drill=(link,),
    )


def alarm_figures(key: str, width: int = 6) -> Panel:
    """Return how many alarms of each priority are not settled."""
    asks = tuple(
        Record(
            "alarm_count",
            (Column(f'sum("{priority}")', "count", "board.column.alarms", alias="alarms"),),
            window=Window.WHOLE,
            now=True,
            shape=Shape.SERIES,
            label=f"priority.{priority}",
            alert=shade,
        )
        for priority, shade in PRIORITIES.items()
    )
    return Panel(key, Look.FIGURE, asks, width=width, height=5)


def alarm_systems(key: str, board: str, height: int = 8) -> Panel:
    """Return how the alarms of each community fare, by ISA-18.2, side by side; a click leads to a board of one."""
    columns = (
        ("raised", 'sum("raised")', "count"),
        ("a_day", 'mean("raised") * 24', "count"),
        ("floods", 'sum("floods")', "count"),
        ("chattering", 'sum("chattering")', "count"),
        ("standing", 'max("standing")', "count"),
        ("unseen", 'max("unseen")', "count"),
    )
    ask = Record(
        "alarm_health",
        tuple(Column(said, unit, f"board.column.{name}", alias=name) for name, said, unit in columns),
        by=("community",),
        window=Window.WHOLE,
        whom=Whom.AREA,
    )
    seen = Record(
        "alarm_seen",
        (Column('median("after")', "s", "board.column.seen_after", alias="seen_after"),),
        by=("community",),
        window=Window.WHOLE,
        whom=Whom.AREA,
        may_be_empty="board.empty.none_acknowledged",
    )
    link = (Drill(Goal.AREA, board),)
    return Panel(key, Look.TABLE, (ask, seen), width=24, height=height, joined=True, ranked="a_day", drill=link)


def alarm_states(key: str, category: str = "", width: int = 24) -> Panel:
    """Return when each alarm stood in which state."""
    where = (f"\"category\" = '{category}'",) if category else ()
    ask = Record(
        "alarm_change",
        (Column("state", label="board.column.state"),),
        where,
        by=("device", "rule"),
        shape=Shape.SERIES,
        may_be_empty="board.empty.no_alarm",
    )
    return Panel(key, Look.STATES, (ask,), width=width, height=8, words=ALARM_WORDS)
