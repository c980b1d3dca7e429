"""``linli-edge node list``: what the gateway itself knows of its nodes, for whoever stands there without a network."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.edge.nodes.test_relay import START, Bench, called, pack, status

from linli_core.instant import MINUTE, SECOND
from linli_core.model import Reason
from linli_edge.cli import WRONG, main
from linli_edge.nodes import command_line
from linli_edge.nodes.marks import FILE
from linli_edge.nodes.receiver import PATIENCE


@pytest.fixture(autouse=True)
def _at_the_time_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "wall_clock", lambda: START)


HEARD = f"{datetime.fromtimestamp(START / SECOND).astimezone():%m-%d %H:%M}"


def _row(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the columns of the last line."""
    return re.split(r"  +", _list(folder, capsys)[-1])


def _list(folder: Path, capsys: pytest.CaptureFixture[str], lang: str = "en") -> list[str]:
    assert main(["node", "list", "--data", str(folder), "--lang", lang]) == 0
    return capsys.readouterr().out.splitlines()


async def test_who_calls_and_what_answers_it_until_somebody_has_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(reads=60))
        await bench.say("telemetry", pack(1))
        assert _row(tmp_path, capsys) == ["door-1", "1 min", HEARD, "heard of"]
        await bench.say("telemetry", called(2, 2))
        await bench.say("status", status(call=2, reads=60))
        first, *_, row = _list(tmp_path, capsys)
        assert first.startswith("door-1 calls, since 10-09 ")
        assert first.endswith(f"Somebody has heard it: linli-edge node confirm door-1 --data {tmp_path}")
        assert row.endswith("it calls")
        assert _list(tmp_path, capsys, "zh")[0].startswith("door-1 正在呼叫，自 10-09 ")
        await bench.relay.heard("door-1", START + 9 * SECOND, "li", "local")
        assert _list(tmp_path, capsys)[0].startswith("node")


async def test_who_saves_its_battery_and_who_never_spoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(low=True, reads=3_600))
        assert _row(tmp_path, capsys) == ["door-1", "1 h", HEARD, "saves its battery: change it"]
        await bench.say("status", status(reads=900))
        assert _row(tmp_path, capsys) == ["door-1", "15 min", HEARD, "heard of"]


async def test_who_is_silent_and_since_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(reads=60))
        await bench.say("telemetry", pack(1))
        until = START + PATIENCE * 900 * SECOND + MINUTE // 2
        for now, state in ((until - 1, "heard of"), (until, "silent: battery, Wi-Fi, is it still there?")):
            monkeypatch.setattr(command_line, "wall_clock", lambda now=now: now)
            assert _row(tmp_path, capsys) == ["door-1", "1 min", HEARD, state]


async def test_which_sensor_fails_and_why_until_it_answers_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(points=["door_open"]))
        for seq, reason in enumerate(("no_communication", "malformed_answer"), 1):
            await bench.say("telemetry", pack(seq, f'"q":"bad/{reason}"'))
        told = _list(tmp_path, capsys)[-1]
        assert told.startswith("door-1: Door open: garbled answer. At its cable, linli-edge node logs --follow")
        assert _list(tmp_path, capsys, "zh")[-1].startswith("door-1：")
    # The gateway started again knows it still.
    async for bench in Bench(tmp_path).opened():
        assert _list(tmp_path, capsys)[-1] == told
        await bench.say("telemetry", pack(3))
        assert _row(tmp_path, capsys)[-1] == "heard of"
        await bench.say("telemetry", pack(4, f'"q":"bad/{Reason.DEVICE_FAILURE.label}"'))
        assert "device reports a fault" in _list(tmp_path, capsys)[-1]
        # It reads something else from now on.
        await bench.say("status", status(points=["water_leak"]))
        assert _row(tmp_path, capsys)[-1] == "heard of"


TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "worn": ({"worn": 2}, "its flash wears out"),
    "unmade": ({"unmade": 1}, "some of its actions are at pins that its board has not"),
    "overrun": ({"overruns": 3}, "a time awake was ended after 20 s"),
    "rolled-back": ({"number": 8, "running": 7}, "a new program did not reach the gateway"),
}


@pytest.mark.parametrize("kind", TROUBLES)
async def test_what_a_node_says_is_wrong_with_it_until_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    said, told = TROUBLES[kind]
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(**said))
        await bench.say("telemetry", pack(1))
        assert _list(tmp_path, capsys)[-1].startswith(f"door-1, {HEARD}: {told}")
        assert _list(tmp_path, capsys, "zh")[-1].startswith(f"door-1，{HEARD}：")
        (event,) = [json.loads(body) for body in await bench.messages() if kind.encode() in body]
        assert (event["type"], event["subject"]) == (f"linli.node.{kind}", "door-1")
        await bench.say("status", status())
        await bench.say("telemetry", pack(2))
        assert _row(tmp_path, capsys)[-1] == "heard of"


async def test_that_none_of_its_readings_comes_which_no_reading_can_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status())
        await bench.say("telemetry", pack(1))
        for _ in range(5):
            bench.clock.instant += 900 * SECOND
            await bench.say("status", status(worn=9))
            bench.relay.look()
        *_, worn, mute = _list(tmp_path, capsys)
        assert ": its flash wears out: take another board" in worn
        assert ": it is there, and none of its readings come: its flash takes nothing any more" in mute


async def test_that_another_board_has_its_name_also_where_the_own_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told before anything else is kept: nobody may answer the new one, and the old one is in a drawer."""
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status())
        await bench.say("status", status(board="cccc"))
        told = _list(tmp_path, capsys)[-1]
        assert told.startswith(f"door-1, {HEARD}: another board uses its name: give each its own")
        assert "board cccc calls itself door-1, which is board b0b0" in told
        # What nobody listed is no node of this gateway.
        await bench.say("status", status(), node="stranger")
        assert "stranger" not in "".join(_list(tmp_path, capsys))


def test_a_file_that_is_not_there_or_damaged_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["node", "list", "--data", str(tmp_path), "--lang", "en"]
    assert main(words) == WRONG
    assert f"{tmp_path}/{FILE}: is not there" in capsys.readouterr().err
    (tmp_path / FILE).write_text("{}")
    assert main(words) == 0
    assert capsys.readouterr().out == "no node has said anything yet\n"
    (tmp_path / FILE).write_text("[")
    assert main(words) == WRONG
    assert "cannot be read" in capsys.readouterr().err
