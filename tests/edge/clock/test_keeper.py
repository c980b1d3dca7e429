"""The shell around the gateway's time: what it asks, what it writes down, and in which order."""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from linli_core.instant import DAY, MINUTE, SECOND, Instant
from linli_core.model import Point, Reading
from linli_core.wire import senml
from linli_edge.clock import ClockKeeper, ClockMemory
from linli_edge.clock.keeper import WRITE_EVERY
from linli_edge.clock.sources import battery_clock, boot_id, since_boot
from linli_edge.outbox import Message, StoredMessage

TRUE: Instant = 1_790_000_000 * SECOND
POINT = Point("meter-1", "active_power")


@dataclass
class Machine:
    path: Path
    wall: Instant = TRUE - 30 * DAY
    steady: int = SECOND
    boot: str = "b1"
    synchronised: bool = False
    rtc: Instant | None = None

    def keeper(self) -> ClockKeeper:
        keeper = ClockKeeper(
            self.path,
            wall=lambda: self.wall,
            steady=lambda: self.steady,
            boot=lambda: self.boot,
            synchronised=lambda: self.synchronised,
            rtc=lambda: self.rtc,
        )
        keeper.look()
        return keeper

    def written(self) -> ClockMemory:
        return msgspec.json.decode(self.path.read_bytes(), type=ClockMemory)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "clock.json")


def at_of(message: StoredMessage) -> Instant:
    first = msgspec.json.decode(message.body, type=list[dict[str, object]])[0]
    return round((float(str(first["bt"])) + float(str(first.get("t", 0)))) * SECOND)


def test_what_waits_goes_to_the_log_before_the_step_and_leaves_corrected(machine: Machine) -> None:
    keeper = machine.keeper()
    stored: list[StoredMessage] = []

    def append(message: Message) -> int:
        stored.append(StoredMessage(len(stored) + 1, message.kind, message.body))
        return len(stored)

    log = keeper.log(append)
    stamped = keeper.now()

    def flush() -> None:
        log.append(Message("telemetry", senml.encode("gw", [Reading(POINT, 1.0, stamped)])))

    moved: list[tuple[int, Instant]] = []
    keeper.before_step = flush
    keeper.after_step = lambda by, began: moved.append((by, began))
    machine.steady += MINUTE
    era = machine.written().era
    assert era
    keeper.heard(TRUE, 0)
    assert machine.written().era == ""
    assert moved == [(30 * DAY - MINUTE, TRUE - 30 * DAY)]
    assert keeper.ready()
    sent = keeper.outgoing(stored[0])
    assert at_of(sent) == TRUE - MINUTE
    # A restart later it is still the same message, for the correction was written before it left.
    machine.steady += MINUTE
    assert machine.keeper().outgoing(stored[0]) == sent
    flush()
    assert keeper.outgoing(stored[1]) is stored[1]


def test_the_name_of_an_era_is_on_the_disk_before_it_is_used(machine: Machine) -> None:
    keeper = machine.keeper()
    assert keeper.provisional
    assert list(machine.written().eras) == [machine.written().era]


def test_a_platform_that_does_not_say_the_time_holds_nothing_up(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = machine.keeper()
    assert not keeper.ready()
    keeper.heard(None, 0)
    assert keeper.ready()
    assert "the platform does not say what time it is" in caplog.text
    assert keeper.provisional


def test_a_platform_whose_time_cannot_be_used_is_waited_for_a_minute_only(machine: Machine) -> None:
    keeper = machine.keeper()
    assert not keeper.ready()
    keeper.heard(TRUE, 20 * SECOND)
    machine.steady += MINUTE - 1
    assert not keeper.ready()
    machine.steady += 1
    assert keeper.ready()
    assert [era.doubt for era in machine.written().eras.values()] == [True]


def test_the_latest_time_known_is_written_now_and_then(machine: Machine) -> None:
    keeper = machine.keeper()
    keeper.heard(TRUE, 0)
    machine.steady += WRITE_EVERY - 1
    keeper.look()
    assert machine.written().last == TRUE
    machine.steady += 1
    keeper.look()
    assert machine.written().last == TRUE + WRITE_EVERY
    machine.boot, machine.steady = "b2", 0
    assert machine.keeper().now() == TRUE + WRITE_EVERY


def test_a_file_that_cannot_be_read_is_told_and_costs_no_start(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.path.write_bytes(b'{"boot":')
    assert machine.keeper().now() == machine.wall
    assert "cannot be read" in caplog.text


def test_a_disk_that_refuses_is_told_and_stops_nothing(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.path = tmp_path / "away" / "clock.json"
    keeper = machine.keeper()
    assert "cannot be written" in caplog.text
    keeper.heard(TRUE, 0)
    assert keeper.now() == TRUE
    machine.path.parent.mkdir()
    keeper.look()
    assert machine.written().source == "platform"


def test_the_log_says_whether_the_clock_is_trusted_and_since_when(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keeper = machine.keeper()
    keeper.heard(TRUE, 0)
    keeper.look()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "the clock is not trusted since 2026-08-22T14:13:20Z, source: none",
        "the time is taken from platform: a step of +2592000.000 s",
        "the clock is trusted since 2026-09-21T14:13:20Z, source: platform",
    ]


def test_only_a_battery_clock_that_the_system_was_set_by_counts(tmp_path: Path) -> None:
    assert battery_clock(tmp_path / "none") is None
    for name, set_by, seconds in (("rtc0", "0", "12"), ("rtc1", "1", "1790000000"), ("rtc2", "1", "5")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "hctosys").write_text(f"{set_by}\n")
        (folder / "since_epoch").write_text(f"{seconds}\n")
    assert battery_clock(tmp_path) == TRUE
    (tmp_path / "rtc1" / "since_epoch").write_text("soon\n")
    assert battery_clock(tmp_path) == 5 * SECOND


def test_this_machine_names_its_boot_and_counts_from_it() -> None:
    assert boot_id() == boot_id()
    assert since_boot() <= since_boot()
