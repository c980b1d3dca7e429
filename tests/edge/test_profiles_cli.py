"""``linli-edge profiles``: every profile of every driver, and what is wrong with one of your own."""

import json
from pathlib import Path

import pytest

from linli_edge.cli import main
from linli_edge.profiles.cli import profiles

SOUND = """
make = "Acme"
model = "One"
manual = "Acme One, manual"
verified = "Nothing."
points = [{ quantity = "voltage", unit = "V", type = "uint16", address = 0 }]

[title]
zh = "一号表"
en = "One"
"""

EVERY = [(driver, shelf, profile) for driver, shelf, profile in profiles()]


@pytest.mark.parametrize(("driver", "shelf", "profile"), EVERY, ids=[profile.name for _, _, profile in EVERY])
def test_every_profile_says_what_it_is_and_is_used_in_a_case(driver: str, shelf: object, profile: object) -> None:
    assert profile.make, driver  # type: ignore[attr-defined]
    assert profile.manual  # type: ignore[attr-defined]
    assert profile.verified.endswith(".")  # type: ignore[attr-defined]
    assert any("\u4e00" <= character <= "\u9fff" for character in profile.title["zh"])  # type: ignore[attr-defined]
    assert profile.title["en"].isascii()  # type: ignore[attr-defined]
    assert shelf.cases(profile.name), "no case uses it"  # type: ignore[attr-defined]


def test_no_two_profiles_share_a_name() -> None:
    names = [profile.name for _, _, profile in EVERY]
    assert len(names) == len(set(names))


def test_they_are_listed_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "list", "--lang", "zh"]) == 0
    said = capsys.readouterr().out
    assert "施耐德 iEM3155 三相导轨式电能表" in said
    assert f"共 {len(EVERY)} 个设备档案" in said
    assert main(["profiles", "list", "--lang", "en", "--search", "施耐德", "--driver", "modbus"]) == 0
    assert "Schneider iEM3155 three-phase DIN rail meter" in capsys.readouterr().out
    assert main(["profiles", "list", "--search", "no such thing"]) == 1


def test_the_list_is_for_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "list", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(EVERY)
    assert {"name", "driver", "make", "model", "title", "manual", "verified"} == set(lines[0])


def test_one_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "show", "schneider-iem3155", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "verified: Addresses of currents" in said
    assert 'quantity = "energy_import", address = 3204' in said
    assert main(["profiles", "show", "schneider-iem3155", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]["max_registers"] == 100


def test_an_unknown_name_finds_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "show", "schneider-iem3156"]) == 2
    assert 'no profile is called "schneider-iem3156"; did you mean "schneider-iem3155"?' in capsys.readouterr().err
    assert main(["profiles", "list", "--driver", "modbuss"]) == 2
    assert 'no driver "modbuss" has profiles; did you mean "modbus"?' in capsys.readouterr().err


def test_a_file_of_ones_own_is_checked_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, wrong = tmp_path / "acme-one.toml", tmp_path / "acme-two.toml"
    sound.write_text(SOUND)
    wrong.write_text(
        SOUND.replace('"V"', '"furlong"').replace('manual = "Acme One, manual"', "").replace('en = "One"', "")
        + '\n[defaults]\ntype = "uint16"\n'
    )
    assert main(["profiles", "check", str(sound), str(wrong), str(tmp_path / "none.toml"), "--lang", "en"]) == 2
    said = capsys.readouterr().out
    assert f"{sound}: sound" in said
    assert f'{wrong}.points[0].unit: "furlong" is no unit of voltage' in said
    assert f"{wrong}.manual: missing" in said
    assert f"{wrong}.title.en: missing" in said
    assert "none.toml" in said


def test_points_that_overlap_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme-one.toml"
    path.write_text(
        SOUND.replace(
            "address = 0 }", 'address = 1 }, { quantity = "current", unit = "A", type = "uint32", address = 0 }'
        )
    )
    assert main(["profiles", "check", str(path)]) == 2
    assert "shares registers with" in capsys.readouterr().out


def test_many_mistakes_make_no_profile_another_drivers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A driver that does not even know the tables finds one mistake in them: that is no better fit."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'make = "X"\nmodel = "Y"\nmanual = "Z"\nverified = "Nothing."\npoints = [\n'
        '{ quantity = "voltage", address = 0, unit = "V", type = "float32" },\n'
        '{ quantity = "current", address = 1, unit = "A", type = "uint16" },\n'
        '{ quantity = "active_power", address = 10, unit = "horse", type = "uint16" },\n'
        ']\n[title]\nzh = "X"\nen = "X"\n'
    )
    assert main(["profiles", "check", str(path), "--lang", "en"]) == 2
    said = capsys.readouterr().out
    assert "read as a profile of driver modbus" in said
    assert "shares registers with" in said
    assert '"horse" is no unit of active_power' in said


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("driver", sorted({driver for driver, _, _ in EVERY}))
def test_whose_profile_a_file_is_need_not_be_said(
    driver: str, broken: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for name, shelf, profile in EVERY:
        if name == driver:
            paths.append(tmp_path / f"{profile.name}.toml")
            content = shelf.text(profile.name)
            paths[-1].write_text(content.replace("manual = ", "manuel = ") if broken else content, encoding="utf-8")
    assert main(["profiles", "check", *map(str, paths), "--lang", "en"]) == (2 if broken else 0)
    said = capsys.readouterr().out
    for path in paths:
        assert f"{path}: read as a profile of driver {driver}" in said
        assert (f'{path}.manuel: unknown key; did you mean "manual"?' if broken else f"{path}: sound") in said
    # A line for what it was read as, and one for what was found (or how to send it in): no other driver's mistakes.
    assert len(said.splitlines()) == 2 * len(paths)
