from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from linli_core.log.intervals import IntervalSet

Spans = list[tuple[bool, int, int]]

NUMBER = st.integers(1, 40)
SPANS = st.lists(st.tuples(st.booleans(), NUMBER, st.integers(0, 8)), max_size=25)


def build(spans: Spans) -> tuple[IntervalSet, set[int]]:
    marks = IntervalSet()
    plain: set[int] = set()
    for adding, first, length in spans:
        numbers = range(first, first + length + 1)
        if adding:
            marks.add(first, first + length)
            plain.update(numbers)
        else:
            marks.remove(first, first + length)
            plain.difference_update(numbers)
    return marks, plain


def members(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(SPANS)
def test_ranges_are_the_members_in_order_and_do_not_touch(spans: Spans) -> None:
    marks, plain = build(spans)
    ranges = marks.ranges()
    assert members(ranges) == plain
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
    assert marks.count() == len(plain)
    assert bool(marks) == bool(plain)
    assert (marks.first, marks.last) == (min(plain, default=None), max(plain, default=None))
    assert marks.range_count == len(ranges)


@given(SPANS, NUMBER, NUMBER)
def test_questions_agree_with_a_plain_set(spans: Spans, one: int, other: int) -> None:
    marks, plain = build(spans)
    first, last = min(one, other), max(one, other)
    span = set(range(first, last + 1))
    assert members(marks.within(first, last)) == plain & span
    assert members(marks.missing(first, last)) == span - plain
    assert (one in marks) == (one in plain)
    assert marks.next_from(one) == min((number for number in plain if number >= one), default=None)
    end = one - 1
    while end + 1 in plain:
        end += 1
    assert marks.run_end(one) == end
    start = one + 1
    while start - 1 in plain:
        start -= 1
    assert marks.run_start(one) == start
    assert marks.touches(one) == bool(plain & {one - 1, one, one + 1})


@given(SPANS, SPANS)
def test_union_and_difference_agree_with_plain_sets(left: Spans, right: Spans) -> None:
    one, plain_one = build(left)
    two, plain_two = build(right)
    assert members(one.union(two).ranges()) == plain_one | plain_two
    assert members(one.difference(two).ranges()) == plain_one - plain_two
    assert members(one.intersection(two).ranges()) == plain_one & plain_two
    assert (one == two) == (plain_one == plain_two)


@given(SPANS)
def test_a_copy_is_equal_and_independent(spans: Spans) -> None:
    marks, plain = build(spans)
    twin = marks.copy()
    twin.add(1000)
    assert members(marks.ranges()) == plain
    assert twin != marks


def test_an_empty_range_adds_and_removes_nothing() -> None:
    marks = IntervalSet([(5, 9)])
    marks.add(3, 2)
    marks.remove(8, 7)
    assert marks.ranges() == [(5, 9)]


def test_a_million_in_a_row_is_one_range() -> None:
    marks = IntervalSet()
    for number in range(1_000_000):
        marks.add(number)
    assert marks.ranges() == [(0, 999_999)]
