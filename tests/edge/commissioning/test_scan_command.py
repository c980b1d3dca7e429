"""``linli-edge scan`` as a process, on a line with byte timing."""

import asyncio
import contextlib
import json
import struct
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linli_core.catalogue import Language
from linli_edge.commissioning.scan import found_lines
from linli_edge.commissioning.scanner import Found
from linli_edge.config.gateway import parse_config
from linli_edge.transport.serial_line import Line, SerialTransport
from linli_edge.transport.settings import SerialSettings
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer
from linli_sim.sick_line import SickLine, Sickness

from .conftest import Run

QUICK = ("--timeout", "90 ms")


def units(*ids: int) -> dict[int, Unit]:
    found = {}
    for number in ids:
        found[number] = Unit()
        found[number].put("holding", 0, [number, 0, 0, 0])
    return found


async def scan(run: Run, *words: object) -> dict[str, Any]:
    ended = await run("scan", "--json", *words)
    answer: dict[str, Any] = json.loads(ended.out)
    return answer | {"status": ended.status, "err": ended.err}


@on_jumping_loop
async def test_who_answers_at_the_right_speed_is_found(run_here: Run) -> None:
    line = SickLine(units(2, 5), Sickness(strict=True), baud=19200, on_loop=True)
    async with line.on_terminal() as path:
        ended = await run_here("scan", path, "--ids", "1-6", "--baud", "9600,19200", "--parity", "even", *QUICK)
    assert ended.status == 0, ended.err
    assert f"{path}: 14 questions, " in ended.out
    assert "✓ 19200 8E1  id 2" in ended.out
    assert "2 found." in ended.out
    proposed = tomllib.loads(ended.out[ended.out.index("[[links]]") :])
    config = proposed | {"gateway": {"id": "gw", "data": "d"}, "uplink": {"host": "h"}}
    link = proposed["links"][0]
    assert (link["baud"], link["parity"], [device["unit"] for device in link["devices"]]) == (19200, "even", [2, 5])
    for device in link["devices"]:
        device["points"] = [{"quantity": "voltage", "address": 0, "type": "uint16", "unit": "V"}]
    # What it proposes, the gateway takes.
    assert parse_config(config, Path()).links[0].id == "line-1"


@on_jumping_loop
async def test_profiles_that_fit_are_proposed(run_here: Run) -> None:
    chint, eastron = Unit(), Unit()
    for unit, table, voltage, frequency in ((chint, "holding", 8192, 8206), (eastron, "input", 0, 70)):
        for address, value in ((voltage, 231.4), (frequency, 50.01)):
            unit.put(table, address, struct.unpack(">2H", struct.pack(">f", value)))
    async with ModbusServer({1: chint, 2: eastron}).listen() as port:
        found = await scan(run_here, f"tcp://127.0.0.1:{port}", "--ids", "1-2", *QUICK)
    devices = tomllib.loads(found["toml"])["links"][0]["devices"]
    assert devices[0] == {"id": "unit-1", "unit": 1, "profile": "chint-ddsu666"}
    assert found["found"][0]["title"].startswith("Chint DDSU666")
    # Meters of one family cannot be told apart by what they all have; nothing is chosen.
    assert "profile" not in devices[1]
    assert {"eastron-sdm120", "eastron-sdm630"} <= set(found["found"][1]["profiles"])
    assert '# profile = "eastron-sdm630"' in found["toml"]


@on_jumping_loop
async def test_what_answers_at_every_speed_is_told_to_be_one_device(run_here: Run) -> None:
    async with SickLine(units(2), on_loop=True).on_terminal() as path:
        words = ("--ids", "1-2", "--baud", "9600,19200", "--parity", "even", "--no-identify", *QUICK)
        found = await scan(run_here, path, *words)
    assert [hint["kind"] for hint in found["hints"]] == ["repeated"]
    assert "id 2 answers at several settings (9600 8E1, 19200 8E1)" in found["hints"][0]["text"]


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        (("a-1",), {"en": "  profile: a-1", "zh": "  型号档案：a-1"}),
        (
            ("a-1", "a-2"),
            {
                "en": "  profile: one of a-1, a-2: choose by the type on the nameplate",
                "zh": "  型号档案是其中之一，按铭牌上的型号选：a-1, a-2",
            },
        ),
    ],
)
def test_whether_a_person_must_choose_is_said(profiles: tuple[str, ...], said: dict[Language, str]) -> None:
    found = Found(SerialSettings("/dev/ttyUSB0"), "1", 5000, profiles=profiles)
    for lang, line in said.items():
        assert found_lines(found, lang).splitlines()[1] == line


