"""``linli-boards push`` beside what others made in the same Grafana, and a Grafana of many."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from linli_sim.grafana import Organisation

Push = Callable[..., int]


def test_a_folder_with_somebodys_alert_rules_stays(
    push: Push, organisation: Organisation, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From 13 on Grafana removes them with it."""
    assert push("--communities", str(communities)) == 0
    organisation.rules["linli-lake"] = 1
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    assert push("--communities", str(communities)) == 1
    assert set(organisation.folders) == {"linli-spring", "linli-lake"}
    assert "or folders, alert rules, library panels. Move them, then push again." in capsys.readouterr().out


def test_a_folder_of_a_community_that_left_goes_wherever_it_is(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    organisation.folders["office"], organisation.parents["linli-lake"] = "Office", "office"
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    assert push("--communities", str(communities)) == 0
    assert set(organisation.folders) == {"linli-spring", "office"}


def test_more_folders_and_teams_than_a_page_of_grafanas_holds(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    spring, lake = organisation.folders.pop("linli-spring"), organisation.folders.pop("linli-lake")
    organisation.folders |= {f"f{number}": f"Folder {number}" for number in range(1_200)}
    organisation.folders |= {"linli-spring": spring, "linli-lake": lake}
    teams = organisation.teams
    ours = [teams.pop(number) for number in list(teams)]
    teams |= {number: {"name": f"Team {number}", "email": ""} for number in range(1, 1_201)}
    teams |= dict(enumerate(ours, start=1_201))
    for uid, number in (("linli-spring", 1_201), ("linli-lake", 1_202)):
        organisation.permissions[uid] = [{"teamId": number, "permission": 1}]
    organisation.asked.clear()
    assert push("--communities", str(communities)) == 0
    assert organisation.writes() == []
    asked = [each for each in organisation.asked if each.path == "/folders"]
    assert len(asked) == 2


@pytest.mark.parametrize("wanted", [True, False])
def test_a_board_that_a_person_saved_in_the_new_editor_is_kept(
    push: Push,
    organisation: Organisation,
    generated: Path,
    wanted: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert push() == 0
    organisation.save_by_hand("linli-water")
    organisation.versions["linli-water"][-1][1]["description"] = "mine"
    organisation.in_new_form.add("linli-water")
    if not wanted:
        (generated / "en" / "linli-water.json").unlink()
    organisation.asked.clear()
    assert push() == 1
    assert organisation.writes() == []
    assert "! board linli-water" in capsys.readouterr().out


def test_an_accounts_token_that_expired_is_made_anew_into_its_file(
    push: Push, organisation: Organisation, tmp_path: Path
) -> None:
    path = tmp_path / "grafana.token"
    assert push("--make-account", str(path), "--account-days", "90") == 0
    assert any(
        isinstance(asked.body, dict) and asked.body.get("secondsToLive") == 7_776_000 for asked in organisation.asked
    )
    old = path.read_text()
    organisation.expired.add((1, 1))
    assert push("--make-account", str(path)) == 0
    assert path.read_text() != old
    assert path.read_text().startswith("glsa_")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.glob("grafana.token*")) == [path]
    # What is no token is nobody's to replace.
    path.write_text("my notes")
    organisation.expired.add((1, 2))
    organisation.asked.clear()
    assert push("--make-account", str(path)) == 0
    assert path.read_text() == "my notes"


def test_several_communities_in_one_organisation_are_warned_of(
    push: Push, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("--communities", str(communities), "--dry-run") == 0
    assert "whoever may sign in to it can ask every data source there" in capsys.readouterr().out
    assert push("--dry-run") == 0
    assert "whoever may sign in" not in capsys.readouterr().out


def test_a_community_whose_id_changed_keeps_its_name(
    push: Push, organisation: Organisation, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grafana takes no two teams and no two data sources of one name: what goes makes room for what comes."""
    assert push("--communities", str(communities)) == 0
    communities.write_text(communities.read_text().replace('area = "lake"', 'area = "lake-2"'))
    assert push("--communities", str(communities)) == 0, capsys.readouterr()
    assert set(organisation.sources) == {"linli-spring", "linli-lake-2"}
    names = sorted(str(team["name"]) for team in organisation.teams.values())
    assert names == ["Linli: Lake Side", "Linli: Spring Garden"]
    organisation.asked.clear()
    assert push("--communities", str(communities)) == 0
    assert organisation.writes() == []


def test_a_team_of_others_with_a_communitys_name_is_told_before_anything_is_changed(
    push: Push, organisation: Organisation, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation.teams[7] = {"name": "Linli: Lake Side", "email": ""}
    assert push("--communities", str(communities)) == 2
    assert organisation.writes() == []
    assert (
        "team linli-lake: a team called 'Linli: Lake Side' is there that is not this community's; rename it in Grafana"
    ) in capsys.readouterr().err
