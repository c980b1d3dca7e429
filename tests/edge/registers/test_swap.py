"""A meter that was exchanged: entered by command, recorded once in the log, running or not."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from linli_core.instant import DAY, MINUTE, SECOND, Instant, to_rfc3339
from linli_core.model import Point, Reading
from linli_core.vocabulary import vocabulary
from linli_edge.cli import main
from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.pipeline import Pipeline
from linli_edge.registers.billing import BillingSettings
from linli_edge.registers.book import Memory, RegisterBook, RegisterSettings
from linli_edge.registers.keeper import Keeper
from linli_edge.registers.memory import WRITE_EVERY, MemoryFile
from linli_edge.registers.swap import FOLDER, Swap, hand_over, waiting
from linli_edge.registers.watch import Baseline
from linli_edge.timekeeping import Timekeeper, wall_clock

NOW = 1_790_000_000 * SECOND
CONFIG = """
[gateway]
id = "gw-1"
data = "var"
[uplink]
host = "127.0.0.1"
port = 1
[[links]]
id = "bus-1"
driver = "modbus"
host = "127.0.0.1"
port = 1
[[links.devices]]
id = "meter-1"
unit = 1
profile = "eastron-sdm120"
"""
SWAP = Swap("meter-1", NOW, "Wang", {"energy_import": 5e6}, {"energy_import": 12.0}, old_serial="111", new_serial="222")


class Told:
    """Takes events instead of a pipeline."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, object], str]] = []
        self.full = False

    def tell(self, name: str, subject: str, data: dict[str, object], number: str = "") -> bool:
        if not self.full:
            self.events.append((name, subject, data, number))
        return not self.full

    def tell_of_registers(self) -> bool:
        """Nothing waits here."""
        return True


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


def book() -> RegisterBook:
    memory = Memory({"meter-1/energy_import": Baseline(4_999_000.0, NOW)}, {"meter-1": "111"})
    return RegisterBook(RegisterSettings(frozenset({"meter-1"})), vocabulary(), memory)


def keeper(registers: RegisterBook, told: Told, data: Path) -> Keeper:
    async def durable() -> None:
        pass

    return Keeper(registers, told, data, MemoryFile(data / "registers.json"), durable, Timekeeper(clock=lambda: NOW))


async def test_a_swap_that_waits_is_recorded_and_the_registers_begin_anew(tmp_path: Path) -> None:
    registers, told = book(), Told()
    path = hand_over(tmp_path, SWAP)
    await keeper(registers, told, tmp_path).look()
    assert not path.exists()
    ((name, subject, data, number),) = told.events
    assert (name, subject, number) == ("linli.device.swapped", "meter-1", path.stem)
    assert data == {
        "noticed_by": "operator",
        "by": "Wang",
        "swapped_at": to_rfc3339(NOW),
        "old_serial": "111",
        "new_serial": "222",
        "final": {"energy_import": 5e6},
        "start": {"energy_import": 12.0},
        "last_read": {"energy_import": 4_999_000.0},
    }
    assert registers.memory().baselines["meter-1/energy_import"].value == 12.0
    # What the meter says of itself afterwards is no second swap.
    assert registers.memory().serials == {"meter-1": "222"}


async def test_a_log_that_is_full_leaves_the_swap_waiting_under_its_number(tmp_path: Path) -> None:
    told = Told()
    told.full = True
    path = hand_over(tmp_path, SWAP)
    keeping = keeper(book(), told, tmp_path)
    await keeping.look()
    assert path.exists()
    told.full = False
    await keeping.look()
    assert not path.exists()
    assert [event[3] for event in told.events] == [path.stem]


async def test_a_file_that_is_no_swap_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for name, content in (("notes.json", "{}"), (f"{'0' * 32}.json", '{"device": 7}'), (f"{'1' * 32}.json", "x" * 99)):
        (tmp_path / FOLDER / name).write_text(content)
    found, wrong = waiting(tmp_path)
    assert (found, len(wrong)) == ([], 3)
    assert all("set aside" in text for text in wrong)
    assert {path.suffix for path in (tmp_path / FOLDER).iterdir()} == {".refused"}


async def test_memory_is_written_once_an_hour_and_read_after_a_restart(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "registers.json")
    assert file.read() == Memory()
    memory = book().memory()
    assert file.is_due(NOW)
    file.write(memory, NOW)
    assert MemoryFile(tmp_path / "registers.json").read() == memory
    assert not file.is_due(NOW + WRITE_EVERY - 1)
    assert file.is_due(NOW + WRITE_EVERY)
    assert file.is_due(NOW - SECOND)  # the clock was set back: how old it is, nobody knows


def test_memory_that_cannot_be_read_is_forgotten_not_fatal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "registers.json").write_text("{")
    assert MemoryFile(tmp_path / "registers.json").read() == Memory()
    assert "every register begins anew" in caplog.text


