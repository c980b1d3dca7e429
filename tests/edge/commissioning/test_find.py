"""Which registers say what a display shows: in the head first, then as a process on a line."""

import json
import os
import struct
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError, LinkTimeout
from linli_edge.commissioning.find_display import parse_display, parse_tolerance
from linli_edge.commissioning.find_match import agreeing, confirmed, matches, raw_value
from linli_edge.commissioning.find_sweep import RegisterSweep
from linli_edge.commissioning.scanner import Heard
from linli_edge.commissioning.target import parse_link
from linli_edge.drivers.modbus.registers import DataType, WordOrder
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_frames import RtuFrames
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer
from linli_sim.sick_line import SickLine, Sickness

from .conftest import Run

SWAPPED = {
    "ABCD": (0, 1, 2, 3),
    "CDAB": (2, 3, 0, 1),
    "BADC": (1, 0, 3, 2),
    "DCBA": (3, 2, 1, 0),
}


def words(packed: bytes, order: str = "ABCD") -> list[int]:
    """Return a 32-bit value as registers, in the order a manual names."""
    return list(struct.unpack(">2H", bytes(packed[place] for place in SWAPPED[order])))


def image(table: str, address: int, *registers: int) -> dict[str, dict[int, int]]:
    return {table: dict(enumerate(registers, start=address))}


class TestDisplays:
    def test_a_number_alone(self) -> None:
        display = parse_display("1234,50")
        assert (display.value, display.decimals, display.point, display.label) == (
            Fraction("1234.5"),
            2,
            None,
            "display",
        )

    def test_a_name_a_phase_and_a_unit(self) -> None:
        display = parse_display("voltage.l1=231.4")
        assert (display.label, display.unit) == ("voltage.l1", "V")
        assert parse_display("energy_import=1.5 MWh").unit == "MWh"
        # The beginning of a name stands for the first quantity that has it; a display shows kWh.
        assert (parse_display("energy=1").label, parse_display("energy=1").unit) == ("energy_import", "kWh")
        assert parse_display("25.1 °C", "temperature").unit == "Cel"
        # As a Chinese keyboard writes it.
        wide = parse_display("water_volume=１２.５ m³")
        assert (wide.value, wide.unit) == (Fraction("12.5"), "m3")
        assert parse_display("temperature=25.1℃").unit == "Cel"
        assert parse_display("relative_humidity=45％").unit == "%RH"

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("", "write what the display shows"),
            ("12..5", "write what the display shows"),
            ("=5", "write what the display shows"),
            ("blorb=5", 'no quantity is called "blorb"'),
            ("voltage=5 kWh", "write one of"),
            ("1,234", "nothing between thousands"),
            ("voltage.l9=5", "write the phase or tariff behind a dot"),
        ],
    )
    def test_what_is_no_display(self, written: str, said: str) -> None:
        with pytest.raises(ConfigError, match=r"--display: .*") as caught:
            parse_display(written)
        assert said in str(caught.value)

    def test_tolerances(self) -> None:
        assert parse_tolerance("0.5%") == Fraction(1, 200)
        with pytest.raises(ConfigError, match="write a share"):
            parse_tolerance("0.5")


@given(st.sampled_from(list(SWAPPED)), st.integers(10_000, 99_999_999), st.integers(-3, 0))
def test_an_integer_of_any_order_and_scale_is_among_the_candidates(order: str, raw: int, exponent: int) -> None:
    value = raw * Fraction(10) ** exponent
    shown = f"{float(value):.{-exponent}f}"
    registers = words(raw.to_bytes(4, "big"), order)
    found = matches(image("holding", 100, *registers), parse_display(shown))
    assert ("holding", 100, "uint32", order, exponent) in {candidate.key for candidate in found}


@given(st.sampled_from(list(SWAPPED)), st.integers(1000, 999_999))
def test_a_float_of_any_order_is_among_the_candidates(order: str, tenths: int) -> None:
    registers = words(struct.pack(">f", tenths / 10), order)
    found = matches(image("input", 6, *registers), parse_display(f"{tenths / 10:.1f}"))
    assert ("input", 6, "float32", order, 0) in {candidate.key for candidate in found}


@given(st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4), st.sampled_from(list(DataType)))
def test_any_registers_are_read_without_error(registers: list[int], kind: DataType) -> None:
    if kind.registers:
        for order in WordOrder:
            raw_value(registers[: kind.registers], kind, order)


