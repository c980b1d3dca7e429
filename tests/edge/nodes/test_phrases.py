"""What nodes say is explained in both languages, as long as they say it so."""

import argparse
import re
from collections.abc import Iterator

import pytest

from linli_core.catalogue import LANGUAGES
from linli_edge.nodes import phrases, serial_command
from linli_edge.nodes.build import sources
from linli_edge.nodes.phrases import explained
from linli_edge.nodes.report import Fact, shown, title, told
from linli_edge.nodes.trouble import BoardTrouble

FIRMWARE = "".join(path.read_text() for part in ("lib", "node") for path in sorted((sources() / part).rglob("*.py")))
ELSEWHERE = (
    "MemoryError",
    "no module named '",
    "machine",
    "no /keys/",
    "not correctly signed by the trusted CA",
    "does not match with the expected CN",
)
"""What MicroPython and mbedTLS say, and what is put together."""


@pytest.mark.parametrize("pattern", [pattern.pattern for pattern, _ in phrases._PHRASES])
def test_what_is_explained_is_what_the_firmware_says(pattern: str) -> None:
    for either in pattern.split("|"):
        for part in re.split(r"\(\?P<\w+>[^)]*\)|[\^?]|\\[w.+*)(]*", either):
            words = part.strip(":;() ")
            assert words in FIRMWARE or words in ELSEWHERE, words


SAID = [
    ("no network lets this node in: facility, guests", "facility, guests"),
    ("ConfigError: this board has no configuration yet: linli-edge node provision writes one", "provision"),
    ("no connection: The certificate is not correctly signed by the trusted CA", "--keys"),
    ("no connection: [Errno 113] EHOSTUNREACH", "EHOSTUNREACH"),
    (
        "sensors[0].pin: no pin wakes this board: put MicroPython 1.27 or newer on it, or give it a charger",
        "MicroPython",
    ),
    ("ConfigError: pin 7, 9 does not wake this board from its sleep: take one of 0 to 5", "7, 9"),
    ("sensors[0].pin: pin 7 does not wake this board from its sleep; take one of GPIO0-5, or a charger", "7"),
    ("update 5 is no newer than 5, which runs", "5"),
    ("the update is for rp2; this is esp32c3", "esp32c3"),
    ("nothing answers at address 0x44", "0x44"),
    ("the module refuses (code 2)", "2"),
    ("it says 173169, which it cannot measure", ""),
    ("pzem004t does not answer rightly: nothing in time", ""),
    ("the broker closed the connection: is this node's key known there?", "--keys"),
    ("the battery cannot be measured: ESP_ERR_TIMEOUT", "GPIO4"),
    ("leak_rope cannot be made: invalid pin", "leak_rope"),
    ("the keys of this node are damaged (invalid cert): linli-edge node provision writes them", "provision"),
    ("no /keys/node.key: linli-edge node provision writes it", "node.key"),
]


@pytest.mark.parametrize(("said", "named"), SAID)
def test_an_explanation_names_what_it_is_about(said: str, named: str) -> None:
    for lang in LANGUAGES:
        assert explained(said, lang)
        assert named in explained(said, lang)
    assert explained("something else", "zh") == ""


def test_a_trouble_that_a_board_explains_is_told_with_what_it_means() -> None:
    trouble = BoardTrouble("update_refused", "/dev/ttyACM0", said="the manifest is not signed by whoever may update")
    assert "→ " in trouble.told("zh")
    assert "签名密钥" in trouble.told("zh")


def test_what_is_followed_is_explained_below_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(_port: str, _wait: float) -> Iterator[str]:
        yield "no network lets this node in: facility"
        yield "confirmed"
        raise KeyboardInterrupt

    monkeypatch.setattr(serial_command, "follow", lines)
    args = argparse.Namespace(port="/dev/ttyACM0", wait=1.0, follow=True, last=0, lang="zh")
    assert serial_command._logs(args) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" no network lets this node in: facility")
    assert said[1].strip().startswith("→ 以下网络都连不上：facility")
    assert said[2].endswith(" confirmed")


@pytest.mark.parametrize(
    ("value", "unit", "quality", "written"),
    [
        ([2143, 2], "Cel", "", "21.43 °C"),
        ([-5, 2], "Cel", "", "-0.05 °C"),
        ([12, 0], "m3", "", "12 m³"),
        ([12, -1], "count", "", "120"),
        (True, "", "", "yes"),
        (None, "", "bad/no_communication", "✗ device does not answer"),
        (None, "", "bad", "✗ bad"),
    ],
)
def test_values_are_written_as_people_write_them(value: object, unit: str, quality: str, written: str) -> None:
    assert shown(value, unit, quality, "en") == written


def test_a_point_has_its_name_and_channel() -> None:
    assert title("door_open.c2", "en") == "Door open c2"
    assert title("of_a_newer_program", "zh") == "of_a_newer_program"


def test_everything_that_a_node_tells_is_told() -> None:
    facts: list[Fact] = [
        {"what": "board", "board": "aa", "kind": "rp2", "version": "1", "number": 8, "running": 7, "trial": "b"},
        {"what": "configuration", "mistakes": ["sensors: missing; add it"]},
        {"what": "health", "starts": 3, "heap_free": 50_000, "battery_mv": 2910, "call": True},
        {"what": "error", "text": "Traceback\nMemoryError: \n"},
        {"what": "of a newer program"},
        {"what": "record", "seq": 1, "at": 1_790_000_000_000, "doubtful": True, "records": [["x", "", None, "bad"]]},
    ]
    said = "\n".join(told(facts, "en"))
    for words in (
        "program 7",
        "Program 8 is on trial",
        "It cannot use its configuration",
        "sensors: missing",
        "2.91 V",
        "call",
        "→ Its memory",
        " ?  x",
    ):
        assert words in said
