"""How far back what comes late is judged in its place, how long that waits, and what it costs to remember."""

import pytest
from tests.core.alarm_story import GOOD, T0, H, M, S, rule, series
from tests.core.test_alarm_runs import MEAN, Room
from tests.core.test_alarm_stories import BALANCE

from linli_core.alarm import Engine, Event
from linli_core.alarm.memory import Journal
from linli_core.alarm.together import BalanceWatch
from linli_core.instant import Instant

CHANGED = rule('kind = "change", to = [1]')


def journal(room: Room) -> Journal:
    found = room.engine.snapshot()[0].journal
    assert found is not None
    return found


def told(*times: Instant) -> Room:
    room = Room(MEAN)
    room.read(*times)
    return room


def late(room: Room, at: Instant, now: Instant) -> bool:
    """Tell whether a late reading is taken."""
    before = room.engine.out_of_order
    room.engine.observe(room.bound, 4.0, GOOD, T0 + at, T0 + now)
    return room.engine.out_of_order == before


@pytest.mark.parametrize("count", [33, 63, 64, 65, 95, 96, 97, 200])
def test_a_reading_may_be_overtaken_by_so_many(count: int) -> None:
    room = told(*range(0, count * M, M))
    assert late(room, (count - 32) * M - 30 * S, count * M)
    # And of a dense point no more than twice as many are remembered.
    assert len(journal(room).entries) <= 64
    assert not late(room, -H, count * M) or count < 64


def test_what_was_held_back_by_a_long_silence_counts_for_longer() -> None:
    before = range(0, 40 * M, M)
    for count, is_taken in ((400, True), (600, False)):
        room = told(*before, *range(10 * H, 10 * H + count * M, M))
        assert late(room, 2 * H, 10 * H + count * M) is is_taken
        assert len(journal(room).entries) <= 544


@pytest.mark.parametrize(("silence", "is_long"), [(28 * M + 27 * S, True), (28 * M + 26 * S, False)])
def test_how_long_a_long_silence_is(silence: Instant, is_long: bool) -> None:
    """More than four times what is usual: nine readings in 64 minutes are one in seven."""
    room = told(*range(0, 65 * M, 8 * M))
    room.read(64 * M + silence)
    assert (journal(room).hole_at is not None) is is_long
    few = told(*range(0, 49 * M, 8 * M))
    few.read(10 * H)
    assert journal(few).hole_at is None


@pytest.mark.parametrize(("overtaken", "waits"), [(1, False), (8, False), (9, True), (30, True)])
def test_what_few_overtook_is_judged_at_once_and_what_many_did_waits(overtaken: int, waits: bool) -> None:
    room = Room(CHANGED)
    room.read(*range(0, H, M))
    now = 59 * M + 10 * S
    assert late(room, (60 - overtaken) * M - 30 * S, now)
    assert (journal(room).stale_at is not None) is waits
    assert room.engine.next_due() == (T0 + now + 30 * S if waits else None)
    assert room.engine.tick(T0 + now + 30 * S - 1) == []
    assert (journal(room).stale_at is not None) is waits
    assert room.engine.tick(T0 + now + 30 * S) == []
    assert journal(room).stale_at is None


OUTAGE = rule(
    'kind = "pattern", form = "count", a = { values = [false], quantity = "power_present" }, count = 5, '
    'within = "5 min", of = "gateway"'
)


@pytest.mark.parametrize("late_by", [0, 1, 200])
def test_of_hundreds_of_points_one_may_be_overtaken_by_all_the_others(late_by: int) -> None:
    """Two hundred meters are read in turn; five lose their power, whose last words come after all the others'."""
    engine = Engine([OUTAGE])
    bound = [engine.bind(series(f"meter-{number}/power_present"), T0) for number in range(200)]
    words = []
    for minute in range(5):
        for number in range(200):
            is_last = minute == 3 and not number % 40
            at = minute * M + number * 300_000
            words.append(((minute * 200 + number + (late_by if is_last else 0)), at, number, not is_last))
    told = []
    for _, at, number, value in sorted(words):
        told += engine.observe(bound[number], value, GOOD, T0 + at, T0 + 10 * M)
    told += engine.tick(T0 + 11 * M)
    assert [(it.event, it.at - T0) for it in told][:1] == [(Event.RAISE, 3 * M + 48 * S)]


def test_a_backlog_is_written_when_it_is_judged_and_not_with_each_of_its_readings() -> None:
    """All that is remembered is tens of kilobytes, and a storm brings thousands of readings to thousands of rules."""
    room = told(*range(0, 40 * M, M), *range(10 * H, 10 * H + 100 * M, M))
    room.engine.take_touched()
    now = 10 * H + 100 * M
    writes = 0
    for number in range(60):
        assert late(room, H + number * M, now + number * 10_000)
        writes += len(room.engine.take_touched())
    assert writes == 0
    room.engine.tick(T0 + now + 30 * S)
    (written,) = room.engine.take_touched()
    assert written.journal is not None
    assert (len(written.journal.entries), written.journal.stale_at) == (len(journal(room).entries), None)


def test_thousands_of_meters_that_pass_an_edge_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    counts = BalanceWatch._counts

    def counted(self: BalanceWatch, meter: str, number: int) -> bool:
        nonlocal asked
        asked += 1
        return counts(self, meter, number)

    monkeypatch.setattr(BalanceWatch, "_counts", counted)
    meters = 300
    engine = Engine([BALANCE])
    names = ["bulk/volume", *(f"flat-{number}/volume" for number in range(meters))]
    bound = [engine.bind(series(name), T0) for name in names]
    told = []
    for turn in range(8):
        at = T0 + turn * 30 * M + S
        for number, it in enumerate(bound):
            value = turn * (1.0 if number else 1.5 * meters)
            told += engine.observe(it, value, GOOD, at, at)
    assert [it.event for it in told] == [Event.RAISE]
    assert asked <= 3 * 5 * len(names), "not each of them with each of them"


@pytest.mark.parametrize("retired", [True, False])
def test_a_balance_waits_for_no_meter_that_was_taken_out(retired: bool) -> None:
    """A meter that is read no more leaves each period unjudged, for a month; one that was retired leaves none.

    What it counted until then is in the bulk: the periods of that are not judged without it, nor anew.
    """
    engine = Engine([BALANCE])
    bound = [engine.bind(series(name), T0) for name in ("bulk/volume", "flat-1/volume", "flat-2/volume")]
    told = []
    for turn in range(32):
        at = T0 + turn * 30 * M + S
        for number, it in enumerate(bound):
            if number < 2 or turn < 6:
                bulk = 5.0 * (turn + min(turn, 6) + max(turn - 24, 0))
                told += engine.observe(it, bulk if not number else turn * 5.0, GOOD, at, at)
        if turn == 6 and retired:
            assert engine.dismiss({"gw/flat-2"}) == []
            (memory,) = engine.take_touched()
            assert memory.kept is not None
            assert len(memory.kept.points) == 2
            for it in bound[:2]:
                told += engine.observe(it, 20.0, GOOD, T0 + 2 * H - M, at)
            told += engine.tick(at + M)
    assert [(it.event, (it.at - T0) // H) for it in told] == ([(Event.RAISE, 13)] if retired else [])