async def test_the_command_hands_it_over_and_a_gateway_that_starts_later_records_it(config: Path) -> None:
    data = config.parent / "var"
    command = [str(Path(sys.executable).parent / "linli-edge"), "swap", str(config), "meter-1", "--by", "Wang"]
    words = ["--old-final", "energy_import=5000kWh", "--new-start", "energy_import=12", "--lang", "zh"]
    process = await asyncio.create_subprocess_exec(*command, *words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    assert said == "meter-1 换表，登记人：Wang\n"
    told = Told()
    keeping = keeper(book(), told, data)

    async def recorded() -> None:
        while not told.events:
            await keeping.look()
            await asyncio.sleep(0)

    await recorded()
    rest = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert "正向有功电能 (energy_import): 5000000 Wh" in rest
    assert rest.endswith("已记入网关日志。\n")
    assert told.events[0][2]["final"] == {"energy_import": 5_000_000.0}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["meter-9", "--new-start", "energy_import=1"], 'DEVICE: no device is called "meter-9"; known: meter-1'),
        (["meter-1"], "swap: no value of either meter; give --old-final and --new-start for each register"),
        (["meter-1", "--old-final", "energy=1"], '--old-final: "energy" is no point; write one such as'),
        (["meter-1", "--old-final", "energy_import"], '"energy_import" is no register and its value'),
        (["meter-1", "--new-start", "voltage=230"], "--new-start: voltage is no cumulative register; leave it out"),
        (["meter-1", "--new-start", "energy_import=1m3"], '--new-start: "m3" is no unit of energy_import'),
    ],
)
def test_what_makes_no_sense_is_told(
    words: list[str], text: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["swap", str(config), *words]) == 2
    assert text in capsys.readouterr().err
    assert not (config.parent / "var").exists()


async def test_a_restart_between_log_and_file_records_it_under_one_number(tmp_path: Path) -> None:
    """What is in the log twice has one id, by which the platform keeps one."""
    async with Outbox.open(tmp_path / "outbox.db", OutboxLimits(), wall_clock) as outbox:
        path = hand_over(tmp_path, SWAP)
        content = path.read_bytes()
        for _ in range(2):
            path.write_bytes(content)
            registers = book()
            pipeline = Pipeline(
                "gw-1",
                outbox,
                encode_pack=lambda *_: b"",
                bounds=lambda _: (None, None),
                time=Timekeeper(),
                registers=registers,
            )
            memory = MemoryFile(tmp_path / "registers.json")
            await Keeper(registers, pipeline, tmp_path, memory, outbox.flush, Timekeeper()).look()
        messages = await outbox.read([1, 2])
    assert [json.loads(message.body)["id"] for message in messages] == [path.stem] * 2


async def test_a_swap_entered_while_the_gateway_was_off_keeps_its_day(tmp_path: Path) -> None:
    """It is recorded three days later; what the new meter has counted since then is no implausible rise."""
    registers, told = book(), Told()
    hand_over(tmp_path, msgspec.structs.replace(SWAP, at=NOW - 3 * DAY))
    await keeper(registers, told, tmp_path).look()
    assert told.events[0][2]["swapped_at"] == to_rfc3339(NOW - 3 * DAY)
    assert registers.memory().baselines["meter-1/energy_import"] == Baseline(12.0, NOW - 3 * DAY)


async def test_a_boundary_that_was_told_is_not_told_again_as_missing_after_a_power_cut(tmp_path: Path) -> None:
    """Nothing is written on the way down: what was on disk a moment after the boundary must do."""
    point, boundary = Point("meter-1", "energy_import"), BillingSettings().boundary(NOW) + 15 * MINUTE
    settings = RegisterSettings(frozenset({"meter-1"}), billing=BillingSettings())
    steps: list[str] = []

    def started(now: list[Instant]) -> tuple[RegisterBook, Keeper, list[dict[str, object]]]:
        memory = MemoryFile(tmp_path / "registers.json")
        registers = RegisterBook(settings, vocabulary(), memory.read())
        told: list[dict[str, object]] = []

        class Log(Told):
            def tell_of_registers(self) -> bool:
                told.extend(data for _, _, data in registers.take_events(now[0]))
                return True

        async def durable() -> None:
            steps.append(f"log on disk, memory of {memory.read().billing.closed}")

        return registers, Keeper(registers, Log(), tmp_path, memory, durable, Timekeeper(clock=lambda: now[0])), told

    now = [boundary - MINUTE]
    registers, keeping, told = started(now)
    await keeping.look()
    now[0] = boundary + SECOND
    follow = registers.follower(point)
    assert follow is not None
    follow(Reading(point, 5_000_000.0, now[0]))
    await keeping.look()
    assert [line["mark"] for data in told for line in data["registers"]] == ["exact"]  # type: ignore[attr-defined]
    # The log came first: memory was still that of the boundary before.
    assert steps[-1] == f"log on disk, memory of {boundary - 15 * MINUTE}"

    now[0] = boundary + 12 * MINUTE
    _, keeping, told = started(now)
    await keeping.look()
    assert told == []
