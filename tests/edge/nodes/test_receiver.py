"""What nodes send is taken once and in order, whatever the way between does to it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import Refused
from linli_core.instant import SECOND
from linli_core.model import Quality, Reason
from linli_edge.nodes.receiver import (
    MOST_EPOCHS,
    NOT_YET,
    Call,
    NodeMark,
    Receiver,
    Taken,
    Verdict,
    WrongBoard,
    label,
    labels,
)

EPOCH = "0123abcd"


def pack(seq: int, since: int | None = None, *, board: str = "b0b0", epoch: str = EPOCH, body: str = "") -> bytes:
    place = f'"epoch":"{epoch}","seq":{seq},"since":{seq if since is None else since},"board":"{board}",'
    body = body or f'"n":"pulse_count","u":"count","v":{seq}'
    return f'[{{{place}"bver":26,"bn":"door-1/","bt":1760000000,{body}}}]'.encode()


def receiver(board: str = "b0b0", **nodes: NodeMark) -> Receiver:
    return Receiver({"door-1": board}, {name.replace("_", "-"): mark for name, mark in nodes.items()})


def test_a_pack_becomes_readings_under_the_nodes_name() -> None:
    temperature_, leak_ = (
        '"n":"temperature.c2","u":"Cel","v":21.43,"t":0.25',
        '"n":"water_leak","q":"bad/device_failure"',
    )
    body = f'{temperature_}}},{{{leak_}}},{{"n":"door_open","vb":true'
    taken = receiver().pack("door-1", pack(1, body=body))
    assert taken.verdict is Verdict.TAKE
    assert taken.refused == []
    temperature, leak, door = taken.readings
    assert (temperature.point.name, str(temperature.value)) == ("door-1/temperature.c2", "21.43")
    assert temperature.observed_at == 1_760_000_000 * SECOND + SECOND // 4
    assert (leak.value, leak.quality, leak.reason) == (None, Quality.BAD, Reason.DEVICE_FAILURE)
    assert door.value is True


def test_a_pack_that_came_is_known_and_one_that_misses_what_was_before_it_is_early() -> None:
    state = receiver()
    assert state.pack("door-1", pack(3, since=2)).verdict is Verdict.EARLY
    first = state.pack("door-1", pack(3, since=1))
    assert (first.verdict, first.missing) == (Verdict.TAKE, None)  # nobody knows what a log held that is new to us
    state.took("door-1", first)
    assert state.pack("door-1", pack(3)).verdict is Verdict.KNOWN
    assert state.pack("door-1", pack(5, since=4)).missing == (4, 4)
    assert state.pack("door-1", pack(6, since=6)).verdict is Verdict.EARLY
    assert state.mark("door-1", EPOCH) == 3


def test_another_board_with_the_name_is_told_apart() -> None:
    state = receiver(board="")
    state.pack("door-1", pack(1))
    with pytest.raises(WrongBoard, match="board c0c0 calls itself door-1, which is board b0b0"):
        state.pack("door-1", pack(1, board="c0c0", epoch="ffffffff"))
    with pytest.raises(WrongBoard):
        state.status("door-1", b'{"state":"online","board":"c0c0","epoch":"ffffffff"}')
    # The configuration says that the board was changed: what was bound before does not count.
    assert receiver("c0c0", door_1=NodeMark("b0b0", {EPOCH: 9})).pack("door-1", pack(1, board="c0c0", epoch="00000001"))


REFUSED = {
    b"": "empty",
    b"[": "no JSON",
    b'[{"bn":"door-1/","n":"motion","vb":true}]': "without its place",
    pack(1, epoch="xyz"): "without its place",
    pack(2, since=3): "does not say what stands before",
    pack(2, since=0): "does not say what stands before",
    pack(1, board=""): "which board",
    pack(1).replace(b"door-1/", b"door-2/"): "under the name",
}


@pytest.mark.parametrize(("payload", "told"), REFUSED.items(), ids=list(REFUSED.values()))
def test_what_is_no_pack_is_refused(payload: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        receiver().pack("door-1", payload)


def test_a_node_that_nobody_listed_is_refused() -> None:
    with pytest.raises(Refused, match="no node is called 'door-9'"):
        receiver().pack("door-9", pack(1))
    with pytest.raises(Refused, match="status of door-1"):
        receiver().status("door-1", b"{}")


def test_one_record_that_is_wrong_costs_itself_only() -> None:
    body = (
        '"n":"no_such_thing","v":1},{"n":"../x","v":1},{"n":"motion","vb":true},{"bn":"door-2/","n":"motion","vb":true'
    )
    taken = receiver().pack("door-1", pack(1, body=body))
    assert [reading.point.name for reading in taken.readings] == ["door-1/motion"]
    assert len(taken.refused) == 3


def test_few_logs_of_one_node_are_remembered() -> None:
    state = receiver()
    for number in range(10):
        state.took("door-1", Taken(Verdict.TAKE, f"{number:08x}", 5))
    assert list(state.nodes["door-1"].marks) == [f"{number:08x}" for number in range(10 - MOST_EPOCHS, 10)]


def called(seq: int, call: int, since: int = 0) -> bytes:
    return pack(seq, since or None).replace(b'"board"', b'"call":%d,"board"' % call, 1)


def take(state: Receiver, payload: bytes) -> None:
    state.took("door-1", state.pack("door-1", payload))


def test_a_call_is_heard_by_whoever_knew_of_it_and_a_later_one_is_another() -> None:
    state, at = receiver(), 1_760_000_000 * SECOND
    assert state.hear("door-1") is None
    take(state, called(1, 1))
    assert state.nodes["door-1"].call == Call(EPOCH, 1, at)
    assert state.hear("door-1", at - 1) is None
    take(state, called(2, 1))  # the same, said again
    assert not state.calling("door-1", EPOCH, 1)
    assert state.hear("door-1", at) == Call(EPOCH, 1, at, heard=True)
    assert state.calling("door-1", EPOCH, 1)
    take(state, pack(3))
    # A second call: nobody has heard it, and who heard the first says nothing of it.
    take(state, called(4, 4))
    assert not state.calling("door-1", EPOCH, 4)
    assert state.hear("door-1", at - 1) is None
    assert state.hear("door-1") == Call(EPOCH, 4, at, heard=True)


def test_a_call_that_a_node_only_says_it_makes_is_heard_by_nobody_who_is_far_off() -> None:
    state = receiver()
    take(state, called(1, 1))
    assert state.hear("door-1") is not None
    assert not state.calling("door-1", EPOCH, 9)
    assert state.hear("door-1", 1_760_000_000 * SECOND) is None
    assert state.hear("door-1") == Call(EPOCH, 9, NOT_YET, heard=True)
    # Its first record never comes: the log was full. Whoever sees the later ones has heard it.
    state = receiver()
    take(state, called(12, 9, since=1))
    assert state.hear("door-1", 5) == Call(EPOCH, 9, 0, heard=True)


def test_a_board_whose_flash_was_wiped_begins_its_calls_anew() -> None:
    state = receiver()
    take(state, called(1, 1))
    assert state.hear("door-1") is not None
    assert not state.calling("door-1", "ffffffff", 1)


@pytest.mark.parametrize("call", [b"-1", b"2", b'"1"', b"true", b"1.5"])
def test_a_call_that_cannot_be_is_refused(call: bytes) -> None:
    with pytest.raises(Refused, match="a call that has not begun"):
        receiver().pack("door-1", called(1, 1).replace(b'"call":1', b'"call":' + call))


def test_a_label_is_found_again_and_nothing_else_is_one() -> None:
    body = b"[{" + label("door-1", EPOCH, 77) + b'"bver":26}]'
    assert list(labels(iter([body, b"[{}]", b""]))) == [("door-1", EPOCH, 77)]


class Way:
    """A node's log, the way to the gateway, and the gateway's log; every step may go wrong."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.records: dict[int, bytes] = {}
        self.next_seq, self.acked, self.sent = 1, 0, 0
        self.logged: list[int] = []
        self.receiver = receiver()
        self.under_way: list[bytes] = []

    def append(self) -> None:
        seq = self.next_seq + (self.dice.random() < 0.1)  # a number that a power cut has cost
        before = max(self.records, default=0)
        self.records[seq] = pack(seq, since=before + 1)
        self.next_seq = seq + 1

    def send(self) -> None:
        fresh = [seq for seq in sorted(self.records) if seq > self.sent]
        for seq in fresh[:8]:
            self.under_way.append(self.records[seq])
            self.sent = seq

    def arrive(self) -> None:
        if not self.under_way:
            return
        place = 0 if self.dice.random() < 0.7 else self.dice.randrange(len(self.under_way))
        payload = self.under_way[place]
        if self.dice.random() < 0.8:
            del self.under_way[place]
        if self.dice.random() < 0.2:
            return  # lost
        taken = self.receiver.pack("door-1", payload)
        if taken.verdict is Verdict.TAKE:
            self.logged.append(taken.seq)
            if self.dice.random() < 0.1:
                # The gateway dies between its log and its mark: the label in the log tells.
                self.receiver = receiver(door_1=NodeMark("b0b0", {EPOCH: max(self.logged)}))
                return
            self.receiver.took("door-1", taken)
        if self.dice.random() < 0.8:
            self.acked = self.receiver.mark("door-1", EPOCH)

    def again(self) -> None:
        self.sent = self.acked


@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(["append", "send", "arrive", "arrive", "again"])))
def test_every_record_is_taken_once_and_in_order(seed: int, steps: list[str]) -> None:
    way = Way(seed)
    for step in steps:
        getattr(way, step)()
        assert way.logged == sorted(set(way.logged))
        # Nothing is acknowledged that is not in the log.
        assert set(way.logged) >= {seq for seq in way.records if seq <= way.acked}
    for _ in range(300):
        way.again()
        way.send()
        for _ in range(20):
            way.arrive()
        if way.acked == max(way.records, default=0):
            break
    assert way.logged == sorted(way.records)