def test_a_display_that_cuts_and_one_that_rounds() -> None:
    registers = image("holding", 0, 23149)
    assert any(candidate.exponent == -2 for candidate in matches(registers, parse_display("231.4")))
    assert any(candidate.exponent == -2 for candidate in matches(registers, parse_display("231.5")))
    assert not any(candidate.exponent == -2 for candidate in matches(registers, parse_display("231.6")))


def test_the_likely_layout_stands_first() -> None:
    floats = [word for value in (231.4, 230.9, 232.2) for word in words(struct.pack(">f", value))]
    best = matches(image("input", 0, *floats), parse_display("voltage=230.9"))[0]
    assert best.key == ("input", 2, "float32", "ABCD", 0)
    counter = matches(image("holding", 0, 0x0001, 0xE240, 7, 9), parse_display("energy=1234.56"))[0]
    assert counter.key == ("holding", 0, "uint32", "ABCD", -2)


def test_several_displays_support_each_other() -> None:
    # 2314 stands twice: once among integers like the current's, once alone in the other table.
    registers = {"holding": {0: 2314, 1: 525}, "input": {40: 2314}}
    displays = [parse_display("voltage=231.4"), parse_display("current=5.25")]
    found = agreeing({display.label: matches(registers, display) for display in displays})
    assert found["voltage"][0].table == "holding"


def test_a_second_look_narrows() -> None:
    first = {"holding": {0: 2314, 9: 2314}}
    candidates = matches(first, parse_display("voltage=231.4"))
    assert {candidate.address for candidate in candidates} == {0, 9}
    second = {"holding": {0: 2314, 9: 2330}}
    assert {candidate.address for candidate in confirmed(candidates, second, parse_display("voltage=233.0"))} == {9}


def answered(unit: Unit, sweep: RegisterSweep) -> int:
    """Let a unit answer a whole sweep; return how many questions it took."""
    questions = 0
    while (probe := sweep.next()) is not None:
        heard = Heard()
        for request in RtuFrames().receive(probe.data):
            questions += 1
            heard = Heard(RtuFrames().answer(request, unit.answer(request.pdu)), 20_000)
        sweep.take(heard)
    return questions


class TestSweep:
    def test_a_device_that_gives_everything_is_read_in_whole_blocks(self) -> None:
        unit = Unit()
        unit.put("holding", 0, range(1000))
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 999)], ["holding"])
        assert sweep.estimate().probes == 10
        assert answered(unit, sweep) == 10
        assert sweep.image == {"holding": {address: address for address in range(1000)}}

    @given(st.sets(st.integers(0, 199), max_size=30))
    def test_below_200_every_register_is_found_whatever_the_holes(self, present: set[int]) -> None:
        unit = Unit()
        for address in present:
            unit.put("input", address, [address])
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 199)], ["input"])
        most = sweep.at_most()
        questions = answered(unit, sweep)
        assert set(sweep.image["input"]) == present
        assert questions * 60_000 <= 2 * most

    def test_a_desert_costs_what_was_said(self) -> None:
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 4999)], ["holding"])
        refusal = 9167 + 50_000 + 5730
        questions = answered(Unit(), RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 4999)], ["holding"]))
        assert sweep.at_most() == questions * refusal

    def test_an_island_far_out_is_found_whole(self) -> None:
        unit = Unit()
        unit.put("holding", 3000, range(7, 60))
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(2900, 3199)], ["holding"])
        answered(unit, sweep)
        assert set(sweep.image["holding"]) == set(range(3000, 3053))

    def test_a_function_the_device_does_not_know_ends_its_table(self) -> None:
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 999)], ["input", "holding"])
        probe = sweep.next()
        assert probe is not None
        request = RtuFrames().receive(probe.data)[0]
        sweep.take(Heard(RtuFrames().answer(request, b"\x84\x01"), 9))
        assert sweep.estimate().probes == 10

    def test_a_device_that_is_not_there_ends_the_sweep(self) -> None:
        sweep = RegisterSweep(parse_link("/dev/ttyS0"), 1)
        # Two silences, each with its listening after it; the third is enough.
        for _ in range(4):
            assert sweep.next() is not None
            sweep.take(Heard())
        sweep.next()
        with pytest.raises(LinkTimeout, match="no answer to 3 questions"):
            sweep.take(Heard())

    @given(st.integers(0, 40))
    def test_stopped_and_gone_on_with(self, stop_at: int) -> None:
        unit = Unit()
        unit.put("holding", 0, range(50))
        unit.put("holding", 60, range(20))
        first = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 199)], ["holding"])
        for _ in range(stop_at):
            if (probe := first.next()) is None:
                break
            request = RtuFrames().receive(probe.data)[0]
            first.take(Heard(RtuFrames().answer(request, unit.answer(request.pdu)), 20_000))
        kept = json.loads(json.dumps(first.state()))
        second = RegisterSweep(parse_link("/dev/ttyS0"), 1, [(0, 199)], ["holding"], kept)
        answered(unit, second)
        assert set(second.image["holding"]) == {*range(50), *range(60, 80)}
        with pytest.raises(ValueError, match="another"):
            RegisterSweep(parse_link("/dev/ttyS0"), 2, [(0, 199)], ["holding"], kept)


