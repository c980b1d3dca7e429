"""Profiles of radio meters: complete, each with a case that gives all it promises, and each fits a recorded meter."""

import json
from pathlib import Path

import pytest

import linli_edge.drivers.wmbus
from linli_core.codecs.mbus import Interpreter
from linli_core.codecs.wmbus import Formats, Telegram, decode_telegram
from linli_core.errors import ConfigError, LinliError
from linli_edge.ciphers import AES
from linli_edge.drivers.wmbus import SPEC
from linli_edge.drivers.wmbus.device_profile import SHELF, parse_profile

NAMES = SHELF.names()
CASES = Path(linli_edge.drivers.wmbus.__file__).parent / "testcases"


def test_the_meters_that_ship() -> None:
    assert len(NAMES) >= 15
    assert SPEC.profiles is SHELF


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_what_it_is_and_what_was_verified(name: str) -> None:
    profile = SHELF.load(name, "test")
    assert profile.verified.endswith(".")
    assert any("\u4e00" <= character <= "\u9fff" for character in profile.title["zh"])
    assert profile.title["en"].isascii()
    assert profile.points
    assert profile.manufacturer


@pytest.mark.parametrize("name", NAMES)
def test_a_case_gives_every_point_that_a_profile_promises(name: str) -> None:
    results = [found for case in SHELF.cases(name) if (found := CASES / case / "expected.json").is_file()]
    assert results
    for found in results:
        given = {item["point"].partition("/")[2] for item in json.loads(found.read_text(encoding="utf-8"))}
        assert given >= set(SHELF.load(name, "test").points)


@pytest.fixture(scope="module")
def recorded(vectors: Path) -> list[Telegram]:
    telegrams = []
    formats = Formats()
    for path in sorted((vectors / "wmbus").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = bytes.fromhex(document["input"]["data"])
        key = bytes.fromhex(document["key"]) if document.get("key") else None
        if document["kind"] in {"checksum", "records"} or data[3] == 0x68:
            continue
        try:
            telegrams.append(decode_telegram(data, AES, lambda _: key, formats))  # noqa: B023 - called at once
        except LinliError:
            continue
    return telegrams


@pytest.mark.vectors
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_meter_gives_every_point_that_its_profile_promises(name: str, recorded: list[Telegram]) -> None:
    profile = SHELF.load(name, "test")
    fitting = [telegram for telegram in recorded if profile.fits(telegram.identity)]
    assert fitting
    of_the_header = {"meter_status", "battery_low"}
    promised = set(profile.points) - of_the_header
    given = [
        {reading.point.local_name for reading in Interpreter("meter").readings(telegram.application, 0)}
        for telegram in fitting
    ]
    # A meter may spread what it gives over telegrams of several kinds.
    assert any(names >= promised for names in given)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"manufacturer": ["kam"]}, 'manufacturer: found "kam"; write three capital letters'),
        ({"points": ["volume_of_water"]}, 'points[0]: no quantity is called "volume_of_water"'),
        ({"points": ["Water!"]}, 'points[0]: found "Water!"; write a point\'s name'),
        ({"version": [256]}, "version[0]: found 256"),
        ({"maxage": "1 h"}, "maxage: unknown key"),
    ],
)
def test_mistakes_are_told_with_their_place(change: dict[str, object], told: str) -> None:
    tables = {
        "make": "A",
        "model": "B",
        "manual": "C",
        "verified": "D.",
        "title": {"zh": "表", "en": "Meter"},
        "manufacturer": ["KAM"],
        "encrypted": False,
        "max_age": "1 h",
        "points": ["water_volume"],
    }
    parse_profile("mine", tables, "mine.toml")
    with pytest.raises(ConfigError) as caught:
        parse_profile("mine", tables | change, "mine.toml")
    assert told in str(caught.value)
