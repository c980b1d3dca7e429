"""The boards as files: the same each time, in their places, in both languages, of one shape."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linli_core.catalogue import LANGUAGES, catalogue
from linli_core.errors import ConfigError
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary
from linli_dashboards.ask import Aggregate, Ask
from linli_dashboards.boards import BOARDS
from linli_dashboards.boards.water import WATER
from linli_dashboards.build import Made, made, write
from linli_dashboards.cli import main
from linli_dashboards.direct import DATABASES
from linli_dashboards.errors import UnknownQuantity
from linli_dashboards.panel import CURVES, Row
from linli_dashboards.units import GRAFANA

GENERATED = Path(__file__).resolve().parents[2] / "dashboards" / "generated"
SET = {
    "today",
    "electricity",
    "water",
    "gas-heat",
    "food",
    "fire",
    "cameras",
    "field-health",
    "alarm-health",
    "completeness",
    "district",
}


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_the_files_are_what_the_code_makes(boards: list[Made]) -> None:
    there = {path: path.read_text(encoding="utf-8") for path in GENERATED.glob("*/*.json")}
    wanted = {board.path(GENERATED): board.text for board in boards}
    assert there.keys() == wanted.keys(), "make them by: linli-boards build dashboards/generated"
    assert [path for path in wanted if there[path] != wanted[path]] == [], "linli-boards build dashboards/generated"


def test_the_whole_set_is_there_in_both_languages(boards: list[Made]) -> None:
    assert {(board.board.name, board.lang) for board in boards} >= {(name, lang) for name in SET for lang in LANGUAGES}
    ids = [board.uid for board in boards]
    assert len(set(ids)) == len(ids)
    for board in boards:
        assert board.dashboard["uid"] == board.uid
        assert re.fullmatch(r"[a-z-]{8,40}", board.uid)


def test_titles_differ_by_language_and_the_rest_does_not(boards: list[Made]) -> None:
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for board in boards:
        by_name.setdefault(board.board.name, {})[board.lang] = board.dashboard
    for languages in by_name.values():
        zh, en = languages["zh"], languages["en"]
        assert zh["title"] != en["title"]
        assert not any("\u4e00" <= sign <= "\u9fff" for text in strings(en) for sign in text)
        for one, other in zip(zh["panels"], en["panels"], strict=True):
            assert one["gridPos"] == other["gridPos"]
            assert [target["refId"] for target in one.get("targets", [])] == [
                target["refId"] for target in other.get("targets", [])
            ]


def test_panels_stand_beside_each_other(boards: list[Made]) -> None:
    for board in boards:
        taken: dict[tuple[int, int], str] = {}
        for panel in board.dashboard["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            for column in range(at["x"], at["x"] + at["w"]):
                for row in range(at["y"], at["y"] + at["h"]):
                    assert (column, row) not in taken, f"{board.uid}: {panel['title']} lies on {taken[column, row]}"
                    taken[column, row] = panel["title"]


def test_a_panel_keeps_its_number_when_another_comes_before_it() -> None:
    """Its number is in the address that people keep: ``viewPanel``."""
    before = {part.key: number for number, part in WATER.numbered}
    more = replace(WATER, parts=(Row("board.water.title"), *WATER.parts))
    after = {part.key: number for number, part in more.numbered}
    assert {key: after[key] for key in before} == before
    twice = replace(WATER, parts=(*WATER.parts, *WATER.parts))
    assert len({number for number, _ in twice.numbered}) == len(twice.parts)


def test_a_click_keeps_what_the_reader_chose(boards: list[Made]) -> None:
    for board in boards:
        for link in re.findall(r'"url": "(/d/[^"]*)"', board.text):
            assert "${period:queryparam}&" in link
            assert link.endswith("&${__url_time_range}")


def test_every_panel_has_a_number_a_title_and_says_what_it_shows(boards: list[Made]) -> None:
    for board in boards:
        panels = board.dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["title"]
            if panel["type"] != "row":
                assert panel["description"]
                assert panel["targets"]


def test_a_missing_value_is_a_gap_and_a_bad_reading_a_mark(boards: list[Made]) -> None:
    curves = [panel for board in boards for panel in board.dashboard["panels"] if panel["type"] == "timeseries"]
    assert curves
    for panel in curves:
        assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
        for target in panel["targets"]:
            assert "fill(0)" not in target["query"]
            assert "fill(previous)" not in target["query"]
    marked = [panel for panel in curves if any(target["refId"].startswith("Z") for target in panel["targets"])]
    assert len(marked) > 20
    for panel in marked:
        looks = {
            override["matcher"]["options"]: {it["id"]: it["value"] for it in override["properties"]}
            for override in panel["fieldConfig"]["overrides"]
        }
        assert looks["Z0"]["custom.drawStyle"] == "points"


def test_drilling_leads_from_the_area_to_the_point(boards: list[Made]) -> None:
    links = {
        text for board in boards for text in strings(board.dashboard) if "/d/linli-" in text or "${console}/" in text
    }
    for part in (
        "var-area=",
        "var-building=",
        "var-dwelling=",
        "var-device=",
        "${console}/devices/",
        "${console}/alarms/",
    ):
        assert any(part in link for link in links), part
    ids = {board.uid for board in boards}
    assert {found for link in links for found in re.findall(r"/d/([a-z-]+)", link)} <= ids


def test_no_grafana_alert_rule_is_made(boards: list[Made]) -> None:
    assert not any("alert" in panel for board in boards for panel in board.dashboard["panels"])


def test_the_day_that_is_shown_is_that_of_grafanas_settings(boards: list[Made]) -> None:
    assert {made.dashboard["timezone"] for made in boards} == {""}


def test_the_reader_chooses_the_place_and_the_period(boards: list[Made]) -> None:
    for board in boards:
        names = [variable["name"] for variable in board.dashboard["templating"]["list"]]
        expected = ["area"] if board.board.name == "district" else ["area", "building", "dwelling", "device"]
        assert names[: len(expected) + 1] == [*expected, "period"]
        assert names[-1] == "console"


def test_the_board_of_a_device_shows_one_and_others_as_many_as_are_chosen(boards: list[Made]) -> None:
    for board in boards:
        for variable in board.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                single = (board.board.name, variable["name"]) == ("device", "device")
                assert (variable["multi"], variable["includeAll"]) == (not single, not single)
                assert ("current" in variable) is not single
                assert variable["allValue"] == ".*"


def test_a_panel_draws_a_hundred_devices_at_most_and_says_so(boards: list[Made]) -> None:
    limited = 0
    for board in boards:
        for panel in board.dashboard["panels"]:
            of_devices = [
                re.search(r'GROUP BY [^()]*time\([^)]*\), "device"(?!.*GROUP BY)', target["query"]) is not None
                for target in panel.get("targets", [])
            ]
            if panel["type"] == "timeseries" and any(of_devices):
                limited += 1
                assert any(" SLIMIT 100 tz(" in target["query"] for target in panel["targets"])
                assert ("100" in panel["description"]) is not board.board.single
            else:
                assert not any("SLIMIT" in target["query"] for target in panel.get("targets", []))
    assert limited > 20


def test_bars_of_states_leave_no_detector_out_and_are_not_megabytes(boards: list[Made]) -> None:
    bars = [panel for board in boards for panel in board.dashboard["panels"] if panel["type"] == "state-timeline"]
    assert len(bars) > 20
    for panel in bars:
        assert panel["maxDataPoints"] == 240
        for target in panel["targets"]:
            assert "SLIMIT" not in target["query"]
            assert "time(" not in target["query"] or re.match(r'SELECT max\("value"\)', target["query"])


def test_marks_of_alarms_and_who_took_them_work_orders_outages_and_swaps_are_on_every_board(
    boards: list[Made],
) -> None:
    for board in boards:
        assert len(board.dashboard["annotations"]["list"]) == 5


def test_every_unit_of_the_vocabulary_can_be_shown() -> None:
    assert {quantity.unit for quantity in vocabulary().values()} <= GRAFANA.keys()


def test_no_text_lies_idle(boards: list[Made]) -> None:
    direct = [board for dialect in DATABASES.values() for board in made(dialect=dialect)]
    said = {part for board in [*boards, *direct] for text in strings(board.dashboard) for part in text.split("\n\n")}
    reasons = {
        ask.may_be_empty
        for board in BOARDS
        for panel in board.panels
        for _, ask in panel.questions()
        if ask.may_be_empty
    }
    for lang in LANGUAGES:
        texts = {
            key: text.replace("{most}", str(CURVES))
            for key, text in catalogue(lang).items()
            if key.startswith("board.")
        }
        idle = {key for key, text in texts.items() if text not in said and not key.startswith("board.empty.")}
        assert idle == set()
        assert reasons <= texts.keys()


def test_a_quantity_that_the_vocabulary_lost_is_named() -> None:
    gone = Ask("activ_power", Aggregate.MEAN)
    board = replace(BOARDS[0], parts=(replace(BOARDS[0].panels[0], asks=(gone,)),))
    with pytest.raises(UnknownQuantity, match="no quantity is called 'activ_power'; did you mean 'active_power'"):
        list(made([board]))


def test_a_quantity_of_another_dimension_is_no_panel_of_this_unit() -> None:
    wrong = Ask("voltage", Aggregate.MEAN, "kW")
    board = replace(BOARDS[0], parts=(replace(BOARDS[0].panels[0], asks=(wrong,)),))
    with pytest.raises(UnitError, match="V measures voltage, kW active power"):
        list(made([board]))


def test_building_twice_leaves_what_is_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "linli-gone-en.json").write_text("{}")
    (tmp_path / "en" / "mine.json").write_text("{}")
    assert main(["build", str(tmp_path), "--console", "https://console.example/"]) == 0
    assert f"{2 * len(BOARDS)} boards" in capsys.readouterr().out
    assert not (tmp_path / "en" / "linli-gone-en.json").exists()
    assert (tmp_path / "en" / "mine.json").exists()
    board = json.loads((tmp_path / "zh" / "linli-today-zh.json").read_text(encoding="utf-8"))
    assert board["templating"]["list"][-1]["query"] == "https://console.example"


def test_what_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["build", str(tmp_path / "file")]) == 2
    assert "it cannot be written" in capsys.readouterr().err
    assert main(["build", str(tmp_path), "--console", "console"]) == 2
    assert "found 'console'" in capsys.readouterr().err


def test_errors_are_for_operators() -> None:
    assert issubclass(UnknownQuantity, ConfigError)


def test_write_counts(tmp_path: Path, boards: list[Made]) -> None:
    assert write(boards, tmp_path) == len(boards)
