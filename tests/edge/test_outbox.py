import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.edge.log_file import EAGER, NOISE, TEXT, SteppedClock, asides, content_of, made, telemetry

from linli_core.errors import LogError
from linli_core.instant import DAY
from linli_core.log import AckOutcome, LossEntry, Offer, Receiver
from linli_core.wire.messages import Ack, Status
from linli_edge.outbox import Message, MessageTooLarge, Outbox, OutboxFull, OutboxLimits
from linli_edge.outbox.head import CARRIED
from linli_edge.outbox.message import NORMAL, URGENT
from linli_edge.outbox.room import LAID_BY, OVERHEAD, RESERVE, NoRoom
from linli_edge.outbox.store import PAGE, ROW_BYTES, LogStore


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "outbox.db"


async def acknowledge(outbox: Outbox, seq: int) -> AckOutcome:
    outcome = outbox.sender.ack(Ack(outbox.sender.epoch, seq), 0)
    outbox.append(telemetry())
    await outbox.flush()
    return outcome


async def test_messages_come_back_as_they_went_in(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.append(telemetry(b"[{}]")) == 1
        assert outbox.append(Message("event", b"{}", URGENT)) == 2
        await outbox.flush()
        found = await outbox.read([2, 1])
        assert [(one.seq, one.kind, one.body) for one in found] == [(2, "event", b"{}"), (1, "telemetry", b"[{}]")]


async def test_what_was_durable_is_there_after_opening_again(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        for number in range(10):
            outbox.append(telemetry(b"[%d]" % number, readings=3))
        first_epoch = outbox.sender.epoch
    async with Outbox.open(path, EAGER, clock) as outbox:
        stats = outbox.stats()
        assert (stats.first_seq, stats.next_seq, stats.backlog, stats.readings) == (1, 11, 10, 30)
        assert [one.body for one in await outbox.read([1, 10])] == [b"[0]", b"[9]"]
        assert outbox.sender.epoch != first_epoch
        assert [(one.epoch, one.last) for one in outbox.carried] == [(first_epoch, 10)]


async def test_a_start_that_appends_nothing_leaves_no_trace(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry())
        epoch = outbox.sender.epoch
    for _ in range(100):
        async with Outbox.open(path, EAGER, clock) as outbox:
            assert [one.epoch for one in outbox.carried] == [epoch]


@pytest.mark.parametrize("appends", [True, False])
async def test_the_name_the_platform_knows_it_by_stays_however_often_it_starts(
    path: Path, clock: SteppedClock, *, appends: bool
) -> None:
    platform, ledger = Receiver(), list[LossEntry]()

    def say_and_hear(outbox: Outbox, number: int) -> None:
        sender = outbox.sender
        ledger.extend(
            platform.status(
                Status(
                    "gw",
                    "online",
                    sender.epoch,
                    sender.first_seq,
                    sender.next_seq,
                    boot_id=sender.epoch,
                    number=number,
                    carried=outbox.carried,
                    evicted=sender.evicted(),
                ),
                0,
            )
        )
        sender.ack(platform.ack(), 0)

    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(at=clock.now))
        await outbox.flush()
        say_and_hear(outbox, 1)
        assert platform.offer(outbox.sender.epoch, 1) is Offer.NEW
        platform.committed(outbox.sender.epoch, [1])
        say_and_hear(outbox, 2)
    clock.now += 8 * DAY
    async with Outbox.open(path, EAGER, clock) as outbox:
        say_and_hear(outbox, 1)
        if appends:
            outbox.append(telemetry(at=clock.now))
            await outbox.flush()
            assert outbox.sender.first_seq == 2
    for _ in range(CARRIED + 2):
        async with Outbox.open(path, EAGER, clock) as outbox:
            outbox.append(telemetry(at=clock.now))
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert len(outbox.carried) == CARRIED
        for number in (1, 2):
            say_and_hear(outbox, number)
        assert ledger == []
        assert outbox.sender.acked.ranges() == [(1, 1)]


async def test_an_urgent_message_waits_for_no_group(path: Path, clock: SteppedClock) -> None:
    patient = OutboxLimits(group_delay=3600 * 1_000_000)
    async with Outbox.open(path, patient, clock) as outbox:
        outbox.append(telemetry())
        seq = outbox.append(Message("event", b"{}", URGENT))
        await outbox.durable(seq)
        outbox.sender.connected(0)
        outbox.sender.ack(Ack(outbox.sender.epoch, 0), 0)
        assert outbox.sender.next_to_send(0) == seq


async def test_a_full_group_waits_no_longer(path: Path, clock: SteppedClock) -> None:
    patient = OutboxLimits(group_delay=3600 * 1_000_000, group_messages=5)
    async with Outbox.open(path, patient, clock) as outbox:
        for _ in range(5):
            seq = outbox.append(telemetry())
        await outbox.durable(seq)


async def test_urgent_messages_keep_their_precedence_over_a_restart(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        for _ in range(5):
            outbox.append(telemetry())
        outbox.append(Message("event", b"{}", URGENT))
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.sender.connected(0)
        outbox.sender.ack(Ack(outbox.sender.epoch, 0), 0)
        assert outbox.sender.next_to_send(0) == 6


async def test_acknowledged_messages_stay_while_there_is_room_and_go_first(path: Path, clock: SteppedClock) -> None:
    body = NOISE[:1000]
    limits = OutboxLimits(group_delay=0, max_bytes=10 * (1000 + ROW_BYTES))
    async with Outbox.open(path, limits, clock) as outbox:
        for _ in range(10):
            outbox.append(telemetry(body))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 4), 0)
        assert outbox.stats().first_seq == 1
        for _ in range(4):
            outbox.append(telemetry(body))
        await outbox.flush()
        assert outbox.stats().first_seq == 5
        assert outbox.stats().evicted_messages == 0
        assert outbox.sender.evicted() == ()
        assert await outbox.read([4]) == []