def meter() -> Unit:
    unit = Unit()
    for place, value in enumerate((231.4, 0.0, 5.25, 1214.9, 50.01)):
        unit.put("input", 2 * place, words(struct.pack(">f", value)))
    unit.put("input", 0x48, words(struct.pack(">f", 1234.56)))
    unit.put("input", 0x4A, words(struct.pack(">f", 1234.52)))
    return unit


@on_jumping_loop
async def test_the_command_finds_narrows_and_proposes(run_here: Run, tmp_path: Path) -> None:
    unit = meter()
    line = SickLine({7: unit}, Sickness(turnaround=0.001), baud=115200, on_loop=True)
    state = tmp_path / "find.json"
    async with line.listen() as port:
        link = f"rtu+tcp://127.0.0.1:{port}"
        words_ = ("find", link, "--unit", 7, "--addresses", "0-79", "--table", "input", "--state", state)
        first = await run_here(*words_, "--display", "voltage=231.4", "--display", "energy=1234.5")
        unit.put("input", 0x4A, words(struct.pack(">f", 1236.01)))
        second = await run_here(*words_, "--display", "energy=1236.0", "--json")
        wrong = await run_here(*words_, "--display", "energy=99.5")
        # Of another day, perhaps of another meter at the same adapter: nothing is taken from it.
        yesterday = state.stat().st_mtime - 24 * 3600
        os.utime(state, (yesterday, yesterday))
        other = await run_here(*words_, "--display", "energy=231.4")
    assert first.status == 0, first.err
    assert "energy=1234.5: 3 possible" in first.out, first.out
    assert "# not certain yet, several fit: narrow it first." in first.out
    assert "if the device gives whole blocks" in first.out
    narrowed = json.loads(second.out)["displays"][0]
    assert [candidate["address"] for candidate in narrowed["candidates"]] == [0x4A]
    assert "A second look" in second.err
    assert "None of those that fitted the first time says so." in wrong.out
    assert "--fresh reads all anew" in wrong.out
    assert other.status == 0, other.out
    assert "A second look" not in other.out
    proposed = tomllib.loads(narrowed["toml"].replace("[[links.devices.points]]", "[[points]]"))["points"][0]
    assert proposed == {"quantity": "energy_import", "table": "input", "address": 74, "type": "float32", "unit": "kWh"}


@on_jumping_loop
async def test_nothing_fits(run_here: Run) -> None:
    async with ModbusServer({7: meter()}).listen() as port:
        ended = await run_here(
            "find", f"tcp://127.0.0.1:{port}", "--unit", 7, "--display", "98765.4", "--addresses", "0-9", "--lang", "zh"
        )
    assert ended.status == 1
    assert "没有吻合的寄存器" in ended.out


@on_jumping_loop
async def test_a_unit_that_is_not_there(run_here: Run) -> None:
    async with SickLine({}, on_loop=True).on_terminal() as path:
        ended = await run_here("find", path, "--unit", 9, "--display", "5", "--parity", "none")
    assert ended.status == 1
    assert "unit 9: no answer to 3 questions" in ended.err
    assert "linli-edge doctor says what is wrong" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--unit", "900", "--display", "1"), "--unit: found 900"),
        (("--unit", "1", "--display", "1", "--display", "2"), "name them"),
        (("--unit", "1", "--display", "1", "--addresses", "5-1"), '--addresses: found "5-1"'),
        (("--unit", "1", "--display", "1", "--baud", "9600"), "is no serial line"),
    ],
)
async def test_what_is_written_wrongly(run: Run, words: tuple[str, ...], said: str) -> None:
    ended = await run("find", "tcp://127.0.0.1:1", *words)
    assert (ended.status, said in ended.err) == (2, True), ended.err
