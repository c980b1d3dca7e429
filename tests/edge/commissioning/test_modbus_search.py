"""The search as a state machine: a line of the test's own answers; nothing is opened, no time passes."""

import itertools
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError
from linli_edge.commissioning.modbus_search import LONG_PATIENCE, SERIAL_PATIENCE, ModbusSearch
from linli_edge.commissioning.scanner import Found, Heard, Probe, Wanted, load
from linli_edge.commissioning.target import Target, parse_link
from linli_edge.transport.settings import SerialSettings
from linli_sim.modbus_frames import rtu

PORT = "/dev/ttyTEST"


@dataclass
class HalfDuplex:
    """A line in the head: who answers after how long; a late answer reaches the next question, or collides with it."""

    delays: dict[int, int]
    baud: int = 9600
    colliding: bool = False
    twins: set[int] = field(default_factory=set)
    late: bytes = b""
    asked: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, probe: Probe) -> Heard:
        assert isinstance(probe.setting, SerialSettings)
        data, self.late = self.late, b""
        if probe.setting.baud != self.baud:
            return Heard()
        if not probe.data:
            return Heard(data, 0 if data else None)
        unit, function = probe.data[0], probe.data[1]
        self.asked.append((unit, function))
        delay = self.delays.get(unit)
        answer = rtu(unit, bytes((function, 2, 0, 7)) if function in {3, 4} else bytes((function | 0x80, 1)))
        if unit in self.twins:
            return Heard(b"\x00\x81" + answer[2:], 20_000)
        if delay is None:
            return Heard(data, 5_000 if data else None)
        if delay > probe.patience:
            self.late = b"\x7e" + answer[3:] if self.colliding else answer
            return Heard(data, 5_000 if data else None)
        return Heard(data + answer, delay)


def search(ids: str = "1-20", *, identify: bool = False, bauds: tuple[int, ...] = (9600,)) -> ModbusSearch:
    first, last = map(int, ids.split("-"))
    return ModbusSearch(Wanted(parse_link(PORT), bauds, ("even",), ((first, last),), identify=identify))


def finish(machine: ModbusSearch, line: HalfDuplex) -> list[Found]:
    found: list[Found] = []
    while (probe := machine.next()) is not None:
        found += machine.take(line.ask(probe))
    return found


def hints(machine: ModbusSearch) -> dict[str, object]:
    return {hint.kind: hint.values.get("ids") for hint in machine.hints()}


@given(st.dictionaries(st.integers(1, 20), st.integers(1, LONG_PATIENCE - 1), max_size=6), st.booleans())
def test_whoever_answers_is_found_however_slow(delays: dict[int, int], colliding: bool) -> None:
    machine = search()
    # Two slow ones in a row spoil each other only where both collide; the patient pass finds them too.
    found = finish(machine, HalfDuplex(delays, colliding=colliding))
    assert sorted(int(device.address) for device in found) == sorted(delays)
    assert {device.address for device in machine.found()} == {device.address for device in found}


def test_an_empty_line_costs_exactly_what_was_said() -> None:
    machine = search("1-247")
    estimate = machine.estimate()
    assert estimate.probes == 248
    # Eight characters of eleven bits at 9,600 bit/s are 9,166.67 µs: rounded up.
    assert estimate.time == 247 * (9167 + SERIAL_PATIENCE) + LONG_PATIENCE
    assert estimate.parts == ("9600 8E1: 247 × (9.2 ms + 150 ms) + 1.2 s = 40.5 s",)
    line = HalfDuplex({})
    assert finish(machine, line) == []
    assert len(line.asked) == 247
    assert machine.estimate().time == 0
    assert set(hints(machine)) == {"nobody"}


def test_only_the_right_speed_is_answered_and_every_setting_is_tried() -> None:
    machine = search(bauds=(2400, 9600))
    found = finish(machine, HalfDuplex({3: 40_000}))
    assert [(device.setting.place, device.address) for device in found] == [(f"{PORT} 9600 8E1", "3")]


def test_two_devices_with_one_id_are_a_hint_and_no_device() -> None:
    machine = search()
    assert finish(machine, HalfDuplex({5: 20_000}, twins={5})) == []
    # The id before is a suspect, too, until it is asked again and stays silent.
    assert hints(machine) == {"collision": "5"}


def test_a_late_answer_is_booked_on_whom_it_comes_from() -> None:
    machine = search()
    found = finish(machine, HalfDuplex({7: 400_000}))
    assert [device.address for device in found] == ["7"]
    assert found[0].delay > SERIAL_PATIENCE
    assert hints(machine) == {"late": "7"}


