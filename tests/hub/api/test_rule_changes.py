"""Numbers of rules that people change: within bounds, where they say, kept for good, and judged by from then on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
import uvicorn
from tests.hub.api.conftest import open_site

from linli_core.alarm import Limit, Rule, parse_rules
from linli_core.instant import MINUTE
from linli_platform.alarms import Filter
from linli_platform.alarms.rulebook import Setting
from linli_platform.api import create_app
from linli_platform.cli import main
from linli_platform.registry import Area, Device, Gateway, State

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

WARM = "food.warm"
TEXT = """
[[rules]]
id = "food.warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "limit", high = 8.0, hysteresis = 1.0 }
parameters = { high = { min = 4.0, max = 10.0, step = 0.5 }, hysteresis = { min = 0.5, max = 2.0, step = 0.5 } }
title = { zh = "热", en = "Warm" }
consequence = { zh = "变质", en = "It spoils" }
response = { zh = "关门", en = "Shut the door" }
"""


def rules(text: str = TEXT) -> list[Rule]:
    return parse_rules(text, "mine.toml")


def furnish(site: Site) -> None:
    site.registry.declare(
        [
            Area("garden", None, "community"),
            Area("house-1", "garden", "building"),
            Area("house-2", "garden", "building"),
        ],
        [Gateway("gw-1", State.ACTIVE, area="house-1"), Gateway("gw-2", State.ACTIVE, area="house-2")],
        [Device("gw-1", "room", State.ACTIVE), Device("gw-2", "room", State.ACTIVE)],
    )


def client_of(site: Site) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(site.context))
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"host": "localhost"})


async def put(client: httpx.AsyncClient, name: str = "high", rule: str = WARM, **body: Any) -> httpx.Response:
    return await client.put(f"/api/v1/rules/{rule}/parameters/{name}", json={"actor": "wang"} | body)


async def warm(site: Site, clock: Clock, value: float) -> dict[str, int | None]:
    """Read both rooms; return the revision of the alarms that stand, by gateway."""
    clock.forward(MINUTE)
    for gateway in ("gw-1", "gw-2"):
        site.commit(gateway, [("room/air_temperature", clock(), value)])
    await site.settle()
    return {row.gateway: row.revision for row in await site.alarms.find(Filter(active=True)) if row.returned_at is None}


async def test_a_change_holds_in_its_area_is_written_down_and_outlives_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client:
        furnish(site)
        await site.alarms.refresh()
        assert await warm(site, clock, 7.0) == {}
        made = (await put(client, value=6.5, area="house-1", comment="milk is kept there")).json()
        assert (made["rule"], made["area"], made["actor"], made["parameter"]) == (WARM, "house-1", "wang", "high")
        assert (made["before"], made["after"], made["comment"]) == (None, 6.5, "milk is kept there")
        assert json.loads(made["source"])["condition"]["high"] == 6.5
        assert await warm(site, clock, 7.1) == {"gw-1": made["id"]}
        (shown,) = (await client.get("/api/v1/rules")).json()
        high = shown["parameters"][0]
        assert (high["title"], high["unit"], high["min"], high["max"], high["step"]) == (
            {"zh": "上限", "en": "Upper limit"}, "Cel", 4.0, 10.0, 0.5,
        )  # fmt: skip
        assert (high["value"], high["default"], high["areas"]) == (8.0, 8.0, {"house-1": 6.5})
        # Everywhere, which an area that says nothing of it follows.
        everywhere = (await put(client, "hysteresis", value=2.0)).json()
        assert await warm(site, clock, 8.5) == {"gw-1": made["id"], "gw-2": everywhere["id"]}
        assert (await put(client, "hysteresis", value=2.0)).json() is None
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client:
        assert await warm(site, clock, 7.0) == {"gw-1": made["id"], "gw-2": everywhere["id"]}  # the dead band is wider
        assert await warm(site, clock, 5.5) == {"gw-1": made["id"]}
        assert await warm(site, clock, 4.4) == {}
        history = (await client.get("/api/v1/rules/revisions", params={"rule": WARM})).json()
        assert [(row["area"], row["actor"], row["parameter"], row["after"]) for row in history] == [
            ("house-1", "wang", "hysteresis", 2.0),
            ("", "wang", "hysteresis", 2.0),
            ("house-1", "wang", "high", 6.5),
            ("", "", "", None),
        ]
        reset = (await put(client, value=None, area="house-1")).json()
        assert (reset["before"], reset["after"], reset["source"]) == (6.5, None, "")
        assert await warm(site, clock, 7.0) == {}


@pytest.mark.parametrize(
    ("name", "rule", "body", "status", "where", "found"),
    [
        ("high", WARM, {"value": 10.5}, 422, f"rule {WARM}.parameters.high", "10.5 Cel is out of bounds"),
        ("high", WARM, {"value": 6.7}, 422, f"rule {WARM}.parameters.high", "6.7 Cel lies between two steps of 0.5"),
        ("low", WARM, {"value": 1.0}, 422, f"rule {WARM}.parameters.low", "there is no such parameter"),
        ("low", WARM, {"value": None}, 422, f"rule {WARM}.parameters.low", "there is no such parameter"),
        ("high", WARM, {"value": 6.0, "area": "moon"}, 422, "area", "there is no area 'moon'"),
        ("high", "food.cold", {"value": 6.0}, 404, "rule", "no rule in force is called 'food.cold'"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place_and_changes_nothing(
    tmp_path: Path, clock: Clock, name: str, rule: str, body: dict[str, Any], status: int, where: str, found: str
) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client:
        answer = await put(client, name, rule, **body)
        problem = answer.json()
        assert (answer.status_code, problem["where"], problem["found"]) == (status, where, found)
        assert problem["remedy"]
        assert (site.alarms.book.settings, len(await site.alarms.history())) == ({}, 1)


async def test_a_file_that_changed_makes_a_revision_and_what_it_forbids_now_is_left_out(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site:
        both = [Setting(WARM, "", "high", 9.5), Setting(WARM, "", "hysteresis", 2.0)]
        await site.alarms.set_parameters(both, actor="wang")
    async with open_site(tmp_path, clock, rules=rules()) as site:
        assert len(await site.alarms.history()) == 3
    with caplog.at_level(logging.WARNING):
        async with open_site(tmp_path, clock, rules=rules(TEXT.replace("max = 10.0", "max = 9.0"))) as site:
            newest, *_ = await site.alarms.history()
            assert (newest.actor, json.loads(newest.source)["condition"]["high"]) == ("", 8.0)
            # What is allowed still holds, and can be changed on.
            assert site.alarms.book.rules[WARM].condition == Limit(high=8.0, hysteresis=2.0)
            await site.alarms.set_parameters([Setting(WARM, "", "hysteresis", 1.5)], actor="wang")
            assert site.alarms.book.rules[WARM].condition == Limit(high=8.0, hysteresis=1.5)
            await site.alarms.set_parameters([Setting(WARM, "", "high", None)], actor="wang")
            assert site.alarms.book.settings == {(WARM, ""): {"hysteresis": 1.5}}
    assert "9.5 Cel is out of bounds; choose from 4 to 9 Cel" in caplog.text
    async with open_site(tmp_path, clock, rules=[]) as site:
        newest, *_ = await site.alarms.history()
        assert (newest.rule, newest.source) == (WARM, "")


async def test_an_exported_file_brings_rules_and_values_to_another_platform(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "one").mkdir()
    async with open_site(tmp_path / "one", clock, rules=rules()) as site, client_of(site) as client:
        furnish(site)
        await put(client, value=6.0, area="house-1")
        await put(client, value=7.0)
        file = (await client.get("/api/v1/rules/export")).text
    assert [
        msgspec.structs.replace(rule, source="") for rule in parse_rules(file.partition("[[values]]")[0], "it")
    ] == [msgspec.structs.replace(rule, source="") for rule in rules()]
    (tmp_path / "two").mkdir()
    other = rules(TEXT.replace("It spoils", "It rots"))
    async with open_site(tmp_path / "two", clock, rules=other) as site, client_of(site) as client:
        unknown = await client.post("/api/v1/rules/import", json={"text": file})
        assert (unknown.status_code, unknown.json()["found"]) == (422, "there is no area 'house-1'")
        assert site.alarms.book.settings == {}
        furnish(site)
        report = (await client.post("/api/v1/rules/import", json={"text": file, "actor": "wang"})).json()
        assert [(row["area"], row["after"]) for row in report["changed"]][-1] == ("house-1", 6.0)
        assert (report["unchanged"], report["other_rules"]) == (0, [WARM])
        assert site.alarms.book.settings == {(WARM, ""): {"high": 7.0}, (WARM, "house-1"): {"high": 6.0}}
        again = (await client.post("/api/v1/rules/import", json={"text": file})).json()
        assert (again["changed"], again["unchanged"]) == ([], 2)
        broken = await client.post("/api/v1/rules/import", json={"text": "[[values]]\nrule = 3"})
        assert broken.json()["where"] == "import: values[0].rule"


async def test_one_value_out_of_bounds_keeps_the_others_from_being_set(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client:
        text = "".join(
            f'[[values]]\nrule = "{WARM}"\nparameter = "{name}"\nvalue = {value}\n'
            for name, value in (("hysteresis", 2.0), ("high", 99.0))
        )
        answer = await client.post("/api/v1/rules/import", json={"text": text})
        assert (answer.status_code, answer.json()["where"]) == (422, f"rule {WARM}.parameters.high")
        assert (site.alarms.book.settings, len(await site.alarms.history())) == ({}, 1)
        assert site.alarms.book.rules[WARM] == rules()[0]


async def test_two_revisions_are_compared_over_what_is_stored(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client:
        start = clock()
        readings = [("room/air_temperature", start + n * MINUTE, 7.0 if 10 <= n < 20 else 3.0) for n in range(40)]
        clock.forward(2 * 60 * MINUTE)
        site.commit("gw-1", readings)
        made = (await put(client, value=6.0)).json()
        first = (await client.get("/api/v1/rules/revisions")).json()[-1]
        asked = {"revision": made["id"], "against": first["id"], "from": "-1d"}
        found = (await client.post("/api/v1/rules/replay", json=asked)).json()
        assert (found["appear_count"], found["vanish_count"]) == (1, 0)
        asked = {"revision": first["id"], "from": "-1d"}  # against what is in force
        found = (await client.post("/api/v1/rules/replay", json=asked)).json()
        assert (found["appear_count"], found["vanish_count"]) == (0, 1)
        for body, status in (({"revision": 99}, 404), ({}, 422), ({"revision": 1, "rules": "x"}, 422)):
            answer = await client.post("/api/v1/rules/replay", json={"from": "-1d"} | body)
            assert answer.status_code == status


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[int]:
    """Serve the API on a port of its own, for commands that ask for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(site.context), log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


