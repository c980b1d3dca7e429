"""What late readings tell of an earlier time, piece by piece."""

import pytest

from linli_core.alarm.memory import Piece, Side
from linli_core.alarm.past import FOREVER, UNKNOWN, Around, Silence, episodes, put, silence_around

BACK, BETWEEN, BEYOND = Side.BACK, Side.BETWEEN, Side.BEYOND
SILENCE = (0, 100)


@pytest.mark.parametrize(
    ("at", "around"),
    [
        (5, (UNKNOWN, 10)),
        (10, None),
        (11, (10, 20)),
        (19, (10, 20)),
        (20, None),
        (25, None),
        (30, None),
        (31, (30, 40)),
        (40, None),
        (50, None),
    ],
)
def test_in_which_silence_an_instant_lies(at: int, around: Silence | None) -> None:
    """The readings before and after a silence are none of it; what is older than all that are kept is not known."""
    assert silence_around([(10, 20), (30, 40)], at) == around


def test_without_a_silence_nothing_is_known() -> None:
    assert silence_around([], 5) == (UNKNOWN, FOREVER)


def pieces(*those: tuple[int, int, Side]) -> list[Piece]:
    return [Piece(first, last, side, float(last)) for first, last, side in those]


def told(found: list[Piece]) -> list[tuple[int, int, Side]]:
    return [(it.first, it.last, it.side) for it in found]


@pytest.mark.parametrize(
    ("known", "piece", "expected"),
    [
        # The first of all, and others of the other side.
        ([], (50, BEYOND), [(50, 50, BEYOND)]),
        ([(40, 40, BACK)], (50, BEYOND), [(40, 40, BACK), (50, 50, BEYOND)]),
        ([(60, 60, BACK)], (50, BEYOND), [(50, 50, BEYOND), (60, 60, BACK)]),
        # It goes on from the one before, or until the one after, or joins both.
        ([(40, 45, BEYOND)], (50, BEYOND), [(40, 50, BEYOND)]),
        ([(60, 70, BEYOND)], (50, BEYOND), [(50, 70, BEYOND)]),
        ([(40, 45, BEYOND), (60, 70, BEYOND)], (50, BEYOND), [(40, 70, BEYOND)]),
        ([(40, 45, BEYOND), (60, 70, BACK)], (50, BEYOND), [(40, 50, BEYOND), (60, 70, BACK)]),
        # It parts what seemed to be one.
        ([(40, 60, BEYOND)], (50, BACK), [(40, 49, BEYOND), (50, 50, BACK), (51, 60, BEYOND)]),
        ([(40, 60, BEYOND)], (50, BETWEEN), [(40, 49, BEYOND), (50, 50, BETWEEN), (51, 60, BEYOND)]),
        # What is said already is not said again.
        ([(40, 60, BEYOND)], (50, BEYOND), None),
        ([(40, 60, BEYOND)], (60, BEYOND), None),
        ([(40, 60, BEYOND)], (60, BACK), None),
        ([(40, 60, BEYOND)], (40, BACK), None),
        ([(50, 50, BEYOND)], (50, BEYOND), None),
        # What ended the silence, or came after it, is none of it.
        ([(40, 45, BEYOND), (100, 100, BEYOND)], (50, BEYOND), [(40, 50, BEYOND), (100, 100, BEYOND)]),
        ([(100, 100, BEYOND)], (50, BEYOND), [(50, 50, BEYOND), (100, 100, BEYOND)]),
        # Nor is what came before it.
        ([(0, 0, BEYOND)], (50, BEYOND), [(0, 0, BEYOND), (50, 50, BEYOND)]),
    ],
)
def test_where_a_late_reading_goes(
    known: list[tuple[int, int, Side]], piece: tuple[int, Side], expected: list[tuple[int, int, Side]] | None
) -> None:
    found = pieces(*known)
    at, side = piece
    assert put(found, Piece(at, at, side, float(at)), SILENCE) is (expected is not None)
    assert told(found) == (known if expected is None else expected)
    assert [it.value for it in found] == [float(it.last) if it.last != 49 else 60.0 for it in found]


def test_what_people_were_told_of_does_not_go_on() -> None:
    found = pieces((40, 45, BEYOND))
    assert put(found, Piece(50, 50, BEYOND, 50.0), SILENCE, told_upto=40)
    assert told(found) == [(40, 45, BEYOND), (50, 50, BEYOND)]


def test_where_nobody_knows_what_came_no_reading_lasts_until_another() -> None:
    found = pieces((60, 70, BEYOND))
    assert put(found, Piece(50, 50, BEYOND, 50.0), (UNKNOWN, 100))
    assert told(found) == [(50, 50, BEYOND), (60, 70, BEYOND)]


def test_of_a_long_run_the_oldest_pieces_go() -> None:
    found: list[Piece] = []
    for at in range(1, 100):
        assert put(found, Piece(at, at, BEYOND if at % 2 else BACK, float(at)), SILENCE)
    assert [it.first for it in found] == list(range(36, 100))


def spans(
    those: list[Piece], known: Around, on_delay: int, off_delay: int, *, is_over: bool
) -> list[tuple[int, int, int | None]]:
    return [(it.begun, it.raised_at, it.over_at) for it in episodes(those, known, on_delay, off_delay, is_over=is_over)]


def test_each_silence_is_told_of_by_itself() -> None:
    """What lies beyond at the end of one lasts until the reading that ended it, not into the next."""
    known = Around([(10, 20), (30, 40)])
    two = pieces((12, 13, BEYOND), (32, 33, BEYOND))
    assert spans(two, known, 5, 2, is_over=False) == [(12, 17, 22)]
    assert spans(two, known, 5, 2, is_over=True) == [(12, 17, 22), (32, 37, 42)]


def test_what_lay_beyond_after_a_silence_too_may_have_gone_on() -> None:
    known = Around([(10, 20)], [(20, 23)])
    assert spans(pieces((15, 15, BEYOND)), known, 8, 0, is_over=True) == [(15, 23, 23)]
    assert spans(pieces((15, 15, BEYOND)), known, 9, 0, is_over=True) == []
    assert spans(pieces((15, 15, BEYOND)), Around([(10, 20)], [(21, 23)]), 8, 0, is_over=True) == []


def test_without_a_delay_each_counts_by_itself_and_is_over_as_long_after_as_the_rule_says() -> None:
    two = pieces((10, 12, BEYOND), (20, 20, BETWEEN), (30, 30, BEYOND))
    assert spans(two, Around(), 0, 3, is_over=False) == [(10, 10, 23), (30, 30, None)]
    assert spans(two, Around(), 0, 3, is_over=True) == [(10, 10, 23), (30, 30, 33)]


@pytest.mark.parametrize(("back", "over"), [(24, None), (25, 25), (26, 25)])
def test_it_is_over_when_it_was_back_for_as_long_as_the_rule_says(back: int, over: int | None) -> None:
    those = pieces((10, 15, BEYOND), (20, back, BACK))
    assert spans(those, Around([(0, 100)]), 5, 5, is_over=False) == [(10, 15, over)]


def test_the_dead_band_puts_off_its_end() -> None:
    those = pieces((10, 15, BEYOND), (20, 21, BACK), (23, 23, BETWEEN), (24, 24, BACK))
    assert spans(those, Around([(0, 100)]), 5, 5, is_over=True) == [(10, 15, 29)]