@on_jumping_loop
async def test_chinese(run_here: Run) -> None:
    async with SickLine(units(2), on_loop=True).on_terminal() as path:
        ended = await run_here("scan", path, "--ids", "2", "--baud", "9600", "--parity", "even", "--lang", "zh", *QUICK)
    assert "找到 1 台。" in ended.out
    assert "若无应答需 1 s" in ended.out


async def test_progress_is_said_all_along(run: Run) -> None:
    async with SickLine({}).on_terminal() as path:
        ended = await run("scan", path, "--ids", "1-30", "--baud", "9600", "--parity", "even", "--timeout", "100 ms")
    assert ended.status == 1
    assert "Nobody answered." in ended.out
    assert ended.err.count(" left · 9600 8E1 ") >= 3


@on_jumping_loop
async def test_two_devices_on_one_id_are_hinted_at_and_a_healthy_line_is_not(run_here: Run) -> None:
    sick, well = SickLine(units(1, 3, 5), Sickness(twins={3}), on_loop=True), SickLine(units(1, 3, 5), on_loop=True)
    words = ("--ids", "1-6", "--baud", "9600", "--parity", "even", "--no-identify", *QUICK)
    async with sick.on_terminal() as path:
        found = await scan(run_here, path, *words)
    assert [device["address"] for device in found["found"]] == ["1", "5"]
    assert [hint["kind"] for hint in found["hints"]] == ["collision"]
    async with well.on_terminal() as path:
        found = await scan(run_here, path, *words)
    assert [device["address"] for device in found["found"]] == ["1", "3", "5"]
    assert found["hints"] == []


@on_jumping_loop
async def test_a_slow_device_is_found(run_here: Run) -> None:
    async with SickLine(units(2), Sickness(delay={2: 0.3}), on_loop=True).on_terminal() as path:
        words = ("--ids", "1-5", "--baud", "9600", "--parity", "even", "--no-identify", *QUICK)
        found = await scan(run_here, path, *words)
    assert [device["address"] for device in found["found"]] == ["2"]


@on_jumping_loop
async def test_stopped_and_gone_on_with(run_here: Run) -> None:
    line = SickLine(units(3, 40), on_loop=True)
    words = ("scan", "--ids", "1-40", "--baud", "9600", "--parity", "even", "--no-identify", "--timeout", "60 ms")
    async with line.on_terminal() as path:
        ended = await run_here(*words, path, interrupt=line.answered)
        assert ended.status == 130
        assert "Stopped." in ended.err
        assert "goes on where it stopped" in ended.err
        before = len(line.asked)
        await asyncio.sleep(1)  # of the line's time: nobody types so fast that an answer is still on its way
        ended = await run_here(*words, path)
    assert ended.status == 0
    assert "Going on with the scan kept in" in ended.out
    assert " s ago (another line by now? --fresh starts anew)" in ended.out
    assert "2 found." in ended.out
    # Only the id whose answer was under way is asked again.
    assert line.asked[:before] == list(range(1, before + 1))
    assert line.asked[before:] == list(range(line.asked[before], 41))
    assert line.asked[before] in {before, before + 1}


@on_jumping_loop
async def test_an_adapter_unplugged_in_mid_scan_costs_nothing_learnt(run_here: Run, tmp_path: Path) -> None:
    state = tmp_path / "kept.json"
    words = ("scan", "--ids", "1-8", "--baud", "9600", "--parity", "even", "--no-identify", "--state", state, *QUICK)
    async with SickLine(units(2, 7), Sickness(vanish_after=1), on_loop=True).on_terminal() as path:
        link = tmp_path / "port"
        link.symlink_to(path)
        ended = await run_here(*words, link)
    assert ended.status == 1
    assert "was unplugged" in ended.err
    assert state.exists()
    async with SickLine(units(2, 7), on_loop=True).on_terminal() as path:
        link.unlink()
        link.symlink_to(path)
        ended = await run_here(*words, link)
    assert ended.status == 0
    assert "2 found." in ended.out
    assert not state.exists()


