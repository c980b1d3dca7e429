"""Commands: nothing that is not allowed, nothing twice, nothing too late, everything on record."""

import asyncio
import stat
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linli_core.errors import ConfigError, LogError, WriteRefusal, WriteRefused
from linli_core.instant import DAY, HOUR, MINUTE, Instant
from linli_core.wire.command import Command, Reply
from linli_edge.commands import Allowed, CommandDesk, CommandSettings
from linli_edge.commands.ledger import KEPT, Ledger
from linli_edge.commands.local import ask, door
from linli_edge.commands.write import show
from linli_edge.config.gateway import parse_config
from linli_edge.config.table import ConfigErrors
from linli_edge.driver import WriteOutcome, WriteRequest

NOW: Instant = 1_790_000_000_000_000
SETPOINT = "cold-1/temperature_setpoint"
RELAY = "meter-7/supply_closed"
SETTINGS = CommandSettings(
    enabled=True,
    allow=(
        Allowed("cold-1", frozenset({"temperature_setpoint"}), -25.0, -15.0, confirm=False),
        Allowed("meter-7", frozenset({"supply_closed"})),
    ),
)


@dataclass
class FakeLine:
    devices: frozenset[str] = frozenset({"cold-1", "meter-7"})
    requests: list[WriteRequest] = field(default_factory=list)
    outcome: WriteOutcome = field(default_factory=lambda: WriteOutcome(ok=True, before=-20.0, after=-18.5))
    error: Exception | None = None
    hold: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, request: WriteRequest) -> WriteOutcome:
        self.requests.append(request)
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return self.outcome


class Desk:
    """A desk, its one line, its record and its clock."""

    def __init__(self, folder: Path, settings: CommandSettings = SETTINGS) -> None:
        self.line = FakeLine()
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.now = NOW
        self.recording = True
        ledger = Ledger(folder / "commands.jsonl")
        ledger.load(NOW)
        self.desk = CommandDesk(settings, ledger, [self.line], self._record, lambda: self.now)

    def _record(self, name: str, subject: str, data: dict[str, object]) -> bool:
        self.events.append((name.removeprefix("linli.command."), subject, data))
        return self.recording

    @property
    def steps(self) -> list[str]:
        return [name for name, _, _ in self.events]

    async def write(self, name: str, point: str, value: Any, *, lifetime: int = MINUTE, via: str = "platform") -> Reply:
        reply = await self.desk.handle(
            name, Command("write", {"point": point, "value": value}, self.now + lifetime, "li"), via
        )
        assert reply is not None
        return reply

    async def confirm(self, name: str, code: str) -> Reply:
        reply = await self.desk.handle(name, Command("confirm", {"code": code}, self.now + MINUTE, "wang"), "platform")
        assert reply is not None
        return reply


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def reason(reply: Reply) -> object:
    assert not reply.ok
    assert reply.result["state"] == "refused"
    return reply.result["reason"]


async def test_an_allowed_write_is_carried_out_and_on_record(desk: Desk) -> None:
    desk.line.outcome = WriteOutcome(ok=True, before=Decimal("-20.0"), after=Decimal("-18.5"))
    reply = await desk.write("c-1", SETPOINT, -18.5)
    assert reply == Reply(ok=True, result={"state": "done", "before": -20.0, "after": -18.5})
    assert desk.line.requests == [WriteRequest("c-1", SETPOINT, -18.5, NOW + MINUTE, "li")]
    about = {"id": "c-1", "command": "write", "by": "li", "via": "platform", "wanted": -18.5}
    assert desk.events == [
        ("begun", SETPOINT, about),
        ("done", SETPOINT, about | {"before": -20.0, "after": -18.5}),
    ]


async def test_what_the_device_holds_instead_is_told(desk: Desk) -> None:
    desk.line.outcome = WriteOutcome(ok=False, before=-20.0, after=-20.0, error="it holds another value")
    reply = await desk.write("c-1", SETPOINT, -18.5)
    assert reply == Reply(False, {"state": "failed", "before": -20.0, "after": -20.0}, "it holds another value")
    assert desk.steps == ["begun", "failed"]
    assert desk.events[1][2]["error"] == "it holds another value"


