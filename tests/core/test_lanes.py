"""Messages that go ahead of their turn, and what the gaps they leave may cost: played against the platform's half."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import SECOND
from linli_core.log import LogState, Offer, Receiver, Sender, SenderSettings
from linli_core.log.receiver import ReceiverLimits
from linli_core.wire.messages import Ack, Status

ROUND: Final = SECOND // 10


class Play:
    """A gateway's log and the platform's marks of it, with a network between them that may lose."""

    def __init__(self, held: int, urgent: tuple[int, ...], settings: SenderSettings | None = None) -> None:
        self.sender = Sender(LogState("e", held + 1, urgent=urgent), settings)
        self.receiver = Receiver(ReceiverLimits())
        self.receiver.status(Status("gw", "online", "e", 1, held + 1, boot_id="b", number=1), 0)
        self.now = 0
        self.sent: list[int] = []
        self.sender.connected(self.now)
        self.answer()

    def answer(self, window: int | None = None) -> None:
        ack = self.receiver.ack()
        self.sender.ack(Ack(ack.epoch, ack.seq, ack.ranges, ack.boot_id, window=window), self.now)

    def offered(self) -> list[int]:
        found = []
        while (seq := self.sender.next_to_send(self.now)) is not None:
            found.append(seq)
        self.sent += found
        return found

    def store(self, seqs: list[int]) -> None:
        self.receiver.committed("e", [seq for seq in seqs if self.receiver.offer("e", seq) is Offer.NEW])

    def go_round(self, window: int | None = None, lost: frozenset[int] = frozenset()) -> list[int]:
        """Send, store, answer: a tenth of a second."""
        found = self.offered()
        self.store([seq for place, seq in enumerate(found) if place not in lost])
        self.answer(window)
        self.now += ROUND
        return found

    def drain(self, rounds: int, window: int | None = None) -> None:
        for _ in range(rounds):
            self.go_round(window)
            if not self.sender.backlog():
                return
        pytest.fail(f"{self.sender.backlog()} messages are left after {rounds} rounds")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("every", [2, 20, 400])
def test_urgent_messages_all_over_a_backlog_stop_nothing_and_are_sent_once(every: int, *, newest_first: bool) -> None:
    play = Play(20_000, tuple(range(10, 20_000, every)), SenderSettings(newest_first=newest_first))
    play.drain(100)
    assert len(play.sent) == 20_000


def test_urgent_messages_that_piled_up_on_a_standing_connection_stop_nothing() -> None:
    play = Play(0, ())
    play.sender.appended(1, 20_000, range(10, 20_000, 20))
    play.drain(100)
    assert len(play.sent) == 20_000


@pytest.mark.parametrize("standing", [False, True])
def test_an_alarm_raised_now_goes_before_all_that_piled_up(*, standing: bool) -> None:
    piled = tuple(range(10, 20_000, 20))
    play = Play(0 if standing else 20_000, () if standing else piled)
    if standing:
        play.sender.appended(1, 20_000, piled)
    for raised in range(20_001, 20_041):
        play.go_round()
        play.sender.appended(raised, raised, [raised])
        found = play.offered()
        assert raised in found[:40], "with those whose turn it is at that very moment"
        play.store(found)
        play.answer()
    play.drain(100)


def test_alarms_of_an_outage_keep_to_what_the_platform_wants_and_one_raised_now_does_not() -> None:
    play = Play(1_000, tuple(range(1, 1_000, 2)))
    play.answer(window=4)
    assert play.offered() == [1, 3, 5, 7]
    play.sender.appended(1_001, 1_003, [1_002])
    assert play.offered() == [1_002, 1_001, 1_003]


def test_while_the_store_refuses_an_alarm_of_an_outage_tries_all_the_same() -> None:
    play = Play(1_000, (500, 700))
    play.answer(window=0)
    assert play.offered() == [500]


@given(
    held=st.integers(0, 300),
    fresh=st.integers(0, 300),
    urgent=st.sets(st.integers(1, 600)),
    newest_first=st.booleans(),
    rounds=st.lists(st.tuples(st.sampled_from([None, 0, 1, 4]), st.frozensets(st.integers(0, 40))), max_size=30),
)
def test_whatever_is_lost_and_whatever_the_platform_wants_all_arrives_once_and_the_share_is_kept(
    held: int,
    fresh: int,
    urgent: set[int],
    newest_first: bool,
    rounds: list[tuple[int | None, frozenset[int]]],
) -> None:
    settings = SenderSettings(
        window=24, live_reserve=6, urgent_reserve=4, retry_after=ROUND, retry_limit=2 * ROUND, newest_first=newest_first
    )
    play = Play(held, tuple(seq for seq in sorted(urgent) if seq <= held), settings)
    if fresh:
        play.sender.appended(held + 1, held + fresh, [seq for seq in urgent if held < seq <= held + fresh])
    window = None
    for wanted, lost in rounds:
        under_way = play.go_round(wanted, lost)
        assert len(under_way) <= settings.window + settings.urgent_reserve
        if window is not None:
            assert sum(seq <= held for seq in under_way) <= max(1, window)
        window = wanted
    play.drain(600, window=4)
    assert not play.receiver.missing()
    assert play.sender.in_flight == 0
