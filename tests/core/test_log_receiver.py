import pytest

from linli_core.errors import LogError
from linli_core.log import LateArrival, LossEntry, Offer, Receiver, ReceiverLimits
from linli_core.log.receiver import MAX_SEQ
from linli_core.wire.messages import Ack, Carried, Evicted, Status

NOW = 1_700_000_000_000_000


def status(epoch: str = "a", next_seq: int = 1, **more: object) -> Status:
    return Status("gw", "online", epoch, 1, next_seq, **more)  # type: ignore[arg-type]


def receiver(next_seq: int = 1, limits: ReceiverLimits | None = None) -> Receiver:
    one = Receiver(limits)
    assert one.status(status(next_seq=next_seq), NOW) == []
    return one


def store(one: Receiver, *seqs: int, epoch: str = "a") -> list[LateArrival]:
    assert [one.offer(epoch, seq) for seq in seqs] == [Offer.NEW] * len(seqs)
    return one.committed(epoch, seqs)


def test_only_what_is_committed_is_acknowledged() -> None:
    one = receiver()
    assert one.offer("a", 1) is Offer.NEW
    assert one.ack() == Ack("a", 0)
    one.committed("a", [1])
    assert one.ack() == Ack("a", 1)


def test_a_message_on_its_way_into_the_store_is_a_duplicate_until_rolled_back() -> None:
    one = receiver()
    assert one.offer("a", 1) is Offer.NEW
    assert one.offer("a", 1) is Offer.DUPLICATE
    one.rolled_back("a", [1])
    assert one.offer("a", 1) is Offer.NEW


def test_live_messages_above_a_backlog_are_ranges() -> None:
    one = receiver()
    store(one, 1, 2, 50, 51, 60)
    assert one.ack() == Ack("a", 2, ((50, 51), (60, 60)))


def test_an_ack_lists_the_oldest_ranges_and_the_newest() -> None:
    one = receiver(limits=ReceiverLimits(ack_ranges=3))
    store(one, 2, 4, 6, 8, 10)
    assert one.ack() == Ack("a", 0, ((2, 2), (4, 4), (10, 10)))


def test_a_log_that_no_status_announced_is_refused() -> None:
    assert Receiver().offer("a", 1) is Offer.REFUSED
    assert receiver().offer("b", 1) is Offer.REFUSED


@pytest.mark.parametrize("seq", [0, -1, MAX_SEQ, MAX_SEQ + 1, 2**63])
def test_an_absurd_number_is_refused(seq: int) -> None:
    one = receiver()
    assert one.offer("a", seq) is Offer.REFUSED
    assert len(one.snapshot()) < 200


def test_a_message_that_would_make_one_range_too_many_waits_for_the_holes() -> None:
    one = receiver(limits=ReceiverLimits(ranges=3))
    store(one, 2, 4, 6)
    assert one.offer("a", 8) is Offer.REFUSED
    store(one, 3, 5)
    assert one.offer("a", 8) is Offer.NEW


def test_the_epochs_a_gateway_can_make_up_are_bounded() -> None:
    one = receiver(limits=ReceiverLimits(epochs=5))
    for number in range(1000):
        one.status(status(f"made-up-{number}", 100, boot_id=f"boot-{number}"), NOW)
    assert len(one.snapshot()) < 3000


def test_an_eviction_is_booked_once_and_only_where_nothing_arrived() -> None:
    one = receiver(next_seq=10)
    store(one, 3)
    evicted = Evicted(2, 4, "space", observed_from=5, observed_to=6, readings=30)
    entries = one.status(status(next_seq=10, evicted=(evicted,)), NOW)
    assert entries == [
        LossEntry("a", 2, 2, "space", NOW, 5, 6),
        LossEntry("a", 4, 4, "space", NOW, 5, 6),
    ]
    assert one.status(status(next_seq=10, evicted=(evicted,)), NOW + 1) == []
    store(one, 1)
    assert one.ack() == Ack("a", 4)


def test_what_the_ledger_does_not_hold_yet_is_not_acknowledged() -> None:
    one = receiver(next_seq=10)
    store(one, 1, 3)
    entries = one.status(status(next_seq=10, evicted=(Evicted(2, 5, "space"),)), NOW)
    lines = [(entry.epoch, entry.first, entry.last) for entry in entries]
    assert lines == [("a", 2, 2), ("a", 4, 5)]
    assert one.ack(lines) == Ack("a", 1, ((3, 3),))
    assert one.ack(lines[1:]) == Ack("a", 3)
    assert one.ack() == Ack("a", 5)
    # A log that carries it on bears the lines under the name they have.
    one.status(status("b", 10, carried=(Carried("a", 9),)), NOW)
    assert one.ack(lines) == Ack("b", 1, ((3, 3),))
    # What comes all the same is stored, whatever the ledger says.
    store(one, 4, epoch="b")
    assert one.ack(lines) == Ack("b", 1, ((3, 4),))


def test_an_eviction_of_a_whole_range_keeps_the_count_of_readings() -> None:
    one = receiver(next_seq=10)
    (entry,) = one.status(status(next_seq=10, evicted=(Evicted(2, 4, "space", readings=30),)), NOW)
    assert entry.readings == 30


