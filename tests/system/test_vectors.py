"""The judging of recorded frames: its verdicts, its counts, its exit status, and what the documentation says of it."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ProtocolError
from linli_sim.vectors import Outcome, Verdict, __main__
from linli_sim.vectors.judging import tally
from linli_sim.vectors.protocols import PROTOCOLS, judge_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"


class Scripted:
    """A judge that finds what the recording says."""

    def __init__(self, listed: Mapping[str, str] = {}) -> None:
        self.LISTED = listed

    def judge(self, document: Mapping[str, Any], path: Path) -> Verdict:
        if document["says"] == "error":
            raise ProtocolError("no frame", kind="malformed")
        if "number" in document:
            assert document["number"] == Decimal("0.1")
        return Verdict(Outcome(document["says"]), f"{path.stem} says so")


def folder(root: Path, *says: str) -> Path:
    for number, word in enumerate(says):
        (root / f"frame{number}.json").write_text(json.dumps({"says": word, "number": 0.1}))
    return root


def test_counts_as_one_line(tmp_path: Path) -> None:
    found = tally("p", Scripted(), folder(tmp_path, "agree", "agree", "refused_as_expected", "private"))
    assert found.sound
    assert json.loads(found.line()) == {
        "protocol": "p",
        "vectors": 4,
        "agree": 2,
        "refused_as_expected": 1,
        "private": 1,
        "listed": 0,
        "wrong": 0,
    }


def test_a_wrong_one_and_none_at_all_are_not_sound(tmp_path: Path) -> None:
    assert not tally("p", Scripted(), tmp_path).sound
    assert not tally("p", Scripted(), folder(tmp_path, "agree", "wrong")).sound


def test_an_error_of_ours_is_wrong(tmp_path: Path) -> None:
    found = tally("p", Scripted(), folder(tmp_path, "error"))
    assert found.verdicts["frame0"] == Verdict(Outcome.WRONG, "ProtocolError: no frame")


def test_only_what_the_list_names_may_be_listed(tmp_path: Path) -> None:
    recordings = folder(tmp_path, "listed", "listed", "agree")
    found = tally("p", Scripted({"frame0": "theirs", "frame2": "stale", "frame9": "gone"}), recordings)
    assert {stem: verdict.outcome for stem, verdict in found.verdicts.items()} == {
        "frame0": Outcome.LISTED,
        "frame1": Outcome.WRONG,
        "frame2": Outcome.WRONG,
        "frame9": Outcome.WRONG,
    }
    assert found.verdicts["frame0"].why == "theirs"


def test_three_in_a_hundred_may_be_listed(tmp_path: Path) -> None:
    judge = Scripted({"frame0": "theirs"})
    assert not tally("p", judge, folder(tmp_path, "listed", *["agree"] * 32)).sound
    assert tally("p", judge, folder(tmp_path, "listed", *["agree"] * 33)).sound


def test_absence_is_said_and_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--vectors", str(tmp_path)]) == __main__.ABSENT
    said = capsys.readouterr()
    assert said.out == ""
    assert f"no recorded frames at {tmp_path / 'mbus'}; set LINLI_VECTORS to the folder above" in said.err


def test_documentation_lists_what_the_judges_list() -> None:
    documented: dict[str, dict[str, str]] = {}
    for section in re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]:
        if heading := re.match(r"`([a-z0-9-]+)`", section):
            rows = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]*) \|$", section, re.MULTILINE)
            documented[heading[1]] = dict(rows)
    assert documented == {protocol: dict(judge_of(protocol).LISTED) for protocol in PROTOCOLS}


@pytest.mark.vectors
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_recording_is_wrong(protocol: str, vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = __main__.main(["--protocol", protocol, "--vectors", str(vectors)])
    said = capsys.readouterr()
    assert status == 0, said.err
    assert json.loads(said.out)["wrong"] == 0


@pytest.mark.vectors
def test_verbose_tells_each(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--protocol", "mbus", "--vectors", str(vectors), "--verbose"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(list((vectors / "mbus").glob("*.json")))
    assert "mbus test-frames__frame1: agree" in lines