@pytest.mark.parametrize(
    ("point", "value", "expected"),
    [
        ("cold-1/defrost", 1, WriteRefusal.NOT_ALLOWED),
        ("cold-2/temperature_setpoint", -18.0, WriteRefusal.NOT_ALLOWED),
        ("", 1, WriteRefusal.NOT_ALLOWED),
        (SETPOINT, -14.9, WriteRefusal.BAD_VALUE),
        (SETPOINT, "-18", WriteRefusal.BAD_VALUE),
        (SETPOINT, True, WriteRefusal.BAD_VALUE),
    ],
)
async def test_what_is_not_allowed_never_reaches_the_line(
    desk: Desk, point: str, value: Any, expected: WriteRefusal
) -> None:
    assert reason(await desk.write("c-1", point, value)) == expected
    assert desk.line.requests == []
    assert desk.steps == ["refused"]
    assert desk.events[0][2]["reason"] == expected


async def test_everything_is_off_until_it_is_switched_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CommandSettings(allow=SETTINGS.allow))
    assert reason(await desk.write("c-1", SETPOINT, -18.0)) == WriteRefusal.DISABLED
    local = Desk(tmp_path, CommandSettings(enabled=True, remote=False, allow=SETTINGS.allow))
    assert reason(await local.write("c-2", SETPOINT, -18.0)) == WriteRefusal.DISABLED
    assert (await local.write("c-3", SETPOINT, -18.0, via="local")).ok


async def test_a_command_in_time_only(desk: Desk) -> None:
    assert reason(await desk.write("c-1", SETPOINT, -18.0, lifetime=-1)) == WriteRefusal.EXPIRED
    assert reason(await desk.write("c-2", SETPOINT, -18.0, lifetime=DAY + 1)) == WriteRefusal.BAD_VALUE
    desk.line.error = WriteRefused(WriteRefusal.EXPIRED, "it expired while it waited for the line")
    assert reason(await desk.write("c-3", SETPOINT, -18.0)) == WriteRefusal.EXPIRED
    assert desk.steps == ["refused", "refused", "begun", "refused"]


async def test_an_unknown_name_and_a_device_on_no_line(desk: Desk) -> None:
    command = Command("reboot", {}, NOW + MINUTE)
    reply = await desk.desk.handle("c-1", command, "platform")
    assert reply is not None
    assert reason(reply) == WriteRefusal.BAD_VALUE
    desk.line.devices = frozenset()
    assert reason(await desk.write("c-2", SETPOINT, -18.0)) == WriteRefusal.UNKNOWN_POINT


async def test_the_same_id_runs_once_and_gets_the_same_answer(desk: Desk) -> None:
    first = await desk.write("c-1", SETPOINT, -18.0)
    assert await desk.write("c-1", SETPOINT, -16.0) == first
    assert len(desk.line.requests) == 1


async def test_while_it_runs_its_double_is_passed_over(desk: Desk) -> None:
    desk.line.hold = asyncio.Event()
    command = Command("write", {"point": SETPOINT, "value": -18.0}, NOW + MINUTE)
    first = asyncio.create_task(desk.desk.handle("c-1", command, "platform"))
    await desk.line.asked.wait()
    assert await desk.desk.handle("c-1", command, "platform") is None
    desk.line.hold.set()
    reply = await first
    assert reply is not None
    assert reply.ok
    assert len(desk.line.requests) == 1


async def test_what_cannot_be_recorded_is_not_done(desk: Desk) -> None:
    desk.recording = False
    assert reason(await desk.write("c-1", SETPOINT, -18.0)) == WriteRefusal.TOO_MANY
    assert desk.line.requests == []


async def test_a_write_that_a_power_cut_broke_off_is_told_at_the_next_start(desk: Desk, tmp_path: Path) -> None:
    desk.line.hold = asyncio.Event()
    running = asyncio.create_task(desk.write("c-1", SETPOINT, -18.5))
    await desk.line.asked.wait()
    # What is on the disk now is all that the next start has: nobody was told of an end.
    after = Desk(tmp_path)
    assert after.steps == []
    after.recording = False
    after.desk.tell_unfinished()
    after.recording = True
    after.events.clear()
    after.desk.tell_unfinished()
    ((step, point, about),) = after.events
    assert (step, point) == ("failed", SETPOINT)
    assert (about["id"], about["wanted"], about["by"]) == ("c-1", -18.5, "li")
    assert about["error"] == "the gateway stopped; what it did is unknown"
    again = Desk(tmp_path)
    again.desk.tell_unfinished()
    assert again.steps == [], "told once"
    assert reason(await again.write("c-1", SETPOINT, -18.5)) == WriteRefusal.ALREADY_RUN
    running.cancel()
    await asyncio.wait([running])


