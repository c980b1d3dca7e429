"""``linli-edge node list``: what the gateway itself knows of its nodes, for whoever stands there without a network."""

from pathlib import Path

import pytest
from tests.edge.nodes.test_relay import START, Bench, called, pack, status

from linli_core.instant import SECOND
from linli_edge.cli import WRONG, main
from linli_edge.nodes.marks import FILE


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
        assert _list(tmp_path, capsys)[-1].split(maxsplit=3) == ["door-1", "1", "min", "heard of"]
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
        assert _list(tmp_path, capsys)[-1].split(maxsplit=3) == ["door-1", "1", "h", "saves its battery: change it"]
        await bench.say("status", status(reads=900))
        assert _list(tmp_path, capsys)[-1].split(maxsplit=3) == ["door-1", "15", "min", "heard of"]


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
