"""Makes and models of meters are data with cases of their own: each goes right once, and wrong once."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from linli_edge.drivers import cjt188, dlms, dlt645, iec62056, mbus, wmbus
from linli_edge.profiles.shelf import Profile, Shelf

SHELVES: dict[str, Shelf[Profile]] = {
    module.SPEC.name: module.SPEC.profiles
    for module in (cjt188, dlms, dlt645, iec62056, mbus, wmbus)
    if module.SPEC.profiles is not None
}
NAMED = [
    *("Diehl", "Elster", "Hexing", "Holley", "Itron", "Kamstrup", "Landis+Gyr"),
    *("Ningbo Water Meter", "Sanchuan", "Sensus", "Wasion", "Zenner"),
]


def profiles() -> list[tuple[str, str]]:
    return [(driver, name) for driver, shelf in SHELVES.items() for name in shelf.names()]


def fails(case: Path) -> bool:
    """Tell whether a case is of something gone wrong: an error, or a value that is not to be had."""
    if (case / "error.txt").exists():
        return True
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    return any("malformed" in item.get("quality", "") for item in expected)


@pytest.mark.parametrize(("driver", "name"), profiles())
def test_a_meter_has_a_line_in_the_readme_a_good_case_and_a_bad_one(driver: str, name: str) -> None:
    shelf = SHELVES[driver]
    package = Path(str(files(shelf.package)))
    profile = shelf.load(name, "test")
    (line,) = [
        line
        for line in (package / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{name}` |")
    ]
    assert profile.title["zh"] in line
    assert profile.verified in line
    assert any("\u4e00" <= character <= "\u9fff" for character in profile.title["zh"])
    kinds = {fails(package / "testcases" / case) for case in shelf.cases(name)}
    assert kinds == {True, False}


def test_the_makers_a_community_meets_are_there() -> None:
    makes = {SHELVES[driver].load(name, "test").make for driver, name in profiles()}
    assert [make for make in NAMED if not any(found.startswith(make) for found in makes)] == []
    assert len(makes) >= 30