def test_the_last_id_may_be_late_too() -> None:
    machine = search("20-20")
    assert [device.address for device in finish(machine, HalfDuplex({20: 900_000}))] == ["20"]


@given(st.integers(0, 60))
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not(stop_at: int) -> None:
    def line() -> HalfDuplex:
        return HalfDuplex({2: 10_000, 9: 500_000, 15: 700_000}, colliding=True, twins={12})

    whole, whole_line = search(identify=True), line()
    finish(whole, whole_line)
    first, same_line = search(identify=True), line()
    for _ in range(stop_at):
        if (probe := first.next()) is None:
            break
        first.take(same_line.ask(probe))
    kept = json.loads(json.dumps(first.state()))
    second = ModbusSearch(Wanted(parse_link(PORT), (9600,), ("even",), ((1, 20),)), kept)
    finish(second, same_line)
    assert same_line.asked == whole_line.asked
    assert second.found() == whole.found()
    assert second.hints() == whole.hints()


def test_a_state_of_another_search_is_refused() -> None:
    kept = search().state()
    with pytest.raises(ValueError, match="another"):
        ModbusSearch(Wanted(parse_link(PORT), (9600,), ("even",), ((1, 21),)), kept)
    scanner = load("modbus")
    for broken in ({}, {"settings": 3}, {**kept, "visits": [{"swept": "x"}]}):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever way it is broken
            scanner.start(Wanted(parse_link(PORT), (9600,), ("even",), ((1, 20),)), broken)


def test_who_a_device_is() -> None:
    common = bytearray(132)
    common[0:4] = b"\x00\x01\x00\x42"
    common[4:8] = b"Acme"
    common[36:41] = b"INV-5"
    common[100:103] = b"S77"
    answers = {
        b"\x03\x9c\x40\x00\x02": b"\x03\x04SunS",
        b"\x03\x9c\x42\x00\x42": b"\x03\x84" + bytes(common),
    }
    machine = search("4-4", identify=True)

    def ask(probe: Probe) -> Heard:
        pdu = probe.data[1:-2]
        if not pdu:
            return Heard()
        return Heard(rtu(4, answers.get(pdu, bytes((pdu[0] | 0x80, 2)))), 12_000)

    found = list(itertools.chain.from_iterable(machine.take(ask(probe)) for probe in iter(machine.next, None)))
    assert [device.title for device in found] == ["Acme INV-5"]
    assert found[0].facts == {"sunspec": "40000", "maker": "Acme", "model": "INV-5", "serial": "S77"}


def test_an_echo_is_no_device() -> None:
    machine = search("1-3")
    while (probe := machine.next()) is not None:
        machine.take(Heard(probe.data, None))
    assert machine.found() == []
    assert set(hints(machine)) == {"echo", "nobody"}


def test_a_gateways_word_for_a_silent_unit_is_no_device() -> None:
    target = parse_link("tcp://192.0.2.1")
    machine = ModbusSearch(Wanted(target, addresses=((1, 3),), identify=False))
    while (probe := machine.next()) is not None:
        head = probe.data[:2] + b"\x00\x00"
        pdu = b"\x83\x0b" if probe.data[6:7] != b"\x02" else b"\x03\x02\x00\x01"
        machine.take(Heard(head + (len(pdu) + 1).to_bytes(2, "big") + probe.data[6:7] + pdu if probe.data else b"", 9))
    assert [device.address for device in machine.found()] == ["2"]


def test_a_device_that_does_not_look_at_the_id_is_one_device() -> None:
    machine = search("1-9")
    finish(machine, HalfDuplex(dict.fromkeys(range(1, 10), 5_000)))
    assert "every_id" in hints(machine)


def test_speeds_of_a_converter_are_set_at_the_converter() -> None:
    with pytest.raises(ConfigError, match="set speed and parity at the converter"):
        ModbusSearch(Wanted(parse_link("rtu+tcp://192.0.2.1:4001"), bauds=(9600,)))


@pytest.mark.parametrize(
    ("text", "framing"),
    [("tcp://h:1502", "tcp"), ("tcp://[::1]", "tcp"), ("rtu+tcp://h:4001", "rtu"), ("/dev/ttyS0", "rtu")],
)
def test_links_on_the_command_line(text: str, framing: str) -> None:
    assert parse_link(text) == Target(text, "modbus", parse_link(text).transport, framing)


@pytest.mark.parametrize("text", ["", "ttyS0", "http://h", "tcp://", "tcp://h:x", "tcp://h/path", "rtu+tcp://h"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(ConfigError, match="rtu"):
        parse_link(text)
