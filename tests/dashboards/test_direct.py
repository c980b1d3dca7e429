"""Boards straight to a database: what is said to it, what is left out, and what a check of it finds."""

import json
from pathlib import Path

import pytest
from tests.dashboards.conftest import Answer, Serving

from linli_dashboards.ask import Aggregate, Ask, Lived, Record, Window
from linli_dashboards.boards import BOARDS
from linli_dashboards.build import Made, made
from linli_dashboards.check.databases import check_database
from linli_dashboards.check.schema import mistakes
from linli_dashboards.cli import main
from linli_dashboards.direct import DATABASES, reduced
from linli_dashboards.influxql import Scope, statement
from linli_dashboards.panel import Panel
from linli_dashboards.promql import expression

NOW = 1_764_000_000
HERE = "device=~`${device:regex}`"


@pytest.fixture(scope="module", params=sorted(DATABASES))
def database(request: pytest.FixtureRequest) -> tuple[str, list[Made]]:
    return request.param, list(made(dialect=DATABASES[request.param]))


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (
            Ask("active_power", Aggregate.MEAN, "kW", by=("device",)),
            (
                "avg by (device)"
                f" (avg_over_time(active_power_value{{{HERE},point=~`.+/active_power`}}[$__interval])) * 0.001"
            ),
        ),
        (
            Ask("water_volume", Aggregate.CONSUMED, by=("device",), window=Window.PERIOD),
            (
                "sum by (device) (max by (device, gateway, point)"
                f" (increase(water_volume_value{{{HERE},point=~`.+/water_volume`}}[$period])))"
            ),
        ),
        (
            Ask("water_volume", Aggregate.CONSUMED, "l", across="min", window=Window.WHOLE, inner=Window.HOUR, rate=24),
            (
                "min_over_time((sum (max by (gateway, point)"
                f" (increase(water_volume_value{{{HERE},point=~`.+/water_volume`}}[1h]))))[$__range:1h]) * 24000"
            ),
        ),
        (
            Ask("voltage", Aggregate.MINIMUM, by=("device",), plain=False, earlier="7d"),
            f"min by (device) (min_over_time(voltage_value{{{HERE}}}[$__interval] offset 7d))",
        ),
        (
            Ask("voltage", Aggregate.UNUSABLE),
            f"sum (count_over_time({{__name__=~`voltage_(raw|missing)`,{HERE},point=~`.+/voltage`}}[$__interval]))",
        ),
        (
            Ask("water_volume", Aggregate.CONSUMED, across="sum", window=Window.WHOLE, times="water_price"),
            (
                "sum (max by (gateway, point)"
                f" (increase(water_volume_value{{{HERE},point=~`.+/water_volume`}}[$__range]))) * ${{water_price}}"
            ),
        ),
    ],
)
def test_questions_in_promql(ask: Ask, expected: str) -> None:
    assert expression(ask) == expected


def test_a_database_of_influx_is_asked_by_what_it_has() -> None:
    said = statement(Ask("voltage", Aggregate.UNUSABLE, by=("device",)), "en", Scope.DATABASE)
    assert said == (
        'SELECT count("quality") AS "value" FROM "voltage" WHERE $timeFilter AND "device" =~ /^${device:regex}$/'
        ' AND "point" =~ /\\/voltage$/ AND "quality" >= 128 GROUP BY time($__interval), "device" fill(none)'
        " tz('Local')"
    )


def test_a_database_is_asked_for_an_extreme_at_once() -> None:
    # It would date the first window's before the time shown, and leave it out.
    ask = Ask("water_leak", Aggregate.MAXIMUM, plain=False, window=Window.WHOLE)
    assert statement(ask, "en", Scope.DATABASE) == (
        'SELECT max("value") AS "value" FROM "water_leak" WHERE $timeFilter AND "device" =~ /^${device:regex}$/'
    )


def test_only_what_it_can_know_is_asked(database: tuple[str, list[Made]]) -> None:
    name, boards = database
    assert 2 * len(list(reduced(BOARDS, DATABASES[name]))) == len(boards)
    for board in boards:
        assert mistakes(board.dashboard) == []
        assert board.uid.endswith(f"-{name}")
        assert board.dashboard["uid"] == board.uid
        assert len(board.uid) <= 40
        for part in board.board.parts:
            for ask in part.asks if isinstance(part, Panel) else ():
                assert not isinstance(ask, Record)
                assert ask.lived in {Lived.ANYWHERE, Lived.PARTS}
        for word in ("community", "building", "dwelling", "${area", "${console}", "unusable\\"):
            assert word not in board.text, f"{board.uid}: {word}"
        names = [each["name"] for each in board.dashboard["templating"]["list"]]
        assert names[:2] == ["device", "period"]
        assert board.dashboard["annotations"]["list"] == []


def test_it_is_built_by_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path), "--for", "victoriametrics"]) == 0
    assert "boards in" in capsys.readouterr().out
    board = json.loads((tmp_path / "en" / "linli-food-en-victoriametrics.json").read_text(encoding="utf-8"))
    assert board["panels"][0]["datasource"] == {"type": "prometheus", "uid": "linli-victoriametrics"}


def victoria(value: str) -> Answer:
    def answer(path: str, _query: str) -> tuple[int, object]:
        if "/label/" in path:
            return 200, {"data": ["meter-1"]}
        one = {"metric": {}, "value": [NOW, value], "values": [[NOW, value]]}
        return 200, {"data": {"result": [one] if value else []}}

    return answer


def influx(value: float | None) -> Answer:
    def answer(_path: str, _query: str) -> tuple[int, object]:
        one = {"name": "x", "columns": ["time", "value"], "values": [[NOW, value]]}
        return 200, {"results": [{"series": [one]} if value is not None else {}]}

    return answer


def test_what_a_database_answers_is_judged(serving: Serving) -> None:
    for name, good, none, wrong in (
        ("victoriametrics", victoria("1.5"), victoria(""), victoria("-1")),
        ("influxdb", influx(1.5), influx(None), influx(-1)),
    ):
        boards = [each for each in made(dialect=DATABASES[name]) if each.lang == "en" and each.board.name == "water"]
        assert check_database(boards, name, serving(good), NOW).failures == []
        assert any("no answer" in text for text in check_database(boards, name, serving(none), NOW).failures)
        assert any("backwards" in text for text in check_database(boards, name, serving(wrong), NOW).failures)


def test_a_query_that_a_database_refuses_is_told(
    serving: Serving,
) -> None:
    def answer(path: str, query: str) -> tuple[int, object]:
        return victoria("1")(path, query) if "/label/" in path else (400, "no")

    name = "victoriametrics"
    boards = [each for each in made(dialect=DATABASES[name]) if each.uid == f"linli-water-en-{name}"]
    failures = check_database(boards, name, serving(answer), NOW).failures
    assert failures
    assert all("refused" in text for text in failures)