async def test_an_end_is_forgotten_only_once_it_is_on_the_disk(tmp_path: Path) -> None:
    flushing, flushed = asyncio.Event(), asyncio.Event()

    async def durable() -> None:
        flushing.set()
        await flushed.wait()

    ledger = Ledger(tmp_path / "commands.jsonl")
    ledger.load(NOW)
    desk = CommandDesk(SETTINGS, ledger, [FakeLine()], lambda *_: True, lambda: NOW, durable)
    command = Command("write", {"point": SETPOINT, "value": -18.5}, NOW + MINUTE, "li")
    running = asyncio.create_task(desk.handle("c-1", command, "platform"))
    await flushing.wait()
    assert list(ledger.begun) == ["c-1"]
    flushed.set()
    assert (await running) is not None
    assert ledger.begun == {}


async def test_what_has_ended_is_not_told_again(desk: Desk, tmp_path: Path) -> None:
    await desk.write("c-1", SETPOINT, -18.5)
    desk.line.error = WriteRefused(WriteRefusal.EXPIRED, "too late")
    await desk.write("c-2", SETPOINT, -18.5)
    code = (await desk.write("c-3", RELAY, False)).result["code"]
    desk.line.error = None
    await desk.confirm("c-4", str(code))
    await desk.write("c-5", RELAY, False)
    after = Desk(tmp_path)
    after.desk.tell_unfinished()
    assert after.steps == []


async def test_an_id_does_not_run_again_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    await desk.write("c-1", SETPOINT, -18.0)
    again = Desk(tmp_path)
    assert reason(await again.write("c-1", SETPOINT, -18.0)) == WriteRefusal.ALREADY_RUN
    assert again.line.requests == []
    assert (await again.write("c-2", SETPOINT, -18.0)).ok


async def test_a_stop_in_the_middle_is_on_record(desk: Desk, tmp_path: Path) -> None:
    desk.line.hold = asyncio.Event()
    task = asyncio.create_task(desk.write("c-1", SETPOINT, -18.0))
    await desk.line.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.steps == ["begun", "failed"]
    assert "what it did is unknown" in desk.events[1][2]["error"]
    assert reason(await Desk(tmp_path).write("c-1", SETPOINT, -18.0)) == WriteRefusal.ALREADY_RUN