async def test_what_was_acknowledged_last_is_not_forgotten_at_a_stop(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(NOISE))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 1), 0)
    async with Outbox.open(path, OutboxLimits(max_bytes=1000, group_delay=0), clock) as outbox:
        outbox.append(telemetry(b"[]"))
        await outbox.flush()
        assert (outbox.stats().first_seq, outbox.stats().evicted_messages) == (2, 0)


async def test_evicted_messages_are_declared_with_times_and_readings(path: Path, clock: SteppedClock) -> None:
    body = NOISE[:1000]
    limits = OutboxLimits(group_delay=0, max_bytes=10 * (1000 + ROW_BYTES))
    async with Outbox.open(path, limits, clock) as outbox:
        for number in range(13):
            outbox.append(telemetry(body, at=number, readings=2))
        await outbox.flush()
    async with Outbox.open(path, limits, clock) as outbox:
        (entry,) = outbox.sender.evicted()
        assert (entry.first, entry.last, entry.cause) == (1, 3, "space")
        assert (entry.observed_from, entry.observed_to, entry.readings) == (0, 2, 6)
        stats = outbox.stats()
        assert (stats.evicted_messages, stats.evicted_readings, stats.backlog) == (3, 6, 10)
        outbox.sender.ack(Ack(outbox.sender.epoch, 3), 0)
        assert outbox.sender.evicted() == ()


async def test_what_leaves_after_the_platform_has_booked_is_declared_by_itself(path: Path, clock: SteppedClock) -> None:
    body = NOISE[:1000]
    limits = OutboxLimits(group_delay=0, max_bytes=10 * (1000 + ROW_BYTES))
    async with Outbox.open(path, limits, clock) as outbox:
        for number in range(13):
            outbox.append(telemetry(body, at=number, readings=2))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 3), 0)
        for number in range(13, 15):
            outbox.append(telemetry(body, at=number, readings=2))
        await outbox.flush()
        declared = outbox.sender.evicted()
        assert [(one.first, one.last, one.observed_from, one.readings) for one in declared] == [(4, 5, 3, 4)]
    async with Outbox.open(path, limits, clock) as outbox:
        assert outbox.sender.evicted() == declared


async def test_the_least_important_unacknowledged_messages_go_first(path: Path, clock: SteppedClock) -> None:
    body = NOISE[:1000]
    limits = OutboxLimits(group_delay=0, max_bytes=4 * (1000 + ROW_BYTES))
    async with Outbox.open(path, limits, clock) as outbox:
        for priority in (URGENT, NORMAL, 3, 2, URGENT, NORMAL, NORMAL):
            outbox.append(telemetry(body, priority=priority))
        await outbox.flush()
        assert [one.seq for one in await outbox.read(list(range(1, 8)))] == [1, 5, 6, 7]
        assert [(one.first, one.last) for one in outbox.sender.evicted()] == [(2, 4)]


