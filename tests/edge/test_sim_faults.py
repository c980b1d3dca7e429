"""The fault bench's own parts: a plan that repeats, a disk that forgets what was not synced, a count that finds all."""

import asyncio
import errno
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from linli_core.instant import DAY, SECOND
from linli_sim.compiled import NotBuilt
from linli_sim.faults.plan import LONGEST, Fault, plan
from linli_sim.faults.preload import DISK_FULL, READ_ONLY, Preload
from linli_sim.faults.proxy import Proxy, Way
from linli_sim.faults.tally import CORRUPTION, Faulted, Loss, tally

NOTHING = Faulted((), frozenset(), (), {})
SERVED = {number: number * SECOND for number in range(1, 11)}


def test_a_plan_is_its_seeds_and_every_fault_comes() -> None:
    made = plan(7, 200)
    assert made == plan(7, 200) != plan(8, 200)
    faults = [planned.fault for planned in (*made.gateway, *made.platform)]
    assert len(faults) == 200
    assert set(faults) == set(Fault)
    assert all(0 < planned.seconds <= LONGEST for planned in made.gateway)
    assert len(plan(7, 3).gateway + plan(7, 3).platform) == 3


@pytest.fixture
def preload(tmp_path: Path) -> Preload:
    (tmp_path / "disk").mkdir()
    try:
        return Preload(tmp_path / "disk", tmp_path / "control")
    except NotBuilt as exc:
        pytest.skip(f"the fault bench's disk cannot be built: {exc}")


def run(preload: Preload, program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **preload.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, -9}, done.stderr
    return done.stdout


WRITES = """
import os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"aaaaaaaa", 0)
os.fsync(fd)
os.pwrite(fd, b"BBBB", 2)
os.write(fd, b"C")
os.ftruncate(fd, 4)
os.pwrite(fd, b"DDDD", 6)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        (0.0, b"aaaaaaaa"),
        (0.25, b"aaBBBBaa"),
        (0.5, b"CaBBBBaa"),
        (0.75, b"CaBB"),
        (1.0, b"CaBB\0\0DDDD"),
    ],
)
def test_a_power_cut_takes_what_was_not_synced_newest_first(
    preload: Preload, tmp_path: Path, kept: float, left: bytes
) -> None:
    file = tmp_path / "disk" / "file"
    run(preload, WRITES, str(file))
    assert file.read_bytes() == b"CaBB\0\0DDDD"
    assert preload.cut_power(kept) == round(4 * (1 - kept))
    assert file.read_bytes() == left


def test_what_was_replaced_since_is_left_alone_and_files_elsewhere_are_not_concerned(
    preload: Preload, tmp_path: Path
) -> None:
    file, elsewhere = tmp_path / "disk" / "file", tmp_path / "elsewhere"
    run(preload, WRITES, str(file))
    file.rename(tmp_path / "disk" / "other")
    file.write_bytes(b"new")
    preload.cut_power(0.0)
    assert file.read_bytes() == b"new"
    preload.begin()
    run(preload, WRITES, str(elsewhere))
    assert preload.cut_power(0.0) == 0
    assert elsewhere.read_bytes() == b"CaBB\0\0DDDD"


ERRORS = """
import json, os, sys
said = []
ways = (
    lambda: os.write(fd, b"x"), lambda: os.fsync(fd), lambda: os.ftruncate(fd, 0), lambda: open(sys.argv[1], "wb")
)
for how in ways:
    fd = os.open(sys.argv[1], os.O_RDONLY if len(sys.argv) > 2 else os.O_RDWR)
    try:
        how()
        said.append(0)
    except OSError as exc:
        said.append(exc.errno)