class TestTwoSteps:
    async def test_a_code_opens_one_write_once(self, desk: Desk) -> None:
        asked = await desk.write("c-1", RELAY, False)
        assert asked.ok
        assert asked.result["state"] == "to_be_confirmed"
        assert asked.result["expires_at"] == NOW + MINUTE
        assert desk.line.requests == []
        code = str(asked.result["code"])
        done = await desk.confirm("c-2", code)
        assert done.ok
        assert desk.line.requests == [WriteRequest("c-1", RELAY, False, NOW + MINUTE, "wang")]
        assert reason(await desk.confirm("c-3", code)) == WriteRefusal.NOT_CONFIRMED
        assert desk.steps == ["asked", "begun", "done", "refused"]
        assert desk.events[1][2]["asked_by"] == "li"
        assert desk.events[1][2]["wanted"] is False
        assert code not in repr(desk.events), "a record that holds the code would open the door to its readers"

    async def test_a_code_grows_old(self, desk: Desk) -> None:
        asked = await desk.write("c-1", RELAY, False, lifetime=HOUR)
        assert asked.result["expires_at"] == NOW + SETTINGS.confirm_within
        desk.now += SETTINGS.confirm_within + 1
        assert reason(await desk.confirm("c-2", str(asked.result["code"]))) == WriteRefusal.NOT_CONFIRMED
        assert desk.line.requests == []

    async def test_a_confirmation_makes_no_order_live_longer_than_it_was_given(self, desk: Desk) -> None:
        asked = await desk.write("c-1", RELAY, False)
        late = Command("confirm", {"code": str(asked.result["code"])}, NOW + HOUR, "wang")
        await desk.desk.handle("c-2", late, "platform")
        (request,) = desk.line.requests
        assert request.expires_at == NOW + MINUTE, "it would wait behind a dead line, and act an hour too late"

    async def test_a_confirmation_that_expires_first_ends_it_sooner(self, desk: Desk) -> None:
        asked = await desk.write("c-1", RELAY, False, lifetime=HOUR)
        soon = Command("confirm", {"code": str(asked.result["code"])}, NOW + MINUTE, "wang")
        await desk.desk.handle("c-2", soon, "platform")
        assert desk.line.requests[0].expires_at == NOW + MINUTE

    async def test_a_restart_between_the_steps_forgets_the_first(self, desk: Desk, tmp_path: Path) -> None:
        code = str((await desk.write("c-1", RELAY, False)).result["code"])
        again = Desk(tmp_path)
        assert reason(await again.confirm("c-2", code)) == WriteRefusal.NOT_CONFIRMED
        assert reason(await again.write("c-1", RELAY, False)) == WriteRefusal.ALREADY_RUN, "no second code for it"
        assert again.line.requests == []

    async def test_a_code_of_another_gateway_opens_nothing(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = Desk(tmp_path / "other")
        code = str((await desk.write("c-1", RELAY, False)).result["code"])
        await other.write("c-1", RELAY, False)
        assert reason(await other.confirm("c-2", code)) == WriteRefusal.NOT_CONFIRMED
        assert other.line.requests == []

    async def test_a_confirmation_that_comes_twice_acts_once(self, desk: Desk) -> None:
        code = str((await desk.write("c-1", RELAY, False)).result["code"])
        assert await desk.confirm("c-2", code) == await desk.confirm("c-2", code)
        assert len(desk.line.requests) == 1

    async def test_a_code_is_told_through_the_door_it_was_asked_at(self, desk: Desk) -> None:
        await desk.write("c-1", RELAY, False, via="local")
        overheard = await desk.write("c-1", RELAY, False)
        assert reason(overheard) == WriteRefusal.ALREADY_RUN, "the id stands in the record; the code does not"

    async def test_no_code_for_what_the_log_does_not_take(self, desk: Desk) -> None:
        desk.recording = False
        assert reason(await desk.write("c-1", RELAY, False)) == WriteRefusal.TOO_MANY

    @pytest.mark.parametrize("code", ["", "000000", "零"])
    async def test_no_code_is_guessed(self, desk: Desk, code: str) -> None:
        await desk.write("c-1", RELAY, False)
        assert reason(await desk.confirm("c-2", code)) == WriteRefusal.NOT_CONFIRMED
        assert desk.line.requests == []

    async def test_too_many_that_wait_push_the_oldest_out(self, desk: Desk) -> None:
        codes = [str((await desk.write(f"c-{n}", RELAY, False)).result["code"]) for n in range(17)]
        assert reason(await desk.confirm("d-0", codes[0])) == WriteRefusal.NOT_CONFIRMED
        assert (await desk.confirm("d-1", codes[1])).ok

    async def test_a_device_on_no_line_is_not_asked_about(self, desk: Desk) -> None:
        desk.line.devices = frozenset()
        assert reason(await desk.write("c-1", RELAY, False)) == WriteRefusal.UNKNOWN_POINT


class TestLedger:
    def test_it_survives_a_line_cut_off(self, tmp_path: Path) -> None:
        path = tmp_path / "commands.jsonl"
        ledger = Ledger(path)
        ledger.load(NOW)
        ledger.take_up("c-1", NOW)
        ledger.take_up("c-2", NOW)
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        cut = Ledger(path)
        cut.load(NOW)
        assert "c-1" in cut
        assert "c-2" not in cut, "it was not on the disk: it had not begun"
        cut.take_up("c-3", NOW)
        again = Ledger(path)
        again.load(NOW)
        assert all(name in again for name in ("c-1", "c-3"))

    def test_it_forgets_what_expired_long_ago(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "commands.jsonl")
        ledger.load(NOW)
        ledger.take_up("old", NOW - KEPT)
        ledger.take_up("new", NOW)
        again = Ledger(tmp_path / "commands.jsonl")
        again.load(NOW + 1)
        assert "new" in again
        assert "old" not in again

    async def test_a_clock_that_ran_ahead_at_a_start_forgets_no_id(self, tmp_path: Path) -> None:
        await Desk(tmp_path).write("c-1", SETPOINT, -18.0, lifetime=HOUR)
        Ledger(tmp_path / "commands.jsonl").load(NOW + 365 * DAY)
        again = Desk(tmp_path)
        assert reason(await again.write("c-1", SETPOINT, -18.0, lifetime=HOUR)) == WriteRefusal.ALREADY_RUN
        assert again.line.requests == []

    def test_a_full_one_makes_room_without_a_restart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("linli_edge.commands.ledger.MOST", 3)
        ledger = Ledger(tmp_path / "commands.jsonl")
        ledger.load(NOW)
        for place in range(3):
            ledger.take_up(f"c-{place}", NOW + place)
        with pytest.raises(LogError, match="within a week"):
            ledger.take_up("c-3", NOW + KEPT)
        ledger.take_up("c-3", NOW + 1 + KEPT + DAY)
        assert "c-3" in ledger
        assert "c-2" in ledger
        assert "c-0" not in ledger

    def test_a_disk_that_takes_nothing_stops_the_command(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "none" / "commands.jsonl")
        with pytest.raises(LogError, match="cannot be kept"):
            ledger.take_up("c-1", NOW)
        assert "c-1" not in ledger
        with pytest.raises(LogError, match="cannot be kept"):
            ledger.load(NOW)

    async def test_then_nothing_is_written(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path)
        (tmp_path / "commands.jsonl").unlink()
        (tmp_path / "commands.jsonl").mkdir()
        assert reason(await desk.write("c-1", SETPOINT, -18.0)) == WriteRefusal.TOO_MANY
        assert desk.line.requests == []

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(names=st.lists(st.sampled_from([f"c-{n}" for n in range(6)]), max_size=12), cuts=st.sets(st.integers(0, 11)))
    async def test_whenever_it_restarts_no_id_runs_twice(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[str], cuts: set[int]
    ) -> None:
        folder = tmp_path_factory.mktemp("ledger")
        desk = Desk(folder)
        requests = []
        for place, name in enumerate(names):
            if place in cuts:
                requests += desk.line.requests
                desk = Desk(folder)
            await desk.write(name, SETPOINT, -18.0)
        requests += desk.line.requests
        ran = [request.id for request in requests]
        assert sorted(ran) == sorted(set(names))


class TestConfiguration:
    RAW: ClassVar[dict[str, Any]] = {
        "gateway": {"id": "gw-1", "data": "var"},
        "uplink": {"host": "127.0.0.1"},
        "links": [{"id": "bus", "driver": "mbus", "host": "h", "port": 1, "devices": [{"id": "heat-1", "address": 1}]}],
    }

    def test_left_out_it_allows_nothing(self) -> None:
        config = parse_config(self.RAW, Path())
        assert config.commands == CommandSettings()
        assert not config.commands.enabled

    def test_what_is_allowed(self) -> None:
        line = {"device": "heat-1", "points": ["valve_open"], "maximum": 100.0, "confirm": False}
        commands = {"enabled": True, "confirm_within": "1 min", "allow": [line]}
        config = parse_config(self.RAW | {"commands": commands}, Path())
        assert config.commands.confirm_within == MINUTE
        (allowed,) = config.commands.allow
        assert (allowed.device, allowed.points, allowed.maximum, allowed.confirm) == (
            "heat-1",
            frozenset({"valve_open"}),
            100.0,
            False,
        )

    @pytest.mark.parametrize("point", ["relay_state", "water_valve_state", "gas_valve_state", "relay_state.c1"])
    def test_a_relay_or_valve_takes_two_steps_whatever_the_file_says(self, point: str) -> None:
        line = {"device": "heat-1", "points": ["valve_open", point], "confirm": False}
        with pytest.raises(ConfigErrors) as caught:
            parse_config(self.RAW | {"commands": {"enabled": True, "allow": [line]}}, Path())
        told = f"found false beside {point}; relays and valves of meters always take two steps: leave confirm out"
        assert str(caught.value) == f"commands.allow[0].confirm: {told}"
        parse_config(self.RAW | {"commands": {"enabled": True, "allow": [line | {"confirm": True}]}}, Path())

    def test_mistakes_are_told(self) -> None:
        lines = [
            {"device": "heat-2", "points": []},
            {"device": "heat-1", "points": ["valve_open"], "minimum": 5.0, "maximum": 4.0, "step": 1},
        ]
        with pytest.raises(ConfigErrors) as caught:
            parse_config(self.RAW | {"commands": {"enabled": "yes", "allow": lines}}, Path())
        assert str(caught.value).splitlines() == [
            'commands.enabled: found "yes"; write true or false, without quotes',
            'commands.allow[0].device: no device is called "heat-2"; known: heat-1',
            'commands.allow[0].points: found none; name the points, such as ["temperature_setpoint"]',
            "commands.allow[1].maximum: 4 is below minimum, 5; exchange the two",
            "commands.allow[1].step: unknown key; known here: device, points, minimum, maximum, confirm",
        ]


class TestLocalDoor:
    async def test_who_asks_is_told_by_the_kernel(self, tmp_path: Path) -> None:
        heard: list[tuple[str, Command, str]] = []

        async def handle(name: str, command: Command, via: str) -> Reply:
            heard.append((name, command, via))
            return Reply(ok=True, result={"state": "done"})

        async with door(tmp_path, handle):
            assert stat.S_IMODE((tmp_path / "commands.sock").stat().st_mode) == 0o600
            reply = await ask(tmp_path, "c-1", Command("write", {"point": RELAY, "value": True}, NOW, "li"))
        assert reply.ok
        ((name, command, via),) = heard
        assert (name, via) == ("c-1", "local")
        assert command.by.startswith("li (")
        assert command.args == {"point": RELAY, "value": True}
        assert not (tmp_path / "commands.sock").exists()

    @pytest.mark.parametrize(
        "said",
        [
            b"\n",
            b"{}\n",
            b"x" * 100_000 + b"\n",
            b'{"id":"A!","command":{"name":"w"',
            b'{"id":"c-1","command":{"name":"write","args":{"value":1' + b"0" * 400 + b'},"expires_at":1}}\n',
            b'{"id":"c-1","command":{"name":"write","args":{"point":"' + b"x" * 300 + b'"},"expires_at":1}}\n',
        ],
    )
    async def test_garbage_is_answered_and_goes_no_further(self, tmp_path: Path, said: bytes) -> None:
        async def handle(name: str, command: Command, via: str) -> Reply:
            raise AssertionError((name, command, via))

        async with door(tmp_path, handle):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "commands.sock")
            writer.write(said)
            writer.write_eof()
            assert b'"ok":false' in await reader.read()
            writer.close()

    async def test_without_a_gateway_it_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"no running gateway takes commands here; start the gateway"):
            await ask(tmp_path, "c-1", Command("write", {}, NOW))

    async def test_a_path_too_long_for_a_socket_leaves_the_gateway_running(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handle(name: str, command: Command, via: str) -> Reply:
            raise AssertionError((name, command, via))

        async with door(tmp_path / ("x" * 120), handle):
            assert "too long for a socket's path" in caplog.text

    async def test_a_gateway_that_stops_leaves_nobody_waiting(self, tmp_path: Path) -> None:
        begun = asyncio.Event()

        async def handle(_name: str, _command: Command, _via: str) -> Reply:
            begun.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async with door(tmp_path, handle):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "commands.sock")
            writer.write(b'{"id":"c-1","command":{"name":"write","args":{},"expires_at":1}}\n')
            await begun.wait()
        assert await reader.read() == b""
        writer.close()


class TestTelling:
    def test_a_person_is_told_in_their_language(self) -> None:
        done = Reply(ok=True, result={"state": "done", "before": None, "after": -18.5})
        assert show(SETPOINT, done, "en") == f"{SETPOINT}: was not known, is now -18.5 (read back from the device)."
        failed = Reply(ok=False, result={"state": "failed", "before": True, "after": True}, error="stuck")
        assert show(RELAY, failed, "zh") == f"{RELAY}：未达到要求。原值 true，现值 true。stuck"
        refused = Reply(ok=False, result={"state": "refused"}, error="no")
        assert show(RELAY, refused, "en") == f"{RELAY}: nothing was written. no"
