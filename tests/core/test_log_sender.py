from linli_core.instant import SECOND
from linli_core.log import AckOutcome, LogState, LossEntry, Receiver, Sender, SenderSettings
from linli_core.log.sender import DECLARED
from linli_core.wire.messages import Ack, Evicted, Status

SETTINGS = SenderSettings(
    window=8, live_reserve=2, urgent_reserve=1, backlog_every=3, retry_after=10 * SECOND, retry_limit=40 * SECOND
)


def connected(count: int = 0, acked: int = 0, settings: SenderSettings = SETTINGS, **more: object) -> Sender:
    sender = Sender(LogState("a", count + 1, **more), settings)  # type: ignore[arg-type]
    sender.connected(0)
    sender.ack(Ack("a", acked), 0)
    return sender


def drain(sender: Sender, now: int = 0) -> list[int]:
    return [seq for seq in iter(lambda: sender.next_to_send(now), None) if seq is not None]


def test_nothing_is_sent_before_the_platform_has_acknowledged_the_epoch() -> None:
    sender = Sender(LogState("a", 3))
    assert sender.next_to_send(0) is None
    sender.connected(0)
    assert sender.next_to_send(0) is None
    assert sender.ack(Ack("b", 0), 0) is AckOutcome.FOREIGN
    assert sender.next_to_send(0) is None
    assert sender.foreign_acks == 1
    sender.ack(Ack("a", 1), 0)
    assert drain(sender) == [2]


def test_the_window_bounds_what_is_in_flight_and_only_an_ack_empties_it() -> None:
    sender = connected(count=100)
    assert drain(sender) == [1, 2, 3, 4, 5, 6]
    assert sender.in_flight == 6
    assert sender.ack(Ack("a", 2), 0) is AckOutcome.PROGRESS
    assert drain(sender) == [7, 8]


def test_urgent_goes_first_then_live_and_the_backlog_has_its_share() -> None:
    sender = connected(count=100)
    sender.appended(101, 110, urgent=[108])
    assert drain(sender) == [108, 101, 102, 1, 103, 104, 2, 105]


def test_live_goes_first_after_an_outage_however_much_was_sent_before() -> None:
    sender = connected()
    for seq in range(1, 10):
        sender.appended(seq, seq)
        assert drain(sender) == [seq]
        sender.ack(Ack("a", seq), 0)
    sender.disconnected()
    sender.appended(10, 20)
    sender.connected(0)
    sender.appended(21, 30)
    sender.ack(Ack("a", 9), 0)
    assert drain(sender)[:4] == [21, 22, 10, 23]


def test_an_urgent_message_finds_a_place_in_a_full_window() -> None:
    sender = connected(count=100)
    sender.appended(101, 120)
    assert len(drain(sender)) == 8
    sender.appended(121, 122, urgent=[121, 122])
    assert drain(sender) == [121]


def test_the_backlog_leaves_room_for_live_messages() -> None:
    sender = connected(count=100)
    drain(sender)
    sender.appended(101, 101)
    assert drain(sender) == [101]


def test_the_backlog_is_never_starved() -> None:
    sender = connected(count=100)
    sender.appended(101, 300)
    sent: list[int] = []
    for _ in range(20):
        batch = drain(sender)
        sent += batch
        acked = tuple((seq, seq) for seq in sorted(sent))
        sender.ack(Ack("a", 0, acked), 0)
    assert 0.3 < sum(seq <= 100 for seq in sent) / len(sent) < 0.4


def test_without_progress_messages_are_offered_again_ever_more_slowly() -> None:
    sender = connected(count=3)
    assert drain(sender) == [1, 2, 3]
    offers = []
    for second in range(200):
        again = drain(sender, second * SECOND)
        if again:
            assert again == [1, 2, 3]
            offers.append(second)
    assert offers == [10, 30, 70, 110, 150, 190]
    assert sender.offered_again == 18
    sender.ack(Ack("a", 1), 200 * SECOND)
    assert drain(sender, 200 * SECOND) == [2, 3]


def test_a_retry_is_announced() -> None:
    sender = connected(count=1)
    assert sender.next_retry() is None
    sender.next_to_send(5)
    assert sender.next_retry() == 5 + 10 * SECOND


