"""``linli-boards check``: what it finds in the files, and in what a platform answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.dashboards.conftest import Serving

from linli_dashboards.ask import Aggregate, Ask, Column, Record
from linli_dashboards.asking import Platform
from linli_dashboards.board import Board
from linli_dashboards.build import Made, made, write
from linli_dashboards.check.checking import Report, check
from linli_dashboards.check.grafana import NoSuchVariable, Shown, filled, presets
from linli_dashboards.check.schema import mistakes
from linli_dashboards.cli import main
from linli_dashboards.panel import Look, Panel

NOW = 1_764_000_000
MEAN = Ask("active_power", Aggregate.MEAN, "kW", by=("device",))
POWER = Board("today", (Panel("board.device.power", Look.BARS, (MEAN,)),))
ONLINE = Record("gateway_state", (Column('sum("online")', "count", "board.column.online", alias="online"),))
Answers = Callable[[str], list[dict[str, Any]]]


def series(columns: list[str], rows: list[list[Any]], **tags: str) -> dict[str, Any]:
    return {"name": "x", "columns": columns, "values": rows} | ({"tags": tags} if tags else {})


def healthy(query: str) -> list[dict[str, Any]]:
    if query.startswith("SHOW"):
        return [series(["key", "value"], [["unit", "W"]])]
    if "mean" in query:
        lang = "zh" if "device_zh" in query else "en"
        return [series(["time", "value"], [[NOW * 1000, 1.5]], device="m1", **{f"device_{lang}": "Meter"})]
    return [series(["time", "title"], [[NOW * 1000, "x"]])]


@pytest.fixture
def answering(serving: Serving) -> Callable[[Answers | int], Platform]:
    """Return what makes a platform that answers so; a number is a status without an answer."""

    def made_of(answers: Answers | int) -> Platform:
        def answer(_path: str, query: str) -> tuple[int, object]:
            if isinstance(answers, int):
                return answers, {"results": [{}]}
            return 200, {"results": [{"series": answers(query)}]}

        return Platform(serving(answer), name="duckdb")

    return made_of


def checked(board: Board, platform: Platform) -> Report:
    return check([each for each in made([board]) if each.lang == "en"], None, [platform], NOW)


def test_what_is_made_is_sound(boards: list[Made], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["failed"] == 0
    assert found["boards"] == len(boards)
    assert found["queries"] > 500
    assert found["stores"] == []


def test_a_file_that_is_old_or_gone_is_found(
    boards: list[Made], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(boards, tmp_path)
    assert main(["check", "--folder", str(tmp_path)]) == 0
    path = boards[0].path(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("energy_import", "reactive_energy_q3"), encoding="utf-8")
    assert main(["check", "--folder", str(tmp_path)]) == 1
    assert f"{boards[0].uid}: its file is not what is made now" in capsys.readouterr().err
    path.unlink()
    assert main(["check", "--folder", str(tmp_path)]) == 2
    assert "make it by: linli-boards build" in capsys.readouterr().err


def test_a_platform_that_answers_as_declared_passes(answering: Callable[[Answers | int], Platform]) -> None:
    report = checked(POWER, answering(healthy))
    assert report.failures == []
    assert report.as_dict() == {"boards": 1, "panels": 1, "queries": 10, "stores": ["duckdb"], "failed": 0}


def changed(columns: list[str], rows: list[list[Any]], **tags: str) -> Answers:
    def answers(query: str) -> list[dict[str, Any]]:
        return [series(columns, rows, **tags)] if "mean" in query else healthy(query)

    return answers


def in_volts(query: str) -> list[dict[str, Any]]:
    return [series(["key", "value"], [["unit", "V"]])] if query.startswith("SHOW") else healthy(query)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (changed(["time", "value"], [[1, None]], device="m1", device_en="m1"), "no answer"),
        (changed(["time", "mean"], [[1, 2.0]], device="m1", device_en="m1"), "no answer"),
        (changed(["time", "value", "more"], [[1, 2.0, 3.0]], device="m1", device_en="m1"), "its columns are"),
        (changed(["time", "value"], [[1, 2.0]], device="m1"), "its tags are ['device'], not ['device', 'device_en']"),
        (changed(["time", "value"], [[1, "many"]], device="m1", device_en="m1"), "not all of its values are numbers"),
        (in_volts, "the store holds active_power in ['V'], the vocabulary in 'W'"),
        (lambda _query: [], "no answer"),
    ],
)  # fmt: skip
def test_an_answer_of_another_unit_or_shape_fails(
    answering: Callable[[Answers | int], Platform], answers: Answers, expected: str
) -> None:
    failures = checked(POWER, answering(answers)).failures
    assert any(expected in failure and "linli-today-en" in failure for failure in failures), failures


def test_a_value_that_cannot_be_is_found(answering: Callable[[Answers | int], Platform]) -> None:
    factor = replace(
        POWER.panels[0], key="board.electricity.factor", asks=(Ask("power_factor", Aggregate.MEAN, by=("device",)),)
    )
    board = replace(POWER, parts=(factor,))

    def answers(query: str) -> list[dict[str, Any]]:
        return [series(["key", "value"], [["unit", "/"]])] if query.startswith("SHOW") else healthy(query)

    failures = checked(board, answering(answers)).failures
    assert any("1.5 / is beyond what power_factor can be (-1 to 1)" in failure for failure in failures)


def test_a_planted_wrong_quantity_fails(answering: Callable[[Answers | int], Platform]) -> None:
    """It is one of the vocabulary and of the right unit, and no device has it."""
    planted = replace(POWER.panels[0], asks=(replace(MEAN, quantity="active_power_export"),))

    def answers(query: str) -> list[dict[str, Any]]:
        return [] if "active_power_export" in query else healthy(query)

    (failure,) = checked(replace(POWER, parts=(planted,)), answering(answers)).failures
    assert failure == "duckdb: linli-today-en 'Active power' A: no answer"


def test_empty_is_what_may_be(answering: Callable[[Answers | int], Platform]) -> None:
    panel = replace(POWER.panels[0], asks=(replace(MEAN, may_be_empty="board.empty.no_such_device"),))
    report = checked(replace(POWER, parts=(panel,)), answering(lambda query: [] if "mean" in query else healthy(query)))
    assert report.failures == []
    assert report.empty == ["duckdb: linli-today-en 'Active power' A: no answer"]


def test_what_is_told_is_judged_too(answering: Callable[[Answers | int], Platform]) -> None:
    board = replace(POWER, parts=(Panel("board.today.gateways", Look.FIGURE, (ONLINE,)),))

    def answers(online: object) -> Answers:
        return lambda query: [series(["time", "online"], [[1, online]])] if "online" in query else healthy(query)

    assert checked(board, answering(answers(2))).failures == []
    assert any("online is -1 count" in text for text in checked(board, answering(answers(-1))).failures)
    assert any("online holds no numbers" in text for text in checked(board, answering(answers("two"))).failures)


def test_a_platform_that_is_away_ends_the_check(
    answering: Callable[[Answers | int], Platform], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--at", f"duckdb={answering(503).url}"]) == 2
    assert "503" in capsys.readouterr().err
    assert main(["check", "--at", "duckdb"]) == 2
    assert "write NAME=URL" in capsys.readouterr().err
    assert main(["check", "--at", "duckdb=http://127.0.0.1:9", "--token-file", "/nowhere"]) == 2
    assert "name a file that holds a token" in capsys.readouterr().err


def test_a_query_that_is_refused_is_told(answering: Callable[[Answers | int], Platform]) -> None:
    assert any("refused" in failure for failure in checked(POWER, answering(400)).failures)


def test_schema_finds_what_it_does_not_know(boards: list[Made]) -> None:
    board = boards[0].dashboard
    assert mistakes(board) == []
    for change, expected in (
        ({"refreshing": "1m"}, ".refreshing: the schema has no such field"),
        ({"schemaVersion": "41"}, ".schema_version: '41' is no <class 'int'>"),
        ({"graphTooltip": 7}, ".graph_tooltip: 7 is no"),
        ({"tags": ["linli", 4]}, ".tags: ['linli', 4] is no"),
    ):
        assert any(expected in mistake for mistake in mistakes(board | change)), change
    panel = board["panels"][1]
    planted = panel | {"fieldConfig": panel["fieldConfig"] | {"defaults": {"unit": "kwatth", "unti": 1}}}
    assert mistakes(board | {"panels": [planted]}) == [
        ".panels[].fieldConfig.defaults.unti: the schema has no such field"
    ]


def test_variables_are_put_in_as_grafana_does() -> None:
    shown = Shown.until(NOW, "24h")
    asked = "SELECT x WHERE $timeFilter AND a =~ /^${area:regex}$/ AND b = ${price} GROUP BY time($__interval)"
    variables: dict[str, str | list[str]] = {"area": ["a.b", "c/d"], "price": "4.00"}
    assert filled(asked, shown, variables) == (
        f"SELECT x WHERE time >= {(NOW - 86400) * 1000}ms and time <= {NOW * 1000}ms AND a =~ /^(a\\.b|c\\/d)$/"
        " AND b = 4.00 GROUP BY time(300s)"
    )
    assert filled("${area:regex}", shown, {"area": ["a.b"]}) == "a\\.b"
    assert filled("${area:regex}", shown, {"area": ".*"}) == ".*", "what stands for all is not escaped"
    with pytest.raises(NoSuchVariable, match="gone"):
        filled("$gone", shown, {})


def test_a_board_opens_with_all_chosen(boards: list[Made]) -> None:
    found = presets(boards[0].dashboard)
    assert found["area"] == found["device"] == ".*"
    assert filled("$period", Shown.until(NOW, "30d"), found) == "86400s"
    assert filled("$period", Shown.until(NOW, "24h"), found) == "3600s"
