"""What people were told held against what was found: case by case."""

import pytest
from tests.core.alarm_story import DISPROVE, RAISE, RETURN

from linli_core.alarm.memory import Span
from linli_core.alarm.reconciling import Move, reconcile

Times = tuple[int, int | None]


def spans(those: list[Times]) -> list[Span]:
    return [Span(begun, over, float(begun)) for begun, over in those]


def times(those: list[Span]) -> list[Times]:
    return [(it.begun, it.over) for it in those]


SINCE = 100
CASES: dict[str, tuple[list[Times], list[Times], list[Move], list[Times]]] = {
    # What was found, what was told, what is told now, what people know then.
    "nothing": ([], [], [], []),
    "one that is over": ([(110, 120)], [], [(RAISE, 110, 110.0), (RETURN, 120, None)], [(110, 120)]),
    "one that stands": ([(110, None)], [], [(RAISE, 110, 110.0)], [(110, None)]),
    "two, and the last stands": (
        [(110, 120), (130, None)],
        [],
        [(RAISE, 110, 110.0), (RETURN, 120, None), (RAISE, 130, 130.0)],
        [(110, 120), (130, None)],
    ),
    "one that is known": ([(110, 120)], [(110, 120)], [], [(110, 120)]),
    "one that is known and stands": ([(110, None)], [(110, None)], [], [(110, None)]),
    "one that began earlier": ([(105, 120)], [(110, 120)], [], [(105, 120)]),
    "one that began later": ([(115, 120)], [(110, 120)], [], [(115, 120)]),
    "one that began before all that was judged": ([(100, 120)], [(90, 120)], [], [(90, 120)]),
    "one that ended later": ([(110, 125)], [(110, 120)], [], [(110, 125)]),
    "one that is over after all": ([(110, 120)], [(110, None)], [(RETURN, 120, None)], [(110, 120)]),
    "one that is not over": (
        [(110, None)],
        [(110, 120)],
        [(RAISE, 120, 110.0)],
        [(110, 120), (120, None)],
    ),
    "one that was none": ([], [(110, 120)], [(DISPROVE, 110, None)], []),
    "one that was none and stands": ([], [(110, None)], [(DISPROVE, 110, None), (RETURN, 110, None)], []),
    "one that was over just after judging begins": ([], [(90, 101)], [(DISPROVE, 90, None)], []),
    "one that was over just when judging begins": ([], [(90, 100)], [], [(90, 100)]),
    "one that was over before": ([], [(90, 99)], [], [(90, 99)]),
    "another before it": (
        [(110, 120), (130, 140)],
        [(130, 140)],
        [(RAISE, 110, 110.0), (RETURN, 120, None)],
        [(110, 120), (130, 140)],
    ),
    "another that it only touches": (
        [(110, 120), (120, 130)],
        [(120, 130)],
        [(RAISE, 110, 110.0), (RETURN, 120, None)],
        [(110, 120), (120, 130)],
    ),
    "one that was over at once, where another begins": ([(120, 120)], [(120, 130)], [], [(120, 120)]),
    "one that was over at once, where another ends": ([(110, 120)], [(120, 120)], [], [(110, 120)]),
    "one instead of another": (
        [(130, 140)],
        [(110, 120)],
        [(DISPROVE, 110, None), (RAISE, 130, 130.0), (RETURN, 140, None)],
        [(130, 140)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_told(name: str) -> None:
    found, told, moves, known = CASES[name]
    made = reconcile(spans(found), spans(told), [], SINCE)
    assert (made.moves, times(made.told), made.untold) == (moves, known, [])
    # Whoever was told is not told again.
    assert reconcile(spans(found), made.told, made.untold, SINCE).moves == []


def test_an_end_lies_not_before_what_people_were_told() -> None:
    told = [Span(110, None, 9.0, said=130)]
    made = reconcile(spans([(110, 120)]), told, [], SINCE)
    assert made.moves == [(RETURN, 130, None)]
    assert reconcile([], told, [], SINCE).moves == [(DISPROVE, 130, None), (RETURN, 130, None)]


def test_what_people_were_told_keeps_its_value_and_when_they_were() -> None:
    (known,) = reconcile(spans([(105, 120)]), [Span(110, None, 9.0)], [], SINCE).told
    assert (known.begun, known.value, known.said_at) == (105, 9.0, 110)


def test_while_one_stands_another_of_the_past_waits_until_it_is_over() -> None:
    found, told = spans([(110, 120), (150, None)]), spans([(150, None)])
    made = reconcile(found, told, spans([(80, 90)]), SINCE)
    assert (made.moves, times(made.told)) == ([], [(150, None)])
    assert times(made.untold) == [(80, 90), (110, 120)]
    # What waits is found anew, or it is none; what is older than all that was judged stays.
    again = reconcile(found[1:], made.told, made.untold, SINCE)
    assert times(again.untold) == [(80, 90)]
    over = reconcile((), spans([(150, 160)]), made.untold, 161)
    assert over.moves == [(RAISE, 80, 80.0), (RETURN, 90, None), (RAISE, 110, 110.0), (RETURN, 120, None)]
    assert times(over.told) == [(80, 90), (110, 120), (150, 160)]
    assert over.untold == []


def test_what_was_not_over_when_judging_begins_does_not_wait() -> None:
    """It is found anew."""
    made = reconcile(spans([(150, None)]), spans([(150, None)]), spans([(80, 100), (90, 101)]), SINCE)
    assert times(made.untold) == [(80, 100)]


def test_so_many_are_remembered_and_what_is_older_is_no_news() -> None:
    many: list[Times] = [(at, at + 5) for at in range(200, 600, 10)]
    made = reconcile(spans(many), [], [], SINCE)
    assert times(made.told) == many[-32:]
    first = many[-32][0]
    assert reconcile(spans([(first - 9, first - 1), *many[-32:]]), made.told, [], SINCE).moves == []
    news = reconcile(spans([(first - 9, first), *many[-32:]]), made.told, [], SINCE)
    assert news.moves == [(RAISE, first - 9, first - 9.0), (RETURN, first, None)]
    assert reconcile(spans([(110, 120), *many[-31:]]), made.told[1:], [], SINCE).moves != []


def test_so_many_wait_and_no_more() -> None:
    many: list[Times] = [(at, at + 5) for at in range(200, 400, 10)]
    made = reconcile(spans([*many, (500, None)]), spans([(500, None)]), [], SINCE)
    assert times(made.untold) == many[-8:]
