"""Sender and receiver against a network that drops, doubles and reorders, with crashes and evictions at every step.

Everything durable is a plain value that survives a crash; everything else is made anew. At the end the trouble stops,
and every message that was ever durable is stored exactly once or stands in the loss ledger. The same machine must fail
on planted bugs, or it would prove nothing.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from linli_core.log import AckOutcome, IntervalSet, LogState, Offer, Receiver, ReceiverLimits, Sender, SenderSettings
from linli_core.log.sender import declare
from linli_core.wire.messages import Ack, Carried, Evicted, Status

SETTINGS = SenderSettings(
    window=6,
    live_reserve=2,
    urgent_reserve=1,
    backlog_every=3,
    retry_after=10,
    retry_limit=40,
    pressure_lasts=20,
    gaps=2,
)
LIMITS = ReceiverLimits(ack_ranges=4, ranges=64)

Packet = tuple[str, int, int]
"""Epoch, seq, and the payload: a number that no two messages share."""


@dataclass
class Disk:
    """A gateway's card."""

    epoch: str
    messages: dict[int, int] = field(default_factory=dict)
    urgent: set[int] = field(default_factory=set)
    history: dict[int, int] = field(default_factory=dict)
    next_seq: int = 1
    began_at: int = 1
    acked: IntervalSet = field(default_factory=IntervalSet)
    evicted: list[Evicted] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)