print(json.dumps(said))
"""


def test_a_disk_that_is_full_or_read_only_says_so(preload: Preload, tmp_path: Path) -> None:
    file = tmp_path / "disk" / "file"
    file.write_bytes(b"kept")
    preload.disk(DISK_FULL)
    assert json.loads(run(preload, ERRORS, str(file))) == [errno.ENOSPC] * 3 + [0]
    file.write_bytes(b"kept")
    preload.disk(READ_ONLY)
    assert json.loads(run(preload, ERRORS, str(file), "read"))[3] == errno.EROFS
    assert file.read_bytes() == b"kept"
    preload.disk()
    assert json.loads(run(preload, ERRORS, str(file))) == [0, 0, 0, 0]


@pytest.mark.parametrize("offset", [DAY, -DAY, 1_500_000, -1])
def test_a_clock_moves_and_the_steady_one_does_not(preload: Preload, offset: int) -> None:
    preload.clock(offset)
    program = "import time; print(time.time_ns(), int(time.time()), time.monotonic_ns())"
    before = time.time_ns(), time.monotonic_ns()
    exact, whole, steady = map(int, run(preload, program).split())
    after = time.time_ns(), time.monotonic_ns()
    assert before[0] <= exact - offset * 1000 <= after[0]
    assert abs(exact // 10**9 - whole) <= 1
    assert before[1] <= steady <= after[1]


def test_what_is_stored_once_is_sound() -> None:
    found = tally(SERVED, Counter(SERVED.keys()), 0, [], NOTHING)
    assert (found.readings, found.stored, found.sound) == (10, 10, True)


def test_what_is_missing_is_lost_unless_kill_or_ledger_explains_it() -> None:
    stored = Counter(number for number in SERVED if number not in {2, 5, 8})
    assert tally(SERVED, stored, 0, [], NOTHING).lost == 3
    by_message = Loss("e", 40, 41, CORRUPTION, None, None, None)
    by_time = Loss("e", 9, 9, "space", 8 * SECOND + DAY, 8 * SECOND + DAY, 1)
    faulted = Faulted(((SECOND, 2 * SECOND),), frozenset((CORRUPTION, "space")), ((7 * SECOND, DAY),), {41: [5, 6]})
    found = tally(SERVED, stored, 0, [by_message, by_time], faulted)
    assert (found.not_durable, found.evicted, found.lost, found.unexplained) == (1, 2, 0, 0)
    assert found.sound


def test_what_the_ledger_calls_lost_is_not_in_the_store() -> None:
    faulted = Faulted((), frozenset(("retention", "refused")), (), {40: [4], 41: [5, 6], 42: [7, 8], 43: []})
    stored = Counter(number for number in SERVED if number != 6)
    false = Loss("e", 40, 43, "retention", None, None, None)
    refused = Loss("e", 40, 40, "refused:time_out_of_range", None, None, 1)
    found = tally(SERVED, stored, 0, [false, refused], faulted)
    assert (found.evicted, found.lost, found.unexplained) == (1, 0, 2)
    assert [example.partition(" of ")[0] for example in found.examples] == [
        "in the ledger, and in the store: message 40",
        "in the ledger, and in the store: message 42",
    ]


def test_a_line_of_the_ledger_explains_no_more_readings_than_it_says() -> None:
    stored = Counter(number for number in SERVED if number not in {5, 6})
    line = Loss("e", 1, 1, "space", 5 * SECOND, 6 * SECOND, 1)
    found = tally(SERVED, stored, 0, [line], Faulted((), frozenset(("space",)), (), {}))
    assert (found.evicted, found.lost) == (1, 1)


@pytest.mark.parametrize(
    ("stored", "twice", "ledger", "wrong"),
    [
        ({1: 2}, 0, [], ("doubled", 1)),
        ({}, 3, [], ("doubled", 3)),
        ({11: 1}, 0, [], ("unexplained", 1)),
        ({}, 0, [Loss("e", 1, 1, "gap", None, None, None)], ("unexplained", 1)),
    ],
)
def test_what_is_doubled_made_up_or_without_a_fault_is_found(
    stored: Mapping[int, int], twice: int, ledger: list[Loss], wrong: tuple[str, int]
) -> None:
    found = tally(
        SERVED, Counter(SERVED.keys()) + Counter(dict.fromkeys(stored, 0)) | Counter(stored), twice, ledger, NOTHING
    )
    assert getattr(found, wrong[0]) == wrong[1]
    assert not found.sound
    assert found.lost == 0


async def test_a_stretch_of_network_fails_in_every_way() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def answered(port: int) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return b""
        try:
            writer.write(b"hello")
            return await reader.read(100)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    target: int = server.sockets[0].getsockname()[1]
    async with server, Proxy(lambda: target).listen() as proxy:
        assert await answered(proxy.port) == b"hello"
        proxy.become(Way.SLOW)
        assert await answered(proxy.port) == b"hello"
        proxy.become(Way.CUT)
        assert await answered(proxy.port) == b""
        for way in (Way.BLACK_HOLE, Way.HALF_OPEN):
            proxy.become(way)
            asking = asyncio.create_task(answered(proxy.port))
            done, _ = await asyncio.wait([asking], timeout=0.05)
            assert not done
            # What was swallowed stays so: the connection ends, the next one is whole again.
            proxy.become(Way.OPEN)
            assert await asking in {b"", b"hello"}
            assert await answered(proxy.port) == b"hello"