def test_an_eviction_beyond_the_log_is_cut() -> None:
    one = receiver(next_seq=10)
    (entry,) = one.status(status(next_seq=10, evicted=(Evicted(-5, 2**62, "space"),)), NOW)
    assert (entry.first, entry.last) == (1, 9)


def test_a_late_arrival_is_stored_and_amends_the_ledger() -> None:
    one = receiver(next_seq=5)
    one.status(status(next_seq=5, evicted=(Evicted(1, 4, "space"),)), NOW)
    assert store(one, 2, 3) == [LateArrival("a", 2, 3)]
    assert one.offer("a", 2) is Offer.DUPLICATE


def test_a_new_log_that_carries_nothing_on_leaves_the_rest_of_the_old_one_lost() -> None:
    one = receiver(next_seq=6)
    store(one, 1, 3)
    assert one.status(status("b", 1), NOW) == [
        LossEntry("a", 2, 2, "log_replaced", NOW),
        LossEntry("a", 4, 5, "log_replaced", NOW),
    ]
    assert one.ack() == Ack("b", 0)
    assert one.offer("a", 4) is Offer.NEW
    assert one.committed("a", [4]) == [LateArrival("a", 4, 4)]


def test_a_log_carried_on_keeps_its_marks_and_loses_nothing() -> None:
    one = receiver(next_seq=6)
    store(one, 1, 3)
    assert one.status(status("b", 8, carried=(Carried("a", 5),)), NOW) == []
    assert one.ack() == Ack("b", 1, ((3, 3),))
    assert one.offer("b", 3) is Offer.DUPLICATE
    assert one.offer("a", 4) is Offer.NEW
    one.committed("a", [4])
    assert one.offer("b", 4) is Offer.DUPLICATE


def test_an_old_card_put_back_keeps_both_futures_apart() -> None:
    one = receiver(next_seq=10)
    store(one, *range(1, 10))
    # The card is put back as it was at 4; the start after that is epoch b, and numbers 5 … 7 anew.
    assert one.status(status("b", 8, carried=(Carried("a", 4),)), NOW) == []
    assert one.ack() == Ack("b", 4)
    store(one, 5, 6, 7, epoch="b")
    assert one.ack() == Ack("b", 7)


def test_late_statuses_change_nothing() -> None:
    one = Receiver()
    one.status(status("a", 5, boot_id="x", number=2), NOW)
    one.status(status("b", 5, boot_id="y", number=1, carried=(Carried("a", 4),)), NOW)
    assert one.status(status("a", 5, boot_id="x", number=1), NOW) == []
    assert one.status(status("b", 9, boot_id="y", number=1), NOW) == []
    assert (one.epoch, one.known) == ("b", 4)


def test_a_start_thought_over_that_goes_on_talking_is_believed() -> None:
    one = Receiver()
    one.status(status("b", 5, boot_id="y", number=1), NOW)
    assert one.status(status("a", 3, boot_id="x", number=9), NOW) == [LossEntry("b", 1, 4, "log_replaced", NOW)]
    assert one.status(status("b", 5, boot_id="y", number=2), NOW) == [LossEntry("a", 1, 2, "log_replaced", NOW)]
    assert one.ack() == Ack("b", 0, (), "y")
    assert store(one, 1, epoch="b") == [LateArrival("b", 1, 1)]


def test_a_snapshot_brings_everything_back_but_what_was_on_its_way() -> None:
    one = receiver(next_seq=9)
    store(one, 1, 5)
    one.status(status(next_seq=9, evicted=(Evicted(2, 3, "space"),)), NOW)
    assert one.offer("a", 4) is Offer.NEW
    again = Receiver.restore(one.snapshot())
    assert again.ack() == one.ack() == Ack("a", 3, ((5, 5),))
    assert again.offer("a", 4) is Offer.NEW
    with_it = Receiver.restore(one.snapshot({"a": [4]}))
    assert with_it.ack() == Ack("a", 5)
    assert one.ack() == Ack("a", 3, ((5, 5),))


@pytest.mark.parametrize("rubbish", [b"", b"{", b'{"current":1}', b"\xff", b"[]"])
def test_marks_that_cannot_be_read_say_so(rubbish: bytes) -> None:
    with pytest.raises(LogError, match="the stored marks cannot be read"):
        Receiver.restore(rubbish)


def test_a_ledger_in_another_database_is_brought_in_line() -> None:
    one = receiver(next_seq=9)
    store(one, 1, 2)
    assert one.reconcile([("a", 2, 4), ("gone", 1, 5)]) == [LateArrival("a", 2, 2)]
    # Said again by the gateway, it is accounted for and needs no second line.
    assert one.status(status(next_seq=9, evicted=(Evicted(3, 4, "space"),)), NOW) == []
    assert one.ack() == Ack("a", 4)


def test_what_is_missing_is_counted() -> None:
    one = receiver(next_seq=9)
    store(one, 1, 2, 7)
    assert one.missing() == 5
    assert Receiver().missing() == 0