class World:
    """Both ends and the network."""

    def __init__(self) -> None:
        self.now = 0
        self.names = 0
        self.payloads = 0
        self.up: list[Packet | Status] = []
        self.down: list[Ack] = []
        self.retained_ack: Ack | None = None
        self.retained_status: Status | None = None
        # The oracle: which (epoch, seq) a payload goes under, what vanished with a card, and what may be lost: evicted
        # before the platform had it, or let go since and then forgotten by a platform restored from its backup.
        self.aliases: dict[int, set[tuple[str, int]]] = {}
        self.destroyed: set[int] = set()
        self.excused: set[int] = set()
        # Platform, durable.
        self.stored: list[int] = []
        self.marks: bytes | None = None
        self.ledger: set[tuple[str, int]] = set()
        self.backup: tuple[list[int], bytes | None, set[tuple[str, int]]] | None = None
        self.batch: list[Packet] = []
        self.receiver = Receiver(LIMITS)
        self.pressure: int | None = None
        # Gateway.
        self.disk = Disk(self.name("epoch"))
        self.image: Disk | None = None
        self.connected = False
        self.start_gateway()

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    # Gateway

    def start_gateway(self) -> None:
        """Every start is a new epoch that carries on whatever is on the card."""
        self.unsynced: list[tuple[int, bool]] = []
        self.boot = self.name("boot")
        self.number = 0
        self.connected = False
        self.new_epoch()
        disk = self.disk
        gone = IntervalSet([(1, disk.next_seq - 1)])
        for seq in disk.messages:
            gone.remove(seq)
        self.sender = Sender(
            LogState(
                disk.epoch,
                disk.next_seq,
                tuple(gone.ranges()),
                tuple(disk.acked.ranges()),
                tuple(disk.evicted),
                tuple(sorted(disk.urgent)),
            ),
            SETTINGS,
        )

    def append(self, *, urgent: bool = False) -> None:
        self.payloads += 1
        self.unsynced.append((self.payloads, urgent))

    def sync(self) -> None:
        if not self.unsynced:
            return
        disk, first = self.disk, self.disk.next_seq
        urgent = []
        for payload, is_urgent in self.unsynced:
            disk.messages[disk.next_seq] = disk.history[disk.next_seq] = payload
            self.aliases[payload] = {(disk.epoch, disk.next_seq)}
            if is_urgent:
                urgent.append(disk.next_seq)
                disk.urgent.add(disk.next_seq)
            disk.next_seq += 1
        self.unsynced = []
        disk.acked = self.sender.acked.copy()
        self.sender.appended(first, disk.next_seq - 1, urgent)

    def connect(self) -> None:
        self.connected = True
        self.sender.connected(self.now)
        self.say_status()
        if self.retained_ack is not None:
            self.down.append(self.retained_ack)

    def disconnect(self) -> None:
        self.connected = False
        self.sender.disconnected()

    def say_status(self) -> None:
        if not self.connected:
            return
        self.number += 1
        sender = self.sender
        status = Status(
            "gw",
            "online",
            sender.epoch,
            sender.first_seq,
            sender.next_seq,
            boot_id=self.boot,
            number=self.number,
            carried=tuple(self.disk.carried),
            evicted=sender.evicted(),
        )
        self.up.append(status)

    def send(self) -> None:
        if not self.connected:
            return
        seq = self.sender.next_to_send(self.now)
        if seq is not None:
            self.up.append((self.sender.epoch, seq, self.disk.messages[seq]))
            self.after_publish(seq)

    def after_publish(self, seq: int) -> None:
        """The broker has said PUBACK, which means nothing."""

    def take_ack(self, ack: Ack) -> None:
        assert self.sender.ack(ack, self.now) is not AckOutcome.BEYOND

    def new_epoch(self) -> None:
        disk = self.disk
        if disk.next_seq > disk.began_at:
            disk.carried.append(Carried(disk.epoch, disk.next_seq - 1))
        disk.epoch, disk.began_at = self.name("epoch"), disk.next_seq
        for seq, payload in disk.history.items():
            self.aliases[payload].add((disk.epoch, seq))

    def evict(self, seq: int) -> None:
        """The card is full: this message goes."""
        del self.disk.messages[seq]
        if seq in self.sender.acked:
            self.disk.acked = self.sender.acked.copy()
            self.sender.removed(seq, seq)
            return
        self.excused.add(self.disk.history[seq])
        entry = Evicted(seq, seq, "space", readings=1)
        self.declare_eviction(entry)

    def declare_eviction(self, entry: Evicted) -> None:
        declare(self.disk.evicted, entry, self.disk.acked)
        self.sender.evict(entry)

    def new_card(self, disk: Disk) -> None:
        """Another card in the gateway: what is only on the present one is gone for good."""
        self.destroyed |= set(self.disk.history.values()) - set(disk.history.values())
        self.disk = copy.deepcopy(disk)
        self.start_gateway()

    # Platform

    def take_message(self, packet: Packet) -> None:
        if self.receiver.offer(packet[0], packet[1]) is Offer.NEW:
            self.batch.append(packet)

    def by_epoch(self) -> dict[str, list[int]]:
        seqs: dict[str, list[int]] = {}
        for epoch, seq, _ in self.batch:
            seqs.setdefault(epoch, []).append(seq)
        return seqs

    def commit(self) -> None:
        if not self.batch:
            return
        seqs = self.by_epoch()
        self.marks = self.receiver.snapshot(seqs)
        self.stored += [payload for _, _, payload in self.batch]
        self.batch = []
        for epoch, numbers in seqs.items():
            for late in self.receiver.committed(epoch, numbers):
                self.amend(late.epoch, late.first, late.last)
        self.publish_ack()

    def roll_back(self) -> None:
        for epoch, numbers in self.by_epoch().items():
            self.receiver.rolled_back(epoch, numbers)
        self.batch = []

    def amend(self, epoch: str, first: int, last: int) -> None:
        self.ledger -= {(epoch, seq) for seq in range(first, last + 1)}

    def take_status(self, status: Status, *, crash_between: bool = False) -> None:
        for entry in self.receiver.status(status, self.now):
            self.ledger |= {(entry.epoch, seq) for seq in range(entry.first, entry.last + 1)}
        if crash_between:
            self.crash_platform()
            return
        self.marks = self.receiver.snapshot()
        self.publish_ack()

    def publish_ack(self) -> None:
        self.retained_ack = msgspec.structs.replace(self.receiver.ack(), window=self.pressure)
        if self.connected:
            self.down.append(self.retained_ack)

    def crash_platform(self) -> None:
        self.batch = []
        self.receiver = Receiver(LIMITS) if self.marks is None else Receiver.restore(self.marks, LIMITS)
        for late in self.receiver.reconcile((epoch, seq, seq) for epoch, seq in sorted(self.ledger)):
            self.amend(late.epoch, late.first, late.last)
        if self.receiver.epoch:
            self.publish_ack()
        if self.retained_status is not None:
            self.up.append(self.retained_status)

    def back_up(self) -> None:
        self.backup = (list(self.stored), self.marks, set(self.ledger))

    def restore_backup(self) -> None:
        assert self.backup is not None
        stored, self.marks, ledger = self.backup
        self.excused |= set(self.stored) - set(stored)
        self.stored, self.ledger = list(stored), set(ledger)
        self.crash_platform()

    # Network

    def deliver_up(self, at: int, *, crash_between: bool = False) -> None:
        packet = self.up.pop(at)
        if isinstance(packet, Status):
            self.retained_status = packet
            self.take_status(packet, crash_between=crash_between)
        else:
            self.take_message(packet)

    def deliver_down(self, at: int) -> None:
        ack = self.down.pop(at)
        if self.connected:
            self.take_ack(ack)

    def pass_everything(self) -> None:
        while self.up:
            self.deliver_up(0)
        while self.down:
            self.deliver_down(0)

    # The end of all trouble

    def heal(self) -> None:
        """Let everything through, in order, until nothing moves."""
        self.sync()
        self.disconnect()
        self.connect()
        self.pressure = None
        for turn in range(1000):
            self.now += 1
            if turn % 20 == 0:
                self.say_status()
            while self.up:
                self.deliver_up(0)
            self.commit()
            while self.down:
                self.deliver_down(0)
            before = len(self.up)
            self.send()
            if turn > 45 and len(self.up) == before and self.sender.resumed and not self.sender.backlog():
                break
        else:
            raise AssertionError(f"the backlog never drained: {self.sender.backlog()} left")
        self.say_status()
        self.pass_everything()

    def check(self) -> None:
        """Nothing lost, nothing doubled, every eviction in the ledger, and nothing in it that is stored."""
        doubled = sorted(payload for payload in set(self.stored) if self.stored.count(payload) > 1)
        assert not doubled, f"stored twice: {doubled}"
        stored = set(self.stored)
        named = {}
        for payload, aliases in self.aliases.items():
            named.update(dict.fromkeys(aliases, payload))
            booked = aliases & self.ledger
            if payload in stored:
                assert not booked, f"{payload} is stored and stands in the ledger as {booked}"
            elif payload not in self.destroyed:
                assert booked, f"{payload} ({aliases}) is neither stored nor in the ledger"
                assert payload in self.excused, f"{payload} stands in the ledger ({booked}), and need not be lost"
        assert self.ledger <= set(named), f"in the ledger, but never were: {self.ledger - set(named)}"
        assert not self.sender.evicted(), "the platform has not acknowledged all evictions"