async def test_acknowledged_messages_go_when_they_are_old(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(at=clock.now))
        outbox.append(telemetry(at=clock.now))
        await outbox.flush()
        clock.now += 8 * DAY
        await acknowledge(outbox, 1)
        assert [one.seq for one in await outbox.read([1, 2])] == [2]
        assert outbox.sender.evicted() == ()


async def test_a_message_too_large_is_refused_and_counted(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, OutboxLimits(message_bytes=100), clock) as outbox:
        with pytest.raises(MessageTooLarge, match="101 bytes; at most 100 are taken: make smaller packs"):
            outbox.append(telemetry(NOISE[:101], readings=7))
        assert (outbox.stats().refused_messages, outbox.stats().refused_readings) == (1, 7)


async def test_a_disk_that_refuses_keeps_messages_waiting_up_to_a_bound(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = OutboxLimits(group_delay=0, queue_messages=3, retry_delay=1)
    refused = asyncio.Event()
    loop = asyncio.get_running_loop()
    commit = LogStore.commit

    def full(*_: object, **__: object) -> None:
        loop.call_soon_threadsafe(refused.set)
        raise sqlite3.OperationalError("database or disk is full")

    async with Outbox.open(path, limits, clock) as outbox:
        monkeypatch.setattr(LogStore, "commit", full)
        outbox.append(telemetry(b"[1]"))
        await refused.wait()
        while outbox.stats().state != "waiting":
            refused.clear()
            await refused.wait()
        assert "database or disk is full" in outbox.stats().detail
        outbox.append(telemetry(b"[2]"))
        monkeypatch.setattr(LogStore, "commit", commit)
        await outbox.flush()
        assert [one.body for one in await outbox.read([1, 2])] == [b"[1]", b"[2]"]
        assert outbox.stats().state == "ok"


async def test_a_queue_that_is_full_refuses_and_counts(path: Path, clock: SteppedClock) -> None:
    patient = OutboxLimits(group_delay=3600 * 1_000_000, queue_messages=3)
    async with Outbox.open(path, patient, clock) as outbox:
        for _ in range(3):
            outbox.append(telemetry())
        with pytest.raises(OutboxFull, match="3 messages"):
            outbox.append(telemetry(readings=5))
        assert (outbox.stats().refused_messages, outbox.stats().refused_readings) == (1, 5)
        await outbox.flush()
        assert outbox.append(telemetry()) == 4


async def test_a_full_file_system_is_survived(path: Path, clock: SteppedClock) -> None:
    """SQLite's own page limit stands for the disk's: the same error, and the same way out."""
    limits = OutboxLimits(group_delay=0, retry_delay=1, max_bytes=10**6)
    async with Outbox.open(path, limits, clock) as outbox:
        outbox.append(telemetry(NOISE[:5000]))
        await outbox.flush()
        assert outbox._store is not None
        connection = outbox._store._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        waiting = asyncio.create_task(outbox.durable(outbox.append(telemetry(b"y" * 50_000))))
        while outbox.stats().state != "waiting":
            await asyncio.get_running_loop().run_in_executor(outbox._executor, int)
        assert "full" in outbox.stats().detail
        connection.execute("PRAGMA max_page_count = 100000")
        await waiting
        assert outbox.stats().next_seq == 3


async def filled(outbox: Outbox, *, acked: int) -> None:
    """Have forty messages in the log, some acknowledged, and a disk that has no room for more."""
    for number in range(40):
        outbox.append(telemetry(NOISE[number : number + 2000], at=number))
        await outbox.flush()
    outbox.sender.ack(Ack(outbox.sender.epoch, acked), 0)
    assert outbox._store is not None
    connection = outbox._store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")


async def test_on_a_disk_that_others_have_filled_what_is_acknowledged_makes_room(
    path: Path, clock: SteppedClock
) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        await filled(outbox, acked=40)
        for number in range(5):
            outbox.append(telemetry(NOISE[number : number + 2000]))
            await outbox.flush()
        stats = outbox.stats()
        assert (stats.next_seq, stats.backlog, stats.state, stats.evicted_messages) == (46, 5, "ok", 0)


async def test_what_is_not_acknowledged_makes_room_only_for_what_would_be_refused(
    path: Path, clock: SteppedClock
) -> None:
    limits = OutboxLimits(group_delay=0, retry_delay=1, queue_messages=8)
    async with Outbox.open(path, limits, clock) as outbox:
        await filled(outbox, acked=0)
        outbox.append(telemetry(NOISE[:2000]))
        while outbox.stats().state != "waiting":
            await asyncio.get_running_loop().run_in_executor(outbox._executor, int)
        assert outbox.sender.evicted() == ()
        for _ in range(4):
            outbox.append(telemetry(NOISE[:2000]))
        await outbox.flush()
        stats = outbox.stats()
        assert (stats.next_seq, stats.state, stats.refused_messages) == (46, "ok", 0)
        (gone,) = outbox.sender.evicted()
        assert (gone.first, gone.cause, gone.observed_from) == (1, "space", 0)
        assert gone.last + stats.backlog == 45


async def test_a_stop_on_a_full_disk_forgets_nothing_that_the_ledger_does_not_name(
    path: Path, clock: SteppedClock
) -> None:
    async with Outbox.open(path, OutboxLimits(group_delay=0, retry_delay=3600 * 1_000_000), clock) as outbox:
        await filled(outbox, acked=0)
        for _ in range(6):
            outbox.append(telemetry(NOISE[:2000]))
        while outbox.stats().state != "waiting":
            await asyncio.get_running_loop().run_in_executor(outbox._executor, int)
        assert outbox.sender.evicted() == ()
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.stats().next_seq == 47
        (gone,) = outbox.sender.evicted()
        assert (gone.first, gone.cause) == (1, "space")
        assert [one.seq for one in await outbox.read(list(range(1, 47)))] == list(range(gone.last + 1, 47))


async def test_a_start_on_a_full_disk_takes_the_room_laid_by_for_it(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(b"[1]"))
        await outbox.flush()
    kept = path.with_name("outbox.db.reserve")
    assert len(content_of(kept)) == LAID_BY
    opens, pages = LogStore.open, []

    def full(where: Path, limits: OutboxLimits, *, gateway: str = "") -> LogStore:
        if kept.exists():
            raise NoRoom("database or disk is full")
        pages.append(where)
        return opens(where, limits, gateway=gateway)

    monkeypatch.setattr(LogStore, "open", full)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert [one.body for one in await outbox.read([1])] == [b"[1]"]
        assert len(pages) == 1
    assert len(content_of(kept)) == LAID_BY


async def test_a_second_gateway_on_the_same_log_is_told_so(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry())
        with pytest.raises(LogError, match=r"cannot be opened .* no other gateway uses it"):
            await Outbox.open(path, EAGER, clock).__aenter__()
        await outbox.flush()


async def test_an_error_inside_the_block_comes_out_as_it_is(path: Path, clock: SteppedClock) -> None:
    async def fail() -> None:
        async with Outbox.open(path, EAGER, clock) as outbox:
            outbox.append(telemetry())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.stats().next_seq == 2


WRITER = """
import asyncio, sys
from pathlib import Path
from linli_edge.outbox import Message, Outbox, OutboxLimits

async def main():
    async with Outbox.open(Path(sys.argv[1]), OutboxLimits(group_delay=1000), lambda: 1_700_000_000_000_000) as outbox:
        while True:
            for _ in range(20):
                seq = outbox.append(Message("telemetry", b"x" * 300, 1, 0, 0, 1))
            await outbox.durable(seq)
            print(seq, flush=True)

asyncio.run(main())
"""


def test_killed_at_any_moment_it_keeps_whatever_it_called_durable(path: Path) -> None:
    for lines in (3, 40):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                last = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
        with sqlite3.connect(path) as connection:
            (count, highest) = connection.execute("SELECT count(*), max(seq) FROM message").fetchone()
        connection.close()
        assert count == highest >= last


def test_opening_reads_a_few_pages_however_long_the_log_is(path: Path, clock: SteppedClock) -> None:
    path.parent.mkdir()
    store = LogStore.open(path, OutboxLimits())
    store.commit([telemetry(NOISE[:50]) for _ in range(30_000)], clock.now)
    store.close()
    store = LogStore.open(path, OutboxLimits())
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    store._connection.set_progress_handler(count, 100)
    store._load()
    state = store.state()
    store.close()
    assert state.next_seq == 30_001
    assert steps < 10


async def test_bodies_are_compressed_and_come_back_as_they_were(path: Path, clock: SteppedClock) -> None:
    bodies = [TEXT, b"[]", NOISE[:300], TEXT * 50]
    async with Outbox.open(path, EAGER, clock) as outbox:
        for body in bodies:
            outbox.append(telemetry(body))
        await outbox.flush()
        assert outbox.stats().bytes < sum(map(len, bodies)) / 3
        outbox._forget(range(1, 5))
        assert [one.body for one in await outbox.read([1, 2, 3, 4])] == bodies
    assert TEXT not in content_of(path)


async def test_a_log_of_version_1_goes_on(path: Path, clock: SteppedClock) -> None:
    old = LogStore.open(made(path), EAGER)
    old._connection.executescript("ALTER TABLE message DROP COLUMN crc;")
    old._connection.execute("INSERT INTO message VALUES (1, 0, 1, 0, 0, 2, ?)", (TEXT,))
    old._connection.execute("INSERT INTO message VALUES (2, 1, 0, 0, 0, 0, x'7b7d')")
    old.head.next_seq, old.head.messages, old.head.readings = 3, 2, 2
    old.begin_epoch()
    old._connection.executescript("PRAGMA user_version = 1; ALTER TABLE log DROP COLUMN crc;")
    old.close()
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        outbox.append(telemetry(TEXT))
        await outbox.flush()
        outbox._forget(range(1, 4))
        found = await outbox.read([1, 2, 3])
        assert [(one.kind, one.body) for one in found] == [("telemetry", TEXT), ("event", b"{}"), ("telemetry", TEXT)]
        assert (outbox.stats().readings, outbox.stats().state) == (3, "ok")


async def test_a_log_of_a_newer_program_is_refused_and_left_alone(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("linli_edge.outbox.store.VERSION", 9)
        async with Outbox.open(path, EAGER, clock) as outbox:
            outbox.append(telemetry(TEXT))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    before = content_of(path)
    with pytest.raises(LogError, match="written as version 9 of the log, this program knows 3; install the newer"):
        async with Outbox.open(path, EAGER, clock):
            pass
    assert content_of(path) == before
    assert not asides(path)


async def test_another_gateways_log_is_refused_and_left_alone(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        outbox.append(telemetry(TEXT))
    with pytest.raises(LogError, match="the log is of gateway gw-1, this is gw-2; put the card back"):
        async with Outbox.open(path, EAGER, clock, gateway="gw-2"):
            pass
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        assert [one.body for one in await outbox.read([1])] == [TEXT]


@pytest.mark.parametrize("size", [480, 1000])
async def test_a_full_log_takes_no_more_of_the_disk_than_it_may(path: Path, clock: SteppedClock, size: int) -> None:
    # Of messages that do not share a page of the file each takes one, however small it is.
    limits = OutboxLimits(group_delay=0, max_bytes=1024**2)
    async with Outbox.open(path, limits, clock) as outbox:
        for number in range(3000):
            outbox.append(telemetry(NOISE[number : number + size]))
            if number % 100 == 99:
                await outbox.flush()
        stats = outbox.stats()
        assert stats.evicted_messages == 3000 - stats.backlog
        assert stats.backlog > 800
        assert len(content_of(path)) < limits.max_bytes + RESERVE + 3 * OVERHEAD + 100 * 3 * PAGE


async def test_a_log_that_was_larger_before_is_not_cut_for_it(path: Path, clock: SteppedClock) -> None:
    limits = OutboxLimits(group_delay=0, max_bytes=1024**2)
    async with Outbox.open(path, OutboxLimits(group_delay=0, max_bytes=2 * 1024**2), clock) as outbox:
        for number in range(1500):
            outbox.append(telemetry(NOISE[number : number + 480]))
        await outbox.flush()
        assert outbox.stats().backlog == 1500
    for _ in range(3):
        async with Outbox.open(path, limits, clock) as outbox:
            before = outbox.stats().backlog
            for number in range(20):
                outbox.append(telemetry(NOISE[number : number + 480]))
            await outbox.flush()
            assert outbox.stats().backlog == pytest.approx(before, abs=60)
    assert len(content_of(path)) < 1600 * PAGE + RESERVE + OVERHEAD + 60 * PAGE
