"""A log whose file is not what was written: what reads is saved, what does not is named."""

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Final

import pytest
from tests.edge.log_file import EAGER, NOISE, TEXT, SteppedClock, asides, content_of, flip, made, telemetry

from linli_core.errors import LogError
from linli_core.wire.messages import Ack
from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.outbox.store import PAGE, ROW_BYTES, LogStore


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "outbox.db"


def rubbish(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1000)


def damage(path: Path, rng: random.Random) -> None:
    """Overwrite four pages, sparing those of the small tables at the beginning."""
    content = bytearray(path.read_bytes())
    for _ in range(4):
        page = rng.randrange(8, len(content) // 4096)
        content[page * 4096 : page * 4096 + 4096] = rng.randbytes(4096)
    path.write_bytes(content)


async def test_a_file_of_rubbish_is_set_aside_and_a_new_log_begun(path: Path, clock: SteppedClock) -> None:
    rubbish(path)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.stats().state == "salvaged"
        assert "damaged" in outbox.stats().detail
        assert outbox.append(telemetry()) == 1
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes().startswith(b"no database at all")


@pytest.mark.parametrize("seed", range(6))
async def test_what_reads_of_a_damaged_log_is_saved_and_the_rest_declared(
    path: Path, clock: SteppedClock, seed: int
) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        for number in range(400):
            outbox.append(telemetry(b"[%d]%s" % (number + 1, NOISE[:400])))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 50), 0)
        outbox.append(telemetry(b"[401]"))
    damage(path, random.Random(seed))
    async with Outbox.open(path, EAGER, clock) as outbox:
        everything = list(range(1, 402))
        # The first reading finds the damage, the second reads what was saved.
        saved = await outbox.read(everything) or await outbox.read(everything)
        numbers = {one.seq for one in saved}
        assert all(one.body.startswith(b"[%d]" % one.seq) for one in saved)
        assert len(numbers) > 330
        declared = outbox.sender.evicted()
        assert {one.cause for one in declared} == {"corruption"}
        lost = {seq for one in declared for seq in range(one.first, one.last + 1)}
        assert lost == set(range(51, 402)) - numbers
        assert outbox.stats().state == "salvaged"
        assert outbox.append(telemetry()) == 402


