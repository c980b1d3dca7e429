"""Each sickness is told by its name, and a healthy line is called healthy: on a line that keeps time."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.catalogue import LANGUAGES
from linli_edge.commissioning.diagnosis import diagnose, histogram, quantile
from linli_edge.commissioning.doctor import as_json, report
from linli_edge.commissioning.examination import Evidence, Examination, UnitNotes
from linli_edge.commissioning.scan import Line
from linli_edge.commissioning.scanner import Heard
from linli_edge.commissioning.target import Target, parse_link
from linli_edge.transport.settings import SerialSettings
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import Faults, ModbusServer
from linli_sim.sick_line import SickLine, Sickness

from .conftest import Run


def units(*ids: int) -> dict[int, Unit]:
    found = {}
    for number in ids:
        found[number] = Unit()
        found[number].put("holding", 0, [number * 1000 + place * 7 for place in range(10)])
        found[number].put("input", 0, [number * 999 + place * 5 for place in range(10)])
    return found


async def examined(target: Target, ids: tuple[int, ...], rounds: int = 5, listenings: int = 1) -> list[str]:
    examination = Examination(target, ids, rounds, listenings=listenings)
    async with Line() as line:
        while (probe := examination.next()) is not None:
            examination.take(await line.ask(probe))
    for lang in LANGUAGES:
        assert report(examination.evidence, lang)
        assert json.loads(as_json(examination.evidence, lang, complete=True))["asked"] > 0
    return [diagnosis.kind for diagnosis in diagnose(examination.evidence)]


async def on_terminal(
    sickness: Sickness, ids: tuple[int, ...] = (1, 2, 3), asked: tuple[int, ...] = (), **words: int
) -> list[str]:
    async with SickLine(units(*ids), sickness, on_loop=True).on_terminal() as path:
        return await examined(Target(path, "modbus", SerialSettings(path, 9600), "rtu"), asked or ids, **words)


async def behind_a_converter(sickness: Sickness, ids: tuple[int, ...], asked: tuple[int, ...] = ()) -> list[str]:
    async with SickLine(units(*ids), sickness, on_loop=True).listen() as port:
        return await examined(parse_link(f"rtu+tcp://127.0.0.1:{port}"), asked or ids)


async def at_another_speed() -> list[str]:
    async with SickLine(units(1), Sickness(strict=True), baud=19200, on_loop=True).on_terminal() as path:
        return await examined(Target(path, "modbus", SerialSettings(path, 9600), "rtu"), (1,))


async def over_tcp(written: str, faults: Faults | None = None, *, rtu: bool = False) -> list[str]:
    async with ModbusServer(units(1, 2), faults).listen(rtu=rtu) as port:
        return await examined(parse_link(f"{written}://127.0.0.1:{port}"), (1, 2))


LINES: Final[Mapping[str, tuple[Callable[[], Awaitable[list[str]]], list[str]]]] = {
    "a healthy line": (lambda: on_terminal(Sickness(), listenings=2), ["healthy"]),
    "a healthy converter": (lambda: behind_a_converter(Sickness(), (1, 2)), ["healthy"]),
    "a healthy Modbus TCP device": (lambda: over_tcp("tcp"), ["healthy"]),
    "echo": (lambda: on_terminal(Sickness(echo=True)), ["echo"]),
    "two devices that answer at once": (lambda: on_terminal(Sickness(twins={2})), ["twins"]),
    "two devices alone on the line": (lambda: on_terminal(Sickness(twins={2}), (2,)), ["twins"]),
    "two devices, one after the other": (lambda: on_terminal(Sickness(doubles={2})), ["twins"]),
    "damaged answers": (lambda: on_terminal(Sickness(errors=0.3), rounds=10), ["damaged"]),
    "another master": (lambda: on_terminal(Sickness(master=0.3), listenings=3), ["master"]),
    "a line that floats": (lambda: on_terminal(Sickness(edges=True)), ["edges"]),
    "a wrong parity": (lambda: on_terminal(Sickness(strict=True, odd=True), (1,)), ["parity"]),
    "a wrong speed": (at_another_speed, ["speed"]),
    "RTU spoken, TCP written": (lambda: over_tcp("tcp", rtu=True), ["framing"]),
    "TCP spoken, RTU written": (lambda: over_tcp("rtu+tcp"), ["framing"]),
    "one dead device": (lambda: behind_a_converter(Sickness(), (1,), (1, 9)), ["silent"]),
    "a slow device": (lambda: on_terminal(Sickness(delay={1: 0.6}), (1,), rounds=3), ["slow"]),
    "slower than patience": (lambda: on_terminal(Sickness(delay={1: 1.1}), (1,), rounds=2), ["late"]),
    "a converter that hangs up": (lambda: behind_a_converter(Sickness(hang_up=True), (1,)), ["closes"]),
    "a gateway that speaks for a silent unit": (lambda: over_tcp("tcp", Faults(exception={2: 11})), ["unreachable"]),
}


@pytest.mark.parametrize("name", LINES)
@on_jumping_loop
async def test_each_sickness_is_told_by_its_name_and_a_healthy_line_is_healthy(name: str) -> None:
    examine, expected = LINES[name]
    assert await examine() == expected


@on_jumping_loop
async def test_a_device_that_refuses_what_is_configured_does_not_look_healthy() -> None:
    far = Unit()
    far.put("holding", 700, [1])
    async with ModbusServer({1: far, **units(2)}).listen() as port:
        target = replace(parse_link(f"tcp://127.0.0.1:{port}"), reads={1: (3, 5000, 2), 2: (3, 0, 2)})
        assert await examined(target, (1, 2)) == ["refusing"]
        # Nobody said what it has: that it refuses a guess means nothing.
        assert await examined(replace(target, reads={2: (3, 0, 2)}), (1, 2)) == ["healthy"]


@on_jumping_loop
async def test_noise() -> None:
    found = await on_terminal(Sickness(noise=0.1), listenings=2)
    assert "noise" in found
    assert set(found) <= {"noise", "damaged"}


def evidence(**notes: UnitNotes) -> Evidence:
    named = {int(name[1:]): note for name, note in notes.items()}
    return Evidence(parse_link("/dev/ttyS0").transport, named)


def test_noise_that_happens_to_hit_one_device_is_noise() -> None:
    # Behind the first bytes of its answers, and the others were lucky.
    unlucky = UnitNotes(asked=5, delays=[9000] * 2, damaged=3, headed=3)
    found = evidence(u1=unlucky, u2=UnitNotes(asked=5, delays=[9000] * 5))
    assert [diagnosis.kind for diagnosis in diagnose(found)] == ["twins"]
    kinds = [diagnosis.kind for diagnosis in diagnose(replace(found, idle=2, listened=2))]
    assert "twins" not in kinds
    assert "noise" in kinds


def test_answers_now_and_then_are_a_loose_contact() -> None:
    found = diagnose(evidence(u1=UnitNotes(asked=20, delays=[9000] * 14, silent=6)))
    assert [(diagnosis.kind, diagnosis.values["share"]) for diagnosis in found] == [("flaky", "30 %")]


def test_one_lost_answer_of_many_is_no_diagnosis() -> None:
    assert diagnose(evidence(u1=UnitNotes(asked=20, delays=[9000] * 19, silent=1)))[0].kind == "healthy"


def test_bytes_that_never_make_a_frame() -> None:
    assert [found.kind for found in diagnose(evidence(u1=UnitNotes(asked=8, damaged=8)))] == ["garbled"]


@given(st.lists(st.integers(0, 2_000_000), max_size=50))
def test_a_histogram_counts_every_answer(delays: list[int]) -> None:
    assert sum(count for _, count in histogram(delays)) == len(delays)
    assert quantile(delays, 0.5) in {0, *delays}


@given(st.lists(st.binary(max_size=40), max_size=60))
def test_whatever_is_heard_has_a_diagnosis(heard: list[bytes]) -> None:
    examination = Examination(parse_link("/dev/ttyS0"), (1, 2), 3)
    for data in heard:
        if examination.next() is None:
            break
        examination.take(Heard(data, 5 if data else None))
    for lang in LANGUAGES:
        assert report(examination.evidence, lang)


@on_jumping_loop
async def test_the_command_on_a_configured_line(run_here: Run, tmp_path: Path) -> None:
    async with SickLine(units(1, 2), Sickness(twins={2}), on_loop=True).on_terminal() as path:
        file = tmp_path / "gw.toml"
        file.write_text(
            f'[gateway]\nid = "g"\ndata = "d"\n[uplink]\nhost = "h"\n[[links]]\nid = "cellar"\ndriver = "modbus"\n'
            f'transport = "serial"\npath = "{path}"\nbaud = 9600\nparity = "none"\n'
            + "".join(
                f'[[links.devices]]\nid = "m{unit}"\nunit = {unit}\n[[links.devices.points]]\nquantity = "voltage"\n'
                f'address = 0\ntype = "uint16"\nunit = "V"\n'
                for unit in (1, 2)
            )
        )
        ended = await run_here("doctor", "--config", file, "--rounds", "6", "--lang", "zh")
    assert ended.status == 1, ended.err
    assert "✗ 两台设备同用地址 2" in ended.out
    assert "→ 断开其中一台" in ended.out
    assert "应答时间（毫秒）" in ended.out


@on_jumping_loop
async def test_the_command_in_json_on_a_healthy_line(run_here: Run) -> None:
    async with SickLine(units(1), on_loop=True).on_terminal() as path:
        ended = await run_here("doctor", path, "--unit", "1", "--parity", "none", "--rounds", "4", "--json")
    assert ended.status == 0, ended.err
    answer = json.loads(ended.out)
    assert (answer["healthy"], answer["asked"], answer["crc_share"]) == (True, 4, "0.0 %")
    # How quick an answer is is the machine's as much as the line's.
    assert sum(bar["count"] for bar in answer["histogram_ms"]) == 4


@on_jumping_loop
async def test_unplugged_in_the_middle(run_here: Run) -> None:
    async with SickLine(units(1), Sickness(vanish_after=3), on_loop=True).on_terminal() as path:
        ended = await run_here("doctor", path, "--unit", "1", "--parity", "none", "--rounds", "9")
    assert ended.status == 1
    assert "was unplugged" in ended.err
    assert "id 1: 3 of " in ended.out


async def test_without_a_unit_it_says_what_to_do(run: Run) -> None:
    ended = await run("doctor", "/dev/ttyS0")
    assert (ended.status, ended.err) == (
        2,
        "--unit: missing; name the units, such as --unit 1,2; linli-edge scan finds them\n",
    )
