"""Thousands of alarms at once: written in a few statements, and to the same end as one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from linli_core.alarm import AlarmChange, Event, Note, State
from linli_core.alarm.states import TRANSITIONS
from linli_platform.alarms import AlarmRow, Filter, load_rules
from linli_platform.alarms.models import AlarmMemoryTable
from linli_platform.alarms.records import AlarmRecordError, AlarmRecords
from linli_platform.alarms.rows import ChangeRow
from linli_platform.registry import Registry

RULE = "food.cold-room-warm"


@contextmanager
def counted(registry: Registry) -> Iterator[list[str]]:
    """Yield the statements that reach the database."""
    statements: list[str] = []
    engine = registry.sessions.kw["bind"]

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def history(records: AlarmRecords, alarm: int) -> list[ChangeRow]:
    found = records.history(alarm)
    assert found is not None
    return found[1]


def raised(number: int) -> AlarmChange:
    subject = f"gw/room-{number}/air_temperature"
    return AlarmChange(RULE, subject, Event.RAISE, State.NORMAL, State.UNACKNOWLEDGED, number, number + 1, 9.0)


def returned(number: int) -> AlarmChange:
    subject = f"gw/room-{number}/air_temperature"
    return AlarmChange(RULE, subject, Event.RETURN, State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, 9, 9, 1.0)


def test_ten_thousand_alarms_take_a_few_statements_and_none_is_lost(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry.sqlite") as registry:
        records = AlarmRecords(registry.sessions, {rule.id: rule for rule in load_rules()})
        used = []
        for first in range(0, 10_000, 2_000):
            changes = [raised(number) for number in range(first, first + 2_000)]
            keys = [(change.rule, change.subject) for change in changes]
            with counted(registry) as statements:
                rows = records.write(changes, [b"{}"] * len(keys), keys)
            used.append(len(statements))
            assert [row.subject for row in rows] == [change.subject for change in changes]
        assert max(used) <= 10
        with counted(registry) as looked_up:
            records.write([returned(1)], [], [])
        with counted(registry) as statements:
            assert len(records.find(Filter(active=True), 500)) == 500
        assert len(statements) == 1
        assert len(records.find(Filter(active=True), 20_000)) == 10_000
        assert records.totals() == {Event.RAISE: 10_000, Event.RETURN: 1}
        with registry.sessions() as session:
            assert len(session.scalars(select(AlarmMemoryTable.subject)).all()) == 10_000
            (asked,) = [line for line in looked_up if line.startswith("SELECT") and "IN (VALUES" in line]
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", ("a", "b")).all()
        assert "USING INDEX uq_alarm_active" in str(plan)


def test_what_turns_out_not_to_have_been_so_is_written_beside_an_alarm_that_is_settled(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry.sqlite") as registry:
        records = AlarmRecords(registry.sessions, {rule.id: rule for rule in load_rules()})
        change = raised(1)
        seen = AlarmChange(RULE, change.subject, Event.ACKNOWLEDGE, change.after, State.ACKNOWLEDGED, 2, 2, actor="li")
        over = AlarmChange(RULE, change.subject, Event.RETURN, State.ACKNOWLEDGED, State.NORMAL, 3, 3)
        denied = AlarmChange(RULE, change.subject, Note.DISPROVE, State.NORMAL, State.NORMAL, 1, 9)
        records.write([change, seen, over], [], [])
        (row,) = records.write([denied], [], [])
        assert row.state is State.NORMAL
        assert [it.event for it in history(records, row.id)] == [it.event for it in (change, seen, over, denied)]
        with pytest.raises(AlarmRecordError, match="without an active alarm"):
            records.write([returned(2)], [], [])


def test_what_is_denied_of_an_alarm_that_is_settled_is_not_said_of_the_one_that_stands(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry.sqlite") as registry:
        records = AlarmRecords(registry.sessions, {rule.id: rule for rule in load_rules()})
        first, again = raised(1), msgspec.structs.replace(raised(1), at=20)
        seen = AlarmChange(RULE, first.subject, Event.ACKNOWLEDGE, first.after, State.ACKNOWLEDGED, 2, 2, actor="li")
        over = AlarmChange(RULE, first.subject, Event.RETURN, State.ACKNOWLEDGED, State.NORMAL, 3, 3)
        records.write([first, seen, over, again], [], [])
        denied = AlarmChange(
            RULE, first.subject, Note.DISPROVE, State.UNACKNOWLEDGED, State.UNACKNOWLEDGED, 2, 25, of=first.at
        )
        assert records.write([denied], [], []) == [], "the alarm that stands is not touched"
        stands, settled = records.find(Filter(), 10)
        assert [it.event for it in history(records, stands.id)] == [Event.RAISE]
        assert [it.event for it in history(records, settled.id)][-1] is Note.DISPROVE
        assert history(records, settled.id)[-1].after is State.NORMAL, "it is what it was"
        records.write([msgspec.structs.replace(denied, of=again.at)], [], [])
        assert history(records, stands.id)[-1].event is Note.DISPROVE


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=20)


def story(steps: list[tuple[int, int]], run: int) -> list[AlarmChange]:
    """Return changes of three alarms: of each the events that its state allows."""
    states = dict.fromkeys(range(3), State.NORMAL)
    found = []
    for at, (number, choice) in enumerate(steps):
        possible = sorted(TRANSITIONS[states[number]])
        chosen = possible[choice % len(possible)]
        after = TRANSITIONS[states[number]][chosen]
        subject = f"gw-{run}/room-{number}/air_temperature"
        found.append(
            AlarmChange(
                RULE, subject, chosen, states[number], after, at, at + 1, float(at), actor="li", comment=f"{at}"
            )
        )
        states[number] = after
    return found


def told(records: AlarmRecords, run: int) -> list[tuple[object, ...]]:
    def facts(row: AlarmRow) -> tuple[object, ...]:
        seen = (row.acknowledged_at, row.acknowledged_by, row.comment, row.value, tuple(history(records, row.id)))
        return (row.subject.partition("/")[2], row.raised_at, row.state, row.returned_at, row.times_raised, *seen)

    return sorted((facts(row) for row in records.find(Filter(gateway=f"gw-{run}"), 1_000)), key=lambda it: it[:2])


def test_a_batch_comes_to_what_its_changes_do_one_by_one(tmp_path: Path) -> None:
    runs = iter(range(1_000_000))
    with Registry(tmp_path / "registry.sqlite") as registry:
        records = AlarmRecords(registry.sessions, {rule.id: rule for rule in load_rules()})

        @settings(max_examples=30)
        @given(STEPS, st.integers(0, 30))
        def check(steps: list[tuple[int, int]], cut: int) -> None:
            one, other = next(runs), next(runs)
            for change in story(steps, one):
                records.write([change], [], [])
            changes = story(steps, other)
            for part in (changes[:cut], changes[cut:]):
                rows = records.write(part, [], [])
                assert {row.subject for row in rows} == {change.subject for change in part}
            assert told(records, other) == told(records, one)

        check()
