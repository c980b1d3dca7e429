"""Makes and models of wired meters: whose they are, what their makers mean, and what is wrong with a profile."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.mbus import Identity, Interpreter, LongFrame, decode_frame, decode_telegram
from linli_core.model import Quality, Reading, parse_point
from linli_edge.config.table import ConfigErrors
from linli_edge.drivers.mbus import SPEC
from linli_edge.drivers.mbus.meter_profile import SHELF, parse_profile, profile_for, quirks_of
from linli_edge.drivers.mbus.settings import parse

NAMES = SHELF.names()

MINIMAL = """
make = "Acme"
model = "One"
manual = "Acme One, manual"
verified = "Nothing."
manufacturer = ["ACM"]
points = ["heat_energy"]

[title]
zh = "一号表"
en = "One"
"""


def readings(path: Path, *, quirky: bool = True) -> dict[str, Reading]:
    frame = decode_frame(bytes.fromhex(json.loads(path.read_text())["input"]["data"]))
    assert isinstance(frame, LongFrame)
    interpreter = Interpreter("m", quirks=quirks_of) if quirky else Interpreter("m")
    return {reading.point.local_name: reading for reading in interpreter.readings(decode_telegram(frame), 0)}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_what_it_is_and_what_was_verified(name: str) -> None:
    profile = SHELF.load(name, "test")
    assert profile.verified.endswith(".")
    assert any("\u4e00" <= character <= "\u9fff" for character in profile.title["zh"])
    assert profile.points
    assert {f"profile-{name}", f"profile-{name}-damaged"} <= set(SHELF.cases(name)), "a good case and a bad one"


def test_the_makes_that_ship_are_in_the_readme() -> None:
    readme = (Path(str(SHELF.folder)).parent / "README.md").read_text(encoding="utf-8")
    assert len({SHELF.load(name, "test").make for name in NAMES}) >= 12
    assert [name for name in NAMES if f"`{name}`" not in readme] == []


def test_a_profile_is_found_by_the_meter_itself() -> None:
    found = {
        Identity("1", "SEC", 21, 2): "schneider-iem3000",
        Identity("1", "KAM", 53, 4): "kamstrup-multical",
        Identity("1", "KAM", 1, 2): None,
        Identity("1", "ACW", 10, 13): "itron-cf",
        Identity("1", "ACW", 20, 3): "itron-cyble-wired",
        Identity("1", "SEN", 8, 4): "sensus-pollucom",
        Identity("1", "SEN", 14, 4): "sensus-pollustat",
        Identity("1", "LNL", 1, 7): None,
    }
    for identity, name in found.items():
        profile = profile_for(identity)
        assert (profile.name if profile else None) == name


def test_no_two_profiles_are_for_one_meter() -> None:
    profiles = [SHELF.load(name, "test") for name in NAMES]
    for maker in {letters for profile in profiles for letters in profile.manufacturer}:
        for version in range(256):
            for medium in range(0x40):
                fitting = [each.name for each in profiles if each.fits(Identity("1", maker, version, medium))]
                assert len(fitting) <= 1, fitting


@pytest.mark.vectors
def test_what_a_recorded_meter_means_is_what_its_source_says(vectors: Path) -> None:
    """Reactive and apparent values are not booked as active ones."""
    stated = {
        "reactive_energy_import": "partial_reactive_energy_consumption_kvarh",
        "energy_export": "total_energy_production_kwh",
        "reactive_power": "reactive_consumption_kw",
        "apparent_power": "apparent_consumption_kw",
        "active_power": "active_consumption_kw",
        "frequency": "frequency_hz",
        "power_factor": "power_factor",
    }
    compared = 0
    for path in sorted((vectors / "wmbus").glob("iem3000__03313062*.json")):
        expected: dict[str, Any] = json.loads(path.read_text(), parse_float=Decimal)["expected"]
        found = readings(path)
        assert "energy_import.c1" not in found
        assert "active_power.c1" not in found
        for quantity, field in stated.items():
            if quantity in found and field in expected:
                value = found[quantity].value
                assert isinstance(value, Decimal)
                scale = 1000 if field.endswith(("_kw", "_kwh", "_kvarh")) else 1
                wanted = Decimal(expected[field]) * scale
                assert abs(value - wanted) <= max(abs(wanted) / 10_000, Decimal("0.001")), quantity
                assert found[quantity].quality is Quality.GOOD
                compared += 1
    assert compared >= 7


@pytest.mark.vectors
def test_electric_sub_units_of_unknown_makers_are_doubted(vectors: Path) -> None:
    """Without a profile nobody knows whether a sub-unit's energy is active: it is not booked as certain."""
    path = next((vectors / "wmbus").glob("iem3000__03313062__68C6*.json"))
    found = readings(path, quirky=False)
    assert found["energy_import.c1"].quality is Quality.UNCERTAIN
    assert found["energy_import"].quality is Quality.GOOD


def test_a_profile_named_for_a_device_says_what_is_missed_before_it_answers() -> None:
    table = {"host": "h", "port": 1, "devices": [{"id": "heat-1", "address": 1, "profile": "kamstrup-multical"}]}
    settings = parse(table, "links[0]")
    assert SPEC.plan is not None
    (planned,) = SPEC.plan(settings)
    assert planned.points == (parse_point("heat-1/heat_energy"), parse_point("heat-1/heat_volume"))


def mistakes(text: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        parse_profile("acme-one", tomllib.loads(text), "profile acme-one")
    return str(caught.value)


def test_a_minimal_profile() -> None:
    profile = parse_profile("acme-one", tomllib.loads(MINIMAL), "profile acme-one")
    assert profile.fits(Identity("12345678", "ACM", 77, 4))
    assert profile.quirks == ()


@pytest.mark.parametrize(
    ("change", "to", "text"),
    [
        ('["ACM"]', '["acm"]', 'profile acme-one.manufacturer: found "acm"; write three capital letters'),
        ('["heat_energy"]', '["heat"]', 'profile acme-one.points[0]: no quantity is called "heat"; see'),
        ('["heat_energy"]', '["Heat energy"]', 'profile acme-one.points[0]: found "Heat energy"; write a point'),
        ("make =", "mark =", 'profile acme-one.mark: unknown key; did you mean "make"?'),
        ("zh =", "cn =", "profile acme-one.title.zh: missing; "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: str, to: str, text: str) -> None:
    assert text in mistakes(MINIMAL.replace(change, to))


@pytest.mark.parametrize(
    ("quirk", "text"),
    [
        ('measurand = "enrgy"', 'profile acme-one.quirks[0].measurand: found "enrgy"; did you mean "energy"?'),
        ('measurand = "energy"\nquantity = "x"', 'profile acme-one.quirks[0].quantity: no quantity is called "x"; see'),
        ('measurand = "energy"\ncodes = "FF"', 'profile acme-one.quirks[0].codes: found "FF"; write the codes'),
        (
            'measurand = "energy"\ncodes = "01"\nphases = { "01" = "l1" }',
            "profile acme-one.quirks[0].codes: stands beside phases; leave one of the two out",
        ),
        (
            'measurand = "energy"\nphases = { "01" = "l9" }',
            'profile acme-one.quirks[0].phases: found "l9"; choose one of ',
        ),
        (
            'measurand = "energy"\nsubunits = 1',
            'profile acme-one.quirks[0].subunits: unknown key; did you mean "subunit"?',
        ),
    ],
)
def test_what_is_wrong_with_a_quirk_is_told_with_its_place(quirk: str, text: str) -> None:
    assert text in mistakes(f"{MINIMAL}\n[[quirks]]\n{quirk}\n")