def test_a_connection_resumes_after_the_ack() -> None:
    sender = connected(count=10)
    drain(sender)
    sender.disconnected()
    assert sender.in_flight == 0
    sender.connected(0)
    sender.ack(Ack("a", 4), 0)
    assert drain(sender) == [5, 6, 7, 8, 9, 10]


def test_an_older_ack_rewinds() -> None:
    sender = connected(count=10, acked=10)
    assert sender.backlog() == 0
    assert sender.ack(Ack("a", 7), 0) is AckOutcome.REWOUND
    assert drain(sender) == [8, 9, 10]


def test_a_rewind_beyond_the_disk_is_declared() -> None:
    sender = Sender(LogState("a", 11, gone=((1, 6),), acked=((1, 10),)), SETTINGS)
    sender.connected(0)
    assert sender.evicted() == ()
    assert sender.ack(Ack("a", 4), 0) is AckOutcome.REWOUND
    assert sender.evicted() == (Evicted(5, 6, "retention"),)
    assert sender.ack(Ack("a", 6), 0) is AckOutcome.PROGRESS
    assert sender.evicted() == ()


def test_an_eviction_is_said_until_acknowledged_and_never_offered() -> None:
    sender = connected(count=6)
    sender.evict(Evicted(1, 2, "space", observed_from=5, observed_to=6, readings=20))
    sender.evict(Evicted(3, 3, "space", observed_from=7, observed_to=9, readings=5))
    assert sender.evicted() == (Evicted(1, 3, "space", observed_from=5, observed_to=9, readings=25),)
    assert sender.first_seq == 4
    assert drain(sender) == [4, 5, 6]
    sender.ack(Ack("a", 2), 0)
    assert len(sender.evicted()) == 1
    sender.ack(Ack("a", 3), 0)
    assert sender.evicted() == ()


def test_what_goes_on_leaving_a_full_log_is_booked_with_its_own_readings_and_times() -> None:
    sender, platform, ledger = connected(count=DECLARED + 3), Receiver(), list[LossEntry]()
    for seq in range(1, DECLARED + 3):
        sender.evict(Evicted(seq, seq, "space", observed_from=seq, observed_to=seq, readings=100))
        status = Status("gw", "online", "a", 1, sender.next_seq, boot_id="x", number=seq, evicted=sender.evicted())
        ledger += platform.status(status, 0)
        sender.ack(platform.ack(), 0)
    assert [(one.first, one.last, one.observed_from, one.observed_to, one.readings) for one in ledger] == [
        (seq, seq, seq, seq, 100) for seq in range(1, DECLARED + 3)
    ]
    assert sender.ack(Ack("a", 0), 0) is AckOutcome.REWOUND  # a platform restored from a backup
    assert {one.cause for one in sender.evicted()} == {"retention", "space"}  # of the oldest the cause is forgotten


def test_neighbouring_evictions_of_different_causes_stay_apart() -> None:
    sender = connected(count=6)
    sender.evict(Evicted(3, 4, "corruption"))
    sender.evict(Evicted(1, 2, "space"))
    assert [(one.first, one.last) for one in sender.evicted()] == [(1, 2), (3, 4)]


def test_a_status_lists_a_bounded_number_of_evictions() -> None:
    sender = connected(count=1000)
    for seq in range(1, 1000, 2):
        sender.evict(Evicted(seq, seq, "space"))
    assert len(sender.evicted()) == SETTINGS.evicted_shown


def test_an_ack_beyond_the_log_counts_as_far_as_it_is_ours() -> None:
    sender = connected(count=3)
    assert sender.ack(Ack("a", 99, ((200, 300),)), 0) is AckOutcome.BEYOND
    assert sender.backlog() == 0
    sender.appended(4, 4)
    assert drain(sender) == [4]


def test_an_absurd_ack_does_no_harm() -> None:
    sender = connected(count=3)
    sender.ack(Ack("a", -5, ((9, 2), (-7, -3), (2, 2))), 0)
    assert drain(sender) == [1, 3]


def test_a_million_messages_cost_as_much_as_one() -> None:
    sender = connected(count=1_000_000)
    sender.ack(Ack("a", 10, ((500_000, 600_000),)), 0)
    assert sender.backlog() == 1_000_000 - 10 - 100_001
    assert sender._todo.range_count == 2
    assert sender._held.range_count == 1
