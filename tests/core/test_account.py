"""Books of readings: days that give way to earlier ones, and two books held against each other."""

from hypothesis import given
from hypothesis import strategies as st

from linli_core.log.account import EARLIER, KEPT, Book, balance, copied, days_in, enter, total

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


def test_what_agrees_leaves_nothing_unexplained() -> None:
    found = balance(7, (130, 20, 10, 100, 4), (90, 3, 4, 0), 7, 0)
    assert (found.logged, found.accepted, found.refused, found.evicted) == (100, 90, 3, 7)
    assert (found.under_way, found.unexplained) == (0, 0)


def test_what_is_still_to_come_explains_what_is_missing_and_no_more() -> None:
    assert balance(7, (100, 0, 0, 100, 4), (60, 0, 2, 0), 0, 2).under_way == 40
    assert balance(7, (100, 0, 0, 100, 4), (60, 0, 2, 0), 0, 0).unexplained == 40
    doubled = balance(7, (100, 0, 0, 100, 4), (130, 0, 4, 0), 0, 2)
    assert (doubled.under_way, doubled.unexplained) == (0, -30)


def test_what_cannot_be_counted_takes_what_is_missing() -> None:
    unreadable = balance(7, (100, 0, 0, 100, 4), (60, 0, 4, 1), 0, 0)
    assert (unreadable.refused, unreadable.unexplained) == (40, 0)
    damaged = balance(7, (100, 0, 0, 100, 4), (60, 0, 3, 0), None, 0)
    assert (damaged.evicted, damaged.unexplained) == (40, 0)


def test_the_newest_day_comes_first_and_the_earlier_ones_last() -> None:
    assert days_in([3, EARLIER], [5], []) == [5, 3, EARLIER]
