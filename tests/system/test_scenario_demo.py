"""A scenario goes the whole way: its devices' past and present through a gateway, the broker and the platform."""

import json
import tomllib
from pathlib import Path

import pytest

from linli_core.catalogue import LANGUAGES
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.wire import senml
from linli_edge.drivers.modbus import SPEC
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names
from linli_sim.cli import main
from linli_sim.modbus_server import ModbusServer
from linli_sim.scenarios.devices import devices_of
from linli_sim.scenarios.listed import SCENARIOS
from linli_sim.scenarios.stage import messages, set_scene

from .watched import Ask, watch

NOW = 1_795_000_000 * SECOND
RULES = load_rules(packs=pack_names())


async def test_a_person_trapped_is_an_alarm_on_the_platform(tmp_path: Path) -> None:
    async def raised(ask: Ask) -> bool:
        return any(alarm["rule"] == "safety.elevator-person-trapped" for alarm in await ask("/alarms"))

    ended = await watch(tmp_path, raised, "--scenario", "trapped")
    assert ended.status == 0, ended.err
    books = json.loads(ended.out)
    assert books["scenario"]["name"] == "trapped"
    told = {it["rule"]: it["raised"] for it in books["scenario"]["rules"]}
    assert told["safety.elevator-person-trapped"]
    assert (books["readings"]["lost"], books["readings"]["doubled"], books["gateways"]) == (0, 0, 3)
    assert SCENARIOS["trapped"].title("zh") in ended.err


def test_the_list_has_every_scenario_with_both_its_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "list"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == list(SCENARIOS)
    assert all(SCENARIOS[line.split()[0]].title(lang) in line for line in said for lang in LANGUAGES)


def test_a_scenario_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "leek"]) == 2
    assert "--scenario: no scenario is called 'leek'; choose one of cold-room, " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["trapped", "cold-room-door-at-night", "insulation-ages"])
def test_its_alarm_comes_soon_or_has_come_and_all_before_is_the_past(name: str) -> None:
    scene = set_scene(SCENARIOS[name], 1, RULES, NOW)
    truth, at = scene.expected[0]
    assert at is not None
    assert NOW < at <= NOW + MINUTE if SCENARIOS[name].hour is None else at <= NOW
    kept = [it for message in messages(scene) for it in senml.resolve(senml.decode(message.body), NOW)[0]]
    told = sorted((it for it in scene.story.readings if it.at < NOW), key=lambda it: it.at)
    assert [(it.name, it.time) for it in kept] == [(f"{it.gateway}/{it.name}", it.at) for it in told]
    assert truth.begins >= scene.story.begins


async def test_the_gateway_reads_of_a_device_what_the_story_tells() -> None:
    scene = set_scene(SCENARIOS["gas-valve"], 1, RULES, NOW)
    (device,) = devices_of(scene.story).values()
    at = scene.story.begins + 2 * HOUR
    assert device.update(at)
    async with ModbusServer({device.number: device.unit}).listen() as port:
        settings = {**tomllib.loads(device.settings()), "id": device.device}
        config = SPEC.parse(
            {"id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [settings]}, ""
        )
        async with SPEC.open(config, lambda: at) as driver:
            polled = [reading for poll in driver.plan for reading in await driver.poll(poll)]
    found = {reading.point.local_name: reading.value for reading in polled}
    assert found == {"gas_flow": pytest.approx(0.00002), "gas_valve_state": "closed"}


def test_a_device_that_tells_nothing_any_more_is_silent() -> None:
    story = SCENARIOS["meter-silent"].tell(NOW, 1)
    silent, heard = (device for device in devices_of(story).values() if device.kind == "heat_meter")
    assert (silent.update(NOW + DAY), heard.update(NOW + DAY)) == (True, True)
    assert (silent.update(NOW + 3 * DAY), heard.update(NOW + 3 * DAY)) == (False, True)


def test_what_cannot_be_told_is_no_number_and_no_state() -> None:
    (device,) = devices_of(SCENARIOS["probe-failed"].tell(NOW, 1)).values()
    device.update(NOW + 90 * MINUTE)
    air = device.points[f"{device.device}/air_temperature"]
    assert device.unit.tables["holding"][air.address] & 0x7FF8 == 0x7FF8  # a NaN
    assert device.points[f"{device.device}/probe_fault"].registers(None) == [0xFFFF]