async def test_damage_found_while_the_disk_is_full_costs_no_message(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = OutboxLimits(group_delay=0, retry_delay=1)
    loop = asyncio.get_running_loop()
    refused = asyncio.Event()
    commit, opens = LogStore.commit, LogStore.open

    def damaged(*_: object, **__: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    def full(*_: object, **__: object) -> None:
        loop.call_soon_threadsafe(refused.set)
        raise sqlite3.OperationalError("database or disk is full")

    async with Outbox.open(path, limits, clock) as outbox:
        outbox.append(telemetry(b"[1]"))
        await outbox.flush()
        monkeypatch.setattr(LogStore, "commit", damaged)
        monkeypatch.setattr(LogStore, "open", full)
        outbox.append(telemetry(b"[2]"))
        for _ in range(3):
            await refused.wait()
            refused.clear()
        assert outbox.stats().state == "waiting"
        outbox._forget([1])
        with pytest.raises(LogError, match="cannot be replaced"):
            await outbox.read([1])
        monkeypatch.setattr(LogStore, "open", opens)
        monkeypatch.setattr(LogStore, "commit", commit)
        await outbox.flush()
        assert [one.body for one in await outbox.read([1, 2])] == [b"[1]", b"[2]"]
        assert outbox.stats().state == "salvaged"


def cut_short(path: Path, *, damaged_gone: bool) -> Path:
    """Leave things as a power cut does during a replacement; return where the successor is made."""
    successor = path.with_name("outbox.db.new")
    if damaged_gone:
        path.rename(successor)
    else:
        successor.write_bytes(b"half of it")
        path.write_bytes(b"no database at all" * 1000)
    return successor


async def test_a_replacement_that_was_cut_short_is_finished_or_begun_anew(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(b"[1]"))
    cut_short(path, damaged_gone=True)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert [one.body for one in await outbox.read([1])] == [b"[1]"]
    successor = cut_short(path, damaged_gone=False)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.stats().state == "salvaged"
        assert list(path.parent.glob("outbox.db.new*")) == []
        assert str(successor) not in outbox.stats().detail


@pytest.mark.parametrize("offset", [0, 1, 40, -1])
async def test_a_bit_that_flipped_in_a_body_is_noticed_and_only_that_message_is_lost(
    path: Path, clock: SteppedClock, offset: int
) -> None:
    bodies = [b"[%d]%s" % (number, NOISE[:200]) for number in range(1, 6)]
    async with Outbox.open(path, EAGER, clock) as outbox:
        for body in bodies:
            outbox.append(telemetry(body))
    flip(path, bodies[2], offset % len(bodies[2]))
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert await outbox.read([1, 2]) != []
        saved = await outbox.read([1, 2, 3, 4, 5]) or await outbox.read([1, 2, 3, 4, 5])
        assert [one.body for one in saved] == [body for number, body in enumerate(bodies, 1) if number != 3]
        (lost,) = outbox.sender.evicted()
        assert (lost.first, lost.last, lost.cause) == (3, 3, "corruption")
        assert outbox.stats().state == "salvaged"


async def test_a_message_that_vanished_without_a_trace_is_named_lost(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        for _ in range(3):
            outbox.append(telemetry())
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM message WHERE seq = 2")
    connection.close()
    async with Outbox.open(path, EAGER, clock) as outbox:
        saved = await outbox.read([1, 2, 3]) or await outbox.read([1, 2, 3])
        assert [one.seq for one in saved] == [1, 3]
        (lost,) = outbox.sender.evicted()
        assert (lost.first, lost.last, lost.cause) == (2, 2, "corruption")
        assert outbox.sender.backlog() == 2


async def test_a_bit_that_flipped_in_the_totals_is_noticed(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(TEXT, readings=2))
    with sqlite3.connect(path) as connection:
        (head,) = connection.execute("SELECT head FROM log").fetchone()
        where = head.index(b"next_seq") + len(b"next_seq")
        connection.execute("UPDATE log SET head = ?", (head[:where] + bytes([head[where] ^ 0x40]) + head[where + 1 :],))
    connection.close()
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert "does not match its checksum" in outbox.stats().detail
        assert [one.body for one in await outbox.read([1])] == [TEXT]
        assert (outbox.stats().next_seq, outbox.stats().readings) == (2, 2)


async def test_what_was_evicted_before_the_damage_keeps_its_cause(path: Path, clock: SteppedClock) -> None:
    limits = OutboxLimits(group_delay=0, max_bytes=4 * (300 + ROW_BYTES))
    bodies = [b"[%d]%s" % (number, NOISE[number : number + 297]) for number in range(1, 7)]
    async with Outbox.open(path, limits, clock) as outbox:
        for number, body in enumerate(bodies):
            outbox.append(telemetry(body, at=number, readings=5))
    flip(path, bodies[4], 100)
    async with Outbox.open(path, limits, clock) as outbox:
        await outbox.read([5])
        space, corruption = outbox.sender.evicted()
        assert (space.first, space.last, space.cause, space.readings) == (1, 2, "space", 10)
        assert (corruption.first, corruption.last, corruption.cause) == (5, 5, "corruption")
        assert outbox.stats().evicted_messages == 3


def cut_between_renames(path: Path) -> None:
    """Leave things as a power cut does that comes while a damaged log and its write-ahead file are set aside."""
    store = LogStore.open(made(path), EAGER)
    store.commit([telemetry(b"[1]")], 0)
    ahead = path.with_name("outbox.db-wal").read_bytes()
    store.close()
    path.unlink()
    store = LogStore.open(path.with_name("outbox.db.new"), EAGER)
    store.commit([telemetry(b"[2]")], 0)
    store.close()
    path.with_name("outbox.db-wal").write_bytes(ahead)


async def test_an_old_write_ahead_file_is_not_played_into_the_successor(path: Path, clock: SteppedClock) -> None:
    cut_between_renames(path)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert [one.body for one in await outbox.read([1])] == [b"[2]"]


async def test_a_card_that_decays_is_not_filled_with_damaged_copies(path: Path, clock: SteppedClock) -> None:
    bodies = [b"[%d]%s" % (number, NOISE[number : number + 300]) for number in range(4)]
    async with Outbox.open(path, EAGER, clock) as outbox:
        for body in bodies:
            outbox.append(telemetry(body))
    for number in (1, 2):
        flip(path, bodies[number], 50)
        clock.now += 1
        async with Outbox.open(path, EAGER, clock) as outbox:
            await outbox.read([1, 2, 3, 4])
    assert {one.name.removesuffix("-wal") for one in asides(path)} == {f"outbox.db.damaged-{clock.now}"}


async def test_another_gateways_log_is_refused_though_it_is_damaged(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        outbox.append(telemetry(TEXT))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO evicted VALUES (1, x'c1')")
    connection.close()
    with pytest.raises(LogError, match="the log is of gateway gw-1, this is gw-2"):
        async with Outbox.open(path, EAGER, clock, gateway="gw-2"):
            pass
    assert not asides(path)
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        assert [one.body for one in await outbox.read([1])] == [TEXT]
        assert outbox.stats().state == "salvaged"


def unreadable() -> sqlite3.OperationalError:
    """What SQLite says of a sector that the card gives back no more."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_READ"
    return error


async def test_a_sector_that_cannot_be_read_stops_neither_sending_nor_the_start(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, load = LogStore.read, LogStore._load

    def once(*_: object) -> list[object]:
        monkeypatch.setattr(LogStore, "read", read)
        monkeypatch.setattr(LogStore, "_load", load)
        raise unreadable()

    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(TEXT))
        await outbox.flush()
        outbox._forget([1])
        monkeypatch.setattr(LogStore, "read", once)
        assert await outbox.read([1]) == []
        assert [one.body for one in await outbox.read([1])] == [TEXT]
    monkeypatch.setattr(LogStore, "_load", once)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert outbox.stats().state == "salvaged"
        assert [one.body for one in await outbox.read([1])] == [TEXT]


@pytest.mark.parametrize("found_by", ["read", "commit"])
async def test_a_successor_that_cannot_be_read_either_stops_nothing(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch, found_by: str
) -> None:
    use, state = getattr(LogStore, found_by), LogStore.state

    def damaged(*_: object, **__: object) -> None:
        monkeypatch.setattr(LogStore, found_by, use)
        raise sqlite3.DatabaseError("database disk image is malformed")

    def unreadable(_: LogStore) -> None:
        monkeypatch.setattr(LogStore, "state", state)
        raise sqlite3.DatabaseError("disk I/O error")

    async with Outbox.open(path, EAGER, clock) as outbox:
        for _ in range(200):
            outbox.append(telemetry())
        await outbox.flush()
        outbox._forget(range(1, 201))
        epoch = outbox.sender.epoch
        monkeypatch.setattr(LogStore, found_by, damaged)
        monkeypatch.setattr(LogStore, "state", unreadable)
        if found_by == "read":
            with pytest.raises(LogError, match="cannot read"):
                await outbox.read([1])
        seq = outbox.append(telemetry(b"[1]"))
        await outbox.flush()
        assert outbox.sender.epoch != epoch
        assert epoch in {one.epoch for one in outbox.carried}
        (kept,) = await outbox.read([seq])
        assert (kept.seq, kept.body) == (201, b"[1]")
        assert (outbox.sender.backlog(), outbox.sender.evicted()) == (201, ())


async def test_damage_found_by_reader_and_writer_at_once_is_salvaged_once(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = NOISE[:1000]
    limits = OutboxLimits(group_delay=0, max_bytes=4 * (1000 + ROW_BYTES))
    read = LogStore.read

    def once(*_: object) -> list[object]:
        monkeypatch.setattr(LogStore, "read", read)
        raise sqlite3.DatabaseError("database disk image is malformed")

    async with Outbox.open(path, limits, clock) as outbox:
        for _ in range(4):
            outbox.append(telemetry(body))
        await outbox.flush()
        outbox._forget(range(1, 5))
        monkeypatch.setattr(LogStore, "read", once)
        reading = asyncio.create_task(outbox.read([3, 4]))
        await asyncio.sleep(0)
        outbox.append(telemetry(body, readings=3))
        await outbox.flush()
        assert await reading == []
        # What the writer let go in the successor, the sender of the successor knows.
        assert [(one.first, one.last, one.cause) for one in outbox.sender.evicted()] == [(1, 1, "space")]
        assert [one.seq for one in await outbox.read([1, 2, 3, 4, 5])] == [2, 3, 4, 5]
    assert len([one for one in asides(path) if not one.name.endswith("-wal")]) == 1


HEADER: Final[dict[str, tuple[int | bytes, int]]] = {
    "the first letter": (0, 0x01),
    "the size of a page": (16, 0x04),
    "who may write it": (18, 0x04),
    "room left free in each page": (20, 0x10),
    "the encoding": (59, 0x02),
    "a version we were": (63, 0x01),
    "a version we are not": (62, 0x01),
    "the root of the schema": (100, 0x08),
    "the name of a column": (b"kind INTEGER", 0x02),
}


@pytest.mark.parametrize(("place", "bit"), HEADER.values(), ids=HEADER)
async def test_one_bit_of_header_or_schema_costs_no_message(
    path: Path, clock: SteppedClock, place: int | bytes, bit: int
) -> None:
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        for number in range(20):
            outbox.append(telemetry(b"[%d]%s" % (number, NOISE[:300]), readings=3))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 5), 0)
        epoch = outbox.sender.epoch
        outbox.append(telemetry(b"[20]"))
    spoil(path, place, bit)
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        everything = list(range(1, 22))
        found = await outbox.read(everything) or await outbox.read(everything)
        assert outbox.stats().state == "salvaged"
        assert outbox.sender.evicted() == ()
        assert next(one.epoch for one in outbox.carried) == epoch
        assert (outbox.sender.next_seq, outbox.sender.backlog(), outbox.stats().readings) == (22, 16, 61)
        assert [one.body[:4] for one in found] == [(b"[%d]%s" % (number, NOISE))[:4] for number in range(20)] + [
            b"[20]"
        ]


@pytest.mark.parametrize(("place", "bit"), HEADER.values(), ids=HEADER)
async def test_what_stands_only_in_the_write_ahead_file_is_saved_past_a_damaged_first_page(
    tmp_path: Path, clock: SteppedClock, place: int | bytes, bit: int
) -> None:
    """A gateway that was killed leaves its last messages there."""
    path, killed = tmp_path / "one" / "outbox.db", tmp_path / "two" / "outbox.db"
    bodies = [b"[%d]%s" % (number, NOISE[:length]) for number, length in enumerate((3000, 10, 20, 1500, 30, 40))]
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        epoch = outbox.sender.epoch
        for number, body in enumerate(bodies):
            outbox.append(telemetry(body))
            await outbox.flush()
            if number == 3:
                # From here on the first page is not in the write-ahead file, for the file does not grow.
                assert outbox._store is not None
                await outbox._work(outbox._store._connection.execute, "PRAGMA wal_checkpoint(RESTART)")
        made(killed)
        for suffix in ("", "-wal"):
            part = path.with_name(path.name + suffix)
            killed.with_name(part.name).write_bytes(content_of(part))
    spoil(killed, place, bit)
    async with Outbox.open(killed, EAGER, clock, gateway="gw-1") as outbox:
        everything = list(range(1, 7))
        found = await outbox.read(everything) or await outbox.read(everything)
        assert [one.body for one in found] == bodies
        assert next(one.epoch for one in outbox.carried) == epoch
        assert outbox.sender.evicted() == ()


def page_size_of(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[16:18])


async def test_a_log_with_larger_pages_is_read_off_them_though_the_header_names_no_size(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a former release made it.
    monkeypatch.setattr("linli_edge.outbox.store.PAGE", 1024)
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        for number in range(20):
            outbox.append(telemetry(b"[%d]%s" % (number, NOISE[:900]), readings=3))
        await outbox.flush()
    monkeypatch.undo()
    assert page_size_of(path) == 1024
    spoil(path, 16, 0x04)
    async with Outbox.open(path, EAGER, clock, gateway="gw-1") as outbox:
        assert (outbox.stats().state, outbox.stats().readings) == ("salvaged", 60)
        assert [one.seq for one in await outbox.read(list(range(1, 21)))] == list(range(1, 21))
        assert outbox.sender.evicted() == ()


def spoil(path: Path, place: int | bytes, bit: int) -> None:
    """Flip one bit of a file, at a place or where some bytes stand first."""
    content = bytearray(path.read_bytes())
    place = content.index(place) if isinstance(place, bytes) else place
    content[place] ^= bit
    path.write_bytes(content)


def damage_message_and_header(path: Path, body: bytes) -> None:
    """Damage a log's header and one message of it, beside a file that was damaged before."""
    flip(path, body, 1)
    flip(path, b"SQLite format", 0)
    path.with_name("outbox.db.damaged-1").touch()


async def test_without_room_for_a_second_copy_what_is_not_acknowledged_is_saved(
    path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        for number in range(100):
            outbox.append(telemetry(b"[%d]" % number + NOISE[:2000]))
        await outbox.flush()
        outbox.sender.ack(Ack(outbox.sender.epoch, 70), 0)
    damage_message_and_header(path, b"[90]")
    opens = LogStore.open

    def narrow(where: Path, limits: OutboxLimits, *, gateway: str = "") -> LogStore:
        store = opens(where, limits, gateway=gateway)
        store._connection.execute(f"PRAGMA max_page_count = {120 * 1024 // PAGE}")
        return store

    monkeypatch.setattr(LogStore, "open", narrow)
    async with Outbox.open(path, EAGER, clock) as outbox:
        stats = outbox.stats()
        assert (stats.state, stats.next_seq, stats.backlog) == ("salvaged", 101, 29)
        assert "no room to keep the damaged file" in stats.detail
        ((first, last, cause),) = [(one.first, one.last, one.cause) for one in outbox.sender.evicted()]
        assert (first, last, cause) == (91, 91, "corruption")
    assert asides(path) == []


def wipe_totals(path: Path) -> None:
    """Overwrite every page on which the totals stand."""
    content = bytearray(path.read_bytes())
    while (place := content.find(b"evicted_readings")) >= 0:
        start = place - place % PAGE
        content[start : start + PAGE] = random.Random(1).randbytes(PAGE)
    path.write_bytes(content)


async def test_a_log_without_totals_is_known_by_what_was_noted_at_its_start(path: Path, clock: SteppedClock) -> None:
    # Else it would be another log, and the message that does not read would be named by nobody.
    async with Outbox.open(path, EAGER, clock, gateway="gw-a") as outbox:
        epoch = outbox.sender.epoch
        for number in range(1, 6):
            outbox.append(telemetry(b"[%d]" % number + NOISE[:2000]))
        await outbox.flush()
        outbox.sender.ack(Ack(epoch, 4), 0)
    flip(path, b"[3]", 1)
    wipe_totals(path)
    async with Outbox.open(path, EAGER, clock, gateway="gw-a") as outbox:
        assert outbox.stats().state == "salvaged"
        assert outbox.carried[-1].last == 5
        assert epoch in {one.epoch for one in outbox.carried}
        assert outbox.stats().next_seq == 6
        assert [one.seq for one in await outbox.read([1, 2, 3, 4, 5])] == [1, 2, 4, 5]
        assert [(one.first, one.last, one.cause) for one in outbox.sender.evicted()] == [(3, 3, "corruption")]
        # The book was as old as the start: what was saved is entered again, what was not is counted.
        assert (outbox.account.through, outbox.account.unbooked) == (5, 1)
        assert [line[3:] for line in outbox.account.days.values()] == [(4, 4)]


async def test_a_noted_start_that_is_damaged_itself_is_not_believed(path: Path, clock: SteppedClock) -> None:
    async with Outbox.open(path, EAGER, clock) as outbox:
        outbox.append(telemetry(TEXT))
        epoch = outbox.sender.epoch
    wipe_totals(path)
    flip(path.with_name("outbox.db.twin"), epoch.encode(), 0)
    async with Outbox.open(path, EAGER, clock) as outbox:
        assert epoch not in {one.epoch for one in outbox.carried}
        assert [one.body for one in await outbox.read([1])] == [TEXT]