class Mishaps(RuleBasedStateMachine):
    """Every step is one thing that happens to somebody."""

    world_type: type[World] = World

    def __init__(self) -> None:
        super().__init__()
        self.world = self.world_type()

    @rule(urgent=st.sampled_from([False, False, False, True]))
    def append(self, *, urgent: bool) -> None:
        self.world.append(urgent=urgent)

    @rule(count=st.integers(1, 6))
    def append_and_sync(self, count: int) -> None:
        for _ in range(count):
            self.world.append()
        self.world.sync()

    @rule()
    def sync(self) -> None:
        self.world.sync()

    @precondition(lambda self: not self.world.connected)
    @rule()
    def connect(self) -> None:
        self.world.connect()

    @precondition(lambda self: self.world.connected)
    @rule()
    def disconnect(self) -> None:
        self.world.disconnect()

    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        for _ in range(count):
            self.world.send()

    @rule(seconds=st.integers(1, 30))
    def pass_time(self, seconds: int) -> None:
        self.world.now += seconds

    @rule(window=st.sampled_from([None, 0, 1, 3]))
    def press(self, window: int | None) -> None:
        self.world.pressure = window

    @rule()
    def say_status(self) -> None:
        self.world.say_status()

    @rule(count=st.integers(1, 6), commits=st.booleans())
    def work(self, count: int, *, commits: bool) -> None:
        """An ordinary stretch of life, so that mishaps have something to happen to."""
        world = self.world
        if not world.connected:
            world.connect()
        for _ in range(count):
            world.append()
            world.sync()
            for _ in range(2):
                world.send()
                world.pass_everything()
            if commits:
                world.commit()

    @rule(count=st.integers(1, 8))
    def deliver(self, count: int) -> None:
        """The network as it should be: in order, both ways."""
        world = self.world
        for _ in range(count):
            if world.up:
                world.deliver_up(0)
            if world.down:
                world.deliver_down(0)

    @precondition(lambda self: self.world.up)
    @rule(data=st.data(), twice=st.booleans())
    def deliver_up(self, data: st.DataObject, *, twice: bool) -> None:
        at = data.draw(st.integers(0, len(self.world.up) - 1))
        if twice:
            self.world.up.insert(at, self.world.up[at])
        self.world.deliver_up(at)

    @precondition(lambda self: self.world.down)
    @rule(data=st.data(), twice=st.booleans())
    def deliver_down(self, data: st.DataObject, *, twice: bool) -> None:
        at = data.draw(st.integers(0, len(self.world.down) - 1))
        if twice:
            self.world.down.insert(at, self.world.down[at])
        self.world.deliver_down(at)

    @precondition(lambda self: self.world.up)
    @rule(data=st.data())
    def drop_up(self, data: st.DataObject) -> None:
        del self.world.up[data.draw(st.integers(0, len(self.world.up) - 1))]

    @precondition(lambda self: self.world.down)
    @rule(data=st.data())
    def drop_down(self, data: st.DataObject) -> None:
        del self.world.down[data.draw(st.integers(0, len(self.world.down) - 1))]

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule()
    def roll_back(self) -> None:
        self.world.roll_back()

    @rule()
    def crash_gateway(self) -> None:
        self.world.start_gateway()

    @rule()
    def crash_platform(self) -> None:
        self.world.crash_platform()

    @precondition(lambda self: any(isinstance(packet, Status) for packet in self.world.up))
    @rule()
    def crash_platform_between_ledger_and_marks(self) -> None:
        at = next(at for at, packet in enumerate(self.world.up) if isinstance(packet, Status))
        self.world.deliver_up(at, crash_between=True)

    @rule()
    def back_up_platform(self) -> None:
        self.world.back_up()

    @precondition(lambda self: self.world.backup is not None)
    @rule()
    def restore_platform(self) -> None:
        self.world.restore_backup()

    @precondition(lambda self: self.world.disk.messages)
    @rule(data=st.data(), count=st.integers(1, 4))
    def evict(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            if self.world.disk.messages:
                self.world.evict(data.draw(st.sampled_from(sorted(self.world.disk.messages))))

    @rule()
    def retention_drops_acknowledged(self) -> None:
        for seq in [seq for seq in self.world.disk.messages if seq in self.world.sender.acked]:
            self.world.evict(seq)

    @rule()
    def take_image_of_the_card(self) -> None:
        self.world.image = copy.deepcopy(self.world.disk)

    @precondition(lambda self: self.world.image is not None)
    @rule()
    def put_the_image_back(self) -> None:
        assert self.world.image is not None
        self.world.new_card(self.world.image)

    @rule()
    def put_an_empty_card(self) -> None:
        self.world.new_card(Disk(self.world.name("epoch")))

    def teardown(self) -> None:
        self.world.heal()
        self.world.check()


TestMishaps = Mishaps.TestCase
TestMishaps.settings = settings(
    max_examples=400, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)


class AckBeforeCommit(World):
    """Planted bug: the platform acknowledges what it has only heard."""

    def publish_ack(self) -> None:
        heard = Receiver.restore(self.receiver.snapshot(self.by_epoch()), LIMITS)
        self.retained_ack = heard.ack()
        if self.connected:
            self.down.append(self.retained_ack)

    def take_message(self, packet: Packet) -> None:
        super().take_message(packet)
        self.publish_ack()


class DeleteAtPuback(World):
    """Planted bug: the gateway takes the broker's PUBACK for the platform's word."""

    def after_publish(self, seq: int) -> None:
        self.disk.messages.pop(seq, None)
        self.sender.removed(seq, seq)
        setattr(self.sender, "evicted", tuple)  # noqa: B010


class ReuseNumbers(World):
    """Planted bug: an old card goes on under its old name."""

    def new_epoch(self) -> None:
        for seq, payload in self.disk.history.items():
            self.aliases[payload].add((self.disk.epoch, seq))

    def take_ack(self, ack: Ack) -> None:
        self.sender.ack(ack, self.now)


class EvictSilently(World):
    """Planted bug: what is evicted is not declared."""

    def declare_eviction(self, entry: Evicted) -> None:
        self.sender.removed(entry.first, entry.last)
        setattr(self.sender, "evicted", tuple)  # noqa: B010


class ForgetDuplicates(World):
    """Planted bug: the platform stores whatever comes."""

    def take_message(self, packet: Packet) -> None:
        self.receiver.offer(packet[0], packet[1])
        self.batch.append(packet)


class NeverAmend(World):
    """Planted bug: a late arrival leaves the ledger as it is."""

    def amend(self, epoch: str, first: int, last: int) -> None:
        del epoch, first, last


@pytest.mark.parametrize(
    "planted",
    [AckBeforeCommit, DeleteAtPuback, ReuseNumbers, EvictSilently, ForgetDuplicates, NeverAmend],
    ids=lambda planted: planted.__name__,
)
def test_a_planted_bug_is_found(planted: type[World]) -> None:
    machine: Any = type(f"With{planted.__name__}", (Mishaps,), {"world_type": planted})
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=2000,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                print_blob=False,
                report_multiple_bugs=False,
            ),
        )
