"""What a gateway sends while the platform wants less, and in which order its backlog goes."""

from dataclasses import replace
from typing import Any

import pytest

from linli_core.errors import Refused
from linli_core.log import LogState, Sender, SenderSettings
from linli_core.wire.messages import Ack, decode_ack

SETTINGS = SenderSettings(
    window=6, live_reserve=2, urgent_reserve=1, backlog_every=3, retry_after=10, retry_limit=40, pressure_lasts=20
)


def sender(*, held: int, urgent: tuple[int, ...] = (), **changes: Any) -> Sender:
    made = Sender(LogState("e", held + 1, urgent=urgent), replace(SETTINGS, **changes))
    made.connected(0)
    made.ack(Ack("e", 0), 0)
    return made


def offered(made: Sender, now: int = 1) -> list[int]:
    found = []
    while (seq := made.next_to_send(now)) is not None:
        found.append(seq)
    return found


def test_a_platform_under_pressure_gets_as_much_of_the_backlog_as_it_wants() -> None:
    made = sender(held=20)
    made.ack(Ack("e", 0, window=2), 0)
    assert offered(made) == [1, 2]
    made.appended(21, 22)
    assert offered(made) == [21, 22], "what is new goes on"
    made.ack(Ack("e", 2, ((21, 22),), window=1), 5)
    assert offered(made, 6) == [3]
    made.ack(Ack("e", 3, ((21, 22),)), 7)
    assert offered(made, 7) == [4, 5, 6, 7]


def test_a_full_stop_holds_the_backlog_slows_what_is_new_and_lets_alarms_through() -> None:
    made = sender(held=5, live_reserve=2, window=6)
    made.ack(Ack("e", 0, window=0), 0)
    assert offered(made) == []
    made.appended(6, 10, [10])
    assert offered(made) == [10, 6], "two at a time instead of six"


def test_a_platform_that_fell_silent_stops_nobody_for_good() -> None:
    made = sender(held=3)
    made.ack(Ack("e", 0, window=0), 100)
    assert offered(made, 101) == []
    assert made.next_retry() == 120
    assert offered(made, 120) == [1, 2, 3]
    assert made.pressure is None


def test_of_the_backlog_the_newest_may_go_first_but_not_of_alarms() -> None:
    made = sender(held=6, urgent=(2, 4), newest_first=True, window=9, live_reserve=0)
    made.appended(7, 7)
    assert offered(made) == [2, 4, 7, 6, 5, 3, 1]


def test_a_window_is_an_addition_that_older_gateways_do_not_know() -> None:
    assert decode_ack(b'{"epoch":"e","seq":3,"window":0}').window == 0
    assert decode_ack(b'{"epoch":"e","seq":3}').window is None
    with pytest.raises(Refused):
        decode_ack(b'{"epoch":"e","seq":3,"window":"much"}')
