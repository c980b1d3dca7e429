"""Books of readings: days that give way to earlier ones, and two books held against each other."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from linli_core.log.account import EARLIER, KEPT, Balance, Book, Missing, copied, days_in, enter, hold, total

ENTRIES = st.lists(st.tuples(st.integers(0, 40), st.tuples(st.integers(0, 9), st.integers(0, 9))), max_size=60)


@given(ENTRIES)
def test_no_count_is_lost_when_days_grow_old(entries: list[tuple[int, tuple[int, int]]]) -> None:
    book: Book = {}
    for day, counts in entries:
        before = copied(book)
        enter(book, day, counts)
        assert sum(total(book, 2)) == sum(total(before, 2)) + sum(counts)
    assert len([day for day in book if day != EARLIER]) <= KEPT


@given(ENTRIES, st.randoms())
def test_the_order_of_messages_within_the_days_kept_changes_nothing(
    entries: list[tuple[int, tuple[int, int]]], chance: object
) -> None:
    entries = [(day % KEPT, counts) for day, counts in entries]
    one: Book = {}
    other: Book = {}
    for day, counts in entries:
        enter(one, day, counts)
    chance.shuffle(entries)  # type: ignore[attr-defined]
    for day, counts in entries:
        enter(other, day, counts)
    assert one == other


TODAY = 20_000


def test_what_agrees_leaves_nothing_unexplained() -> None:
    ledger = [Missing("space", TODAY, TODAY, 7)]
    refusals = [Missing("unknown_unit", TODAY, TODAY, 2), Missing("malformed")]
    found = one({TODAY: [130, 20, 10, 100, 4]}, {TODAY: [90, 3, 4, 0]}, ledger, refusals=refusals)
    assert (found.logged, found.accepted, found.refused, found.evicted) == (100, 90, 3, 7)
    assert (found.causes, found.reasons) == ({"space": 7}, {"unknown_unit": 2})
    assert (found.under_way, found.unexplained) == (0, 0)


def test_what_is_still_to_come_explains_what_is_missing_and_no_more() -> None:
    theirs = {TODAY: [100, 0, 0, 100, 4]}
    assert one(theirs, {TODAY: [60, 0, 2, 0]}, waiting=2).under_way == 40
    assert one(theirs, {TODAY: [60, 0, 2, 0]}).unexplained == 40
    doubled = one(theirs, {TODAY: [130, 0, 4, 0]}, waiting=2)
    assert (doubled.under_way, doubled.unexplained) == (0, -30)


def test_what_cannot_be_counted_takes_what_is_missing() -> None:
    theirs = {TODAY: [100, 0, 0, 100, 4]}
    unreadable = one(theirs, {TODAY: [60, 0, 4, 1]})
    assert (unreadable.refused, unreadable.unexplained) == (40, 0)
    damaged = one(theirs, {TODAY: [60, 0, 3, 0]}, [Missing("corruption")])
    assert (damaged.causes, damaged.uncounted, damaged.unexplained) == ({"corruption": 40}, 40, 0)


def test_what_came_after_the_last_word_is_not_too_much() -> None:
    found = one({TODAY: [9, 0, 0, 9, 1]}, {TODAY: [12, 0, 2, 0]}, behind=True)
    assert (found.later, found.unexplained) == (3, 0)


def test_a_line_over_several_days_is_told_on_each_of_them() -> None:
    theirs = {TODAY + day: [50, 0, 0, 50, 5] for day in range(4)}
    ours = {TODAY: [50, 0, 5, 0], TODAY + 1: [20, 0, 2, 0], TODAY + 3: [40, 0, 4, 0]}
    *days, whole = hold(theirs, ours, [Missing("space", TODAY + 1, TODAY + 3, 90)], 0)
    assert [(day.day, day.evicted, day.unexplained) for day in days] == [
        (TODAY + 3, 10, 0),
        (TODAY + 2, 50, 0),
        (TODAY + 1, 30, 0),
        (TODAY, 0, 0),
    ]
    assert (whole.evicted, whole.unexplained) == (90, 0)


def test_a_line_that_says_more_than_is_missing_is_not_believed_in_silence() -> None:
    theirs = {TODAY: [50, 0, 0, 50, 5], TODAY + 1: [50, 0, 0, 50, 5]}
    ours = {TODAY: [50, 0, 5, 0], TODAY + 1: [45, 0, 4, 0]}
    for line in (Missing("space", TODAY, TODAY + 1, 8), Missing("space", readings=8)):
        assert hold(theirs, ours, [line], 0)[-1].unexplained == -3


def test_a_day_of_which_nothing_came_moves_no_other_days_readings() -> None:
    """The gateway gives up its oldest days sooner than the platform, which never saw the day that was evicted."""
    theirs: Book = {}
    ours: Book = {}
    for day in range(1, KEPT + 2):
        enter(theirs, day, (10, 0, 0, 10, 1))
        if day != 5:
            enter(ours, day, (10, 0, 1, 0))
    assert EARLIER in theirs
    assert EARLIER not in ours
    found = hold(theirs, ours, [Missing("space", 5, 5, 10)], 0)
    assert [line.day for line in found if line.unexplained] == []
    assert [line.day for line in found if line.evicted] == [5, None]


def one(
    theirs: Book,
    ours: Book,
    ledger: Iterable[Missing] = (),
    waiting: int = 0,
    refusals: Iterable[Missing] = (),
    *,
    behind: bool = False,
) -> Balance:
    """Return the line of the only day; the sum must say the same."""
    day, whole = hold(theirs, ours, ledger, waiting, refusals=refusals, behind=behind)
    for name in ("logged", "accepted", "refused", "evicted", "causes", "under_way", "later", "unexplained"):
        assert getattr(day, name) == getattr(whole, name)
    return day


FATES = st.sampled_from(["accepted", "refused", "space", "corruption", "waiting"])
MESSAGES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9), FATES), max_size=60)


@given(MESSAGES, st.booleans())
def test_every_reading_has_a_fate_and_none_is_left_over(messages: list[tuple[int, int, str]], joined: bool) -> None:
    theirs: Book = {}
    ours: Book = {}
    ledger: list[Missing] = []
    for day, readings, fate in messages:
        enter(theirs, day, (readings, 0, 0, readings, 1))
        if fate in {"accepted", "refused"}:
            enter(ours, day, (readings * (fate == "accepted"), readings * (fate == "refused"), 1, 0))
        elif fate != "waiting":
            ledger.append(Missing(fate, day, day, readings))
    if joined and (space := [line for line in ledger if line.cause == "space"]):
        days = [line.first or 0 for line in space]
        whole = Missing("space", min(days), max(days), sum(line.readings or 0 for line in space))
        ledger = [whole, *[line for line in ledger if line.cause != "space"]]
    waiting = sum(fate == "waiting" for *_, fate in messages)
    *_, found = hold(theirs, ours, ledger, waiting)

    def of(fate: str) -> int:
        return sum(readings for _, readings, its in messages if its == fate)

    assert (found.logged, found.accepted, found.refused) == (
        sum(readings for _, readings, _ in messages),
        of("accepted"),
        of("refused"),
    )
    if not joined:
        assert found.causes == {fate: of(fate) for fate in ("space", "corruption") if of(fate)}
        assert found.under_way == of("waiting")
    assert found.unexplained == 0


@given(MESSAGES.filter(bool), st.integers(1, 5))
def test_one_reading_too_few_or_too_many_is_never_explained_away(
    messages: list[tuple[int, int, str]], wrong: int
) -> None:
    theirs: Book = {}
    ours: Book = {}
    for day, readings, _ in messages:
        enter(theirs, day, (readings, 0, 0, readings, 1))
        enter(ours, day, (readings, 0, 1, 0))
    for error in (wrong, -wrong):
        ours[max(ours)][0] -= error
        assert hold(theirs, ours, [], 0)[-1].unexplained == error
        ours[max(ours)][0] += error


def test_the_newest_day_comes_first_and_the_earlier_ones_last() -> None:
    assert days_in([3, EARLIER], [5], []) == [5, 3, EARLIER]