async def test_the_commands_tell_what_rules_were_and_carry_values_over(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_site(tmp_path, clock, rules=rules()) as site, client_of(site) as client, served(site) as port:
        furnish(site)
        await put(client, value=6.0, area="house-1", comment="milk")
        config = tmp_path / "platform.toml"
        config.write_text(f'[api]\nlisten = "127.0.0.1:{port}"\n')

        async def run(*words: str) -> tuple[int, str, str]:
            status = await asyncio.to_thread(main, ["rules", *words, "--config", str(config)])
            said = capsys.readouterr()
            return status, said.out, said.err

        status, out, _ = await run("history", WARM, "--lang", "zh")
        assert status == 0
        newest, oldest = out.splitlines()
        assert re.fullmatch(r" +2  \S+Z  food\.warm  house-1  high – → 6  wang  milk", newest)
        assert re.fullmatch(r" +1  \S+Z  food\.warm  全部  文件已更改", oldest)
        file = tmp_path / "exported.toml"
        assert (await run("export", str(file)))[0] == 0
        assert "[[values]]" in file.read_text()
        await put(client, value=None, area="house-1")
        status, out, err = await run("import", str(file), "--by", "li")
        assert (status, out, err) == (0, "1 revisions made, 0 values were so already\n", "")
        assert (await site.alarms.history())[0].actor == "li"
        status, out, _ = await run("replay", "--revision", "2", "--against", "1", "--from", "-1d", "--json")
        assert (status, json.loads(out)["same"]) == (0, 0)
        status, _, err = await run("replay", "--revision", "77")
        assert status == 2
        assert "there is no revision 77" in err
        file.write_text(file.read_text().replace("value = 6.0", "value = 66.0"))
        status, _, err = await run("import", str(file))
        assert status == 2
        assert "66 Cel is out of bounds" in err


async def test_a_flow_is_shown_and_changed_as_flows_are_read(tmp_path: Path, clock: Clock) -> None:
    text = """[[rules]]
id = "utility.backwards"
category = "utility"
priority = "low"
quantity = "water_flow"
unit = "m3/s"
condition = { kind = "limit", low = -0.00005, hysteresis = 0.00004 }
parameters = { low = { min = -0.00007, max = -0.00003, step = 0.000002 } }
title = { zh = "倒流", en = "Backwards" }
consequence = { zh = "果", en = "C" }
response = { zh = "应", en = "R" }
"""
    async with open_site(tmp_path, clock, rules=rules(text)) as site, client_of(site) as client:
        page = (await client.get("/rules", headers={"accept-language": "en"})).text
        assert "New value (m³/h, -0.252 to -0.108; empty for what the rule says)" in page
        answer = await client.post("/rules/utility.backwards/parameters/low", data={"value": "-0.1584"})
        assert answer.status_code == 303
        assert site.alarms.book.settings == {("utility.backwards", ""): {"low": -0.000044}}
        assert "-0.1584 m³/h" in (await client.get("/rules", headers={"accept-language": "en"})).text


async def test_the_page_shows_what_may_be_changed_and_changes_it(tmp_path: Path, clock: Clock) -> None:
    text = TEXT.replace("hysteresis = 1.0", 'hysteresis = 1.0, on_delay = "30 min"').replace(
        "parameters = {", 'parameters = { on_delay = { min = "10 min", max = "1 h", step = "5 min" },'
    )
    async with open_site(tmp_path, clock, rules=rules(text)) as site, client_of(site) as client:
        furnish(site)
        page = (await client.get("/rules", headers={"accept-language": "en"})).text
        assert "How long before it is raised: 30 min" in page
        assert "New value (°C, 4 to 10; empty for what the rule says)" in page
        path = f"/rules/{WARM}/parameters"
        answer = await client.post(f"{path}/on_delay", data={"value": "45", "actor": "<Wang>", "comment": "defrost"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/rules#{WARM}")
        assert site.alarms.book.settings == {(WARM, ""): {"on_delay": 2_700.0}}
        await client.post(f"{path}/high", data={"value": "6.5", "area": "house-1"})
        chinese = (await client.get("/rules", headers={"accept-language": "zh"})).text
        assert "持续多久才报警: 45 分钟" in chinese
        assert "上限: 8 °C · house-1: 6.5 °C" in chinese
        assert "上限 – → 6.5 °C" in chinese
        assert "&lt;Wang&gt;" in chinese
        await client.post(f"{path}/on_delay", data={"value": ""})
        assert site.alarms.book.settings == {(WARM, "house-1"): {"high": 6.5}}
        for data in ({"value": "11"}, {"value": "nan"}, {"value": "x"}, {"value": "6", "area": "moon"}):
            refused = await client.post(f"{path}/high", data=data, headers={"accept": "text/html"})
            assert refused.status_code == 422
        gone = await client.post("/rules/no.rule/parameters/high", data={"value": "1"}, headers={"accept": "text/html"})
        assert gone.status_code == 404