@contextlib.asynccontextmanager
async def converter(sickness: Sickness | None = None) -> AsyncIterator[str]:
    async with SickLine(units(4), sickness, on_loop=True).listen() as port:
        yield f"rtu+tcp://127.0.0.1:{port}"


@on_jumping_loop
async def test_through_a_converter(run_here: Run) -> None:
    async with converter() as link:
        ended = await run_here("scan", link, "--ids", "3-5", *QUICK)
    assert ended.status == 0, ended.err
    assert 'framing = "rtu"' in ended.out


@on_jumping_loop
async def test_through_a_converter_that_hangs_up(run_here: Run) -> None:
    async with converter(Sickness(hang_up=True)) as link:
        found = await scan(run_here, link, "--ids", "3-6", "--no-identify", *QUICK)
    assert [device["address"] for device in found["found"]] == ["4"]
    assert "closed" in [hint["kind"] for hint in found["hints"]]


@on_jumping_loop
async def test_modbus_tcp(run_here: Run) -> None:
    async with ModbusServer(units(4)).listen() as port:
        found = await scan(run_here, f"tcp://127.0.0.1:{port}", "--ids", "3-5", *QUICK)
    assert [device["address"] for device in found["found"]] == ["4"]
    assert tomllib.loads(found["toml"])["links"][0]["port"] == port


@on_jumping_loop
async def test_a_line_of_a_configuration(run_here: Run, tmp_path: Path) -> None:
    async with SickLine(units(1), on_loop=True).on_terminal() as path:
        file = tmp_path / "gw.toml"
        file.write_text(
            f'[gateway]\nid = "g"\ndata = "d"\n[uplink]\nhost = "h"\n[[links]]\nid = "cellar"\ndriver = "modbus"\n'
            f'transport = "serial"\npath = "{path}"\nbaud = 19200\n'
            '[[links.devices]]\nid = "m"\nunit = 1\nprofile = "eastron-sdm120"\n'
        )
        found = await scan(run_here, "--config", file, "--link", "cellar", "--ids", "1", "--no-identify", *QUICK)
        wrong = await run_here("scan", "--config", file, "--link", "celar")
    assert found["found"][0]["setting"] == f"{path} 19200 8E1"
    assert (wrong.status, wrong.err) == (2, '--link: no link is called "celar"; did you mean "cellar"?\n')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/dev/no-such-port",), "There is no such port"),
        (("/dev/null",), "no serial port that can be used"),
        (("tcp://127.0.0.1:1",), "Nobody listens there"),
    ],
)
async def test_a_line_that_does_not_open(run: Run, words: tuple[str, ...], said: str) -> None:
    ended = await run("scan", *words, "--ids", "1")
    assert ended.status == 1
    assert said in ended.err
    assert "kept" not in ended.err


async def test_a_port_that_the_gateway_uses(run: Run) -> None:
    line = SickLine(units(1))
    async with line.on_terminal() as path, SerialTransport(path, Line(9600)):
        ended = await run("scan", path, "--ids", "1", *QUICK)
    assert ended.status == 1
    assert "systemctl stop linli-edge" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan",), "LINK: missing; "),
        (("scan", "tcp://h", "--ids", "0-900"), '--ids: found "0-900"; write numbers from 0 to 255'),
        (("scan", "/dev/x", "--baud", "9600 8E1"), '--baud: found "9600 8E1"; write speeds'),
        (("scan", "/dev/x", "--parity", "e"), '--parity: found "e"; write one or more of none,even,odd'),
        (("scan", "/dev/x", "--timeout", "5"), '--timeout: found "5"; write a duration'),
        (("scan", "/dev/x", "--protocol", "modbsu"), 'did you mean "modbus"?'),
    ],
)
async def test_what_is_written_wrongly(run: Run, words: tuple[str, ...], said: str) -> None:
    ended = await run(*words)
    assert ended.status == 2
    assert said in ended.err
