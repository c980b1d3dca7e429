"""``linli-boards push`` against a Grafana that keeps what it is told."""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

from linli_dashboards.cli import main
from linli_dashboards.grafana.push import take
from linli_dashboards.grafana.step import Step
from linli_dashboards.grafana.wanted import Community, copies, short_uid
from linli_sim.grafana import Json, Organisation

SECRET: Final = "s3cret-of-the-platform"

Push = Callable[..., int]


def test_makes_folder_source_and_boards_then_nothing_more(push: Push, organisation: Organisation) -> None:
    assert push("--platform-token", "env:PLATFORM_TOKEN") == 0
    assert organisation.folders == {"linli": "Linli"}
    assert organisation.boards("linli") == {"linli-today": "Community today", "linli-water": "Water"}
    source = organisation.sources["linli"]
    assert source["url"] == "http://127.0.0.1:8080"
    assert source["secureJsonData"] == {"httpHeaderValue1": f"Bearer {SECRET}"}
    organisation.asked.clear()
    assert push("--platform-token", "env:PLATFORM_TOKEN") == 0
    assert organisation.writes() == []


def test_a_dry_run_changes_nothing_and_tells_what_would_be(
    board: Callable[..., Json],
    push: Push,
    organisation: Organisation,
    generated: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert push() == 0
    organisation.asked.clear()
    (generated / "en" / "linli-water.json").write_text(json.dumps(board("linli-water", "Water", refresh="1m")))
    capsys.readouterr()
    assert push("--dry-run", platform="http://127.0.0.1:9090") == 0
    assert organisation.writes() == []
    assert capsys.readouterr().out.splitlines()[1:] == [
        "~ data source linli  Linli",
        "     {",
        '    - "url": "http://127.0.0.1:8080"',
        '    + "url": "http://127.0.0.1:9090"',
        "     }",
        "~ board linli-water  Water",
        "      ],",
        '    - "refresh": null,',
        '    + "refresh": "1m",',
        '      "tags": [',
        "0 made, 2 changed, 0 removed, 2 as they were, 0 kept as somebody left them",
        "Nothing was changed (--dry-run).",
    ]


def test_a_changed_board_becomes_a_new_version_where_it_was_moved_to(
    board: Callable[..., Json], push: Push, organisation: Organisation, generated: Path
) -> None:
    assert push() == 0
    organisation.folders["office"] = "Office"
    organisation.move_by_hand("linli-water", "office")
    organisation.asked.clear()
    assert push() == 0
    assert organisation.writes() == []
    (generated / "en" / "linli-water.json").write_text(json.dumps(board("linli-water", "Water and leaks")))
    assert push() == 0
    assert organisation.boards("office") == {"linli-water": "Water and leaks"}
    assert len(organisation.versions["linli-water"]) == 3


def test_a_board_that_a_person_moved_and_saved_is_kept(push: Push, organisation: Organisation) -> None:
    assert push() == 0
    organisation.folders["office"] = "Office"
    organisation.save_by_hand("linli-water", refresh="2h")
    organisation.move_by_hand("linli-water", "office")
    assert push() == 1
    assert len(organisation.versions["linli-water"]) == 3


def test_a_board_that_a_person_saved_is_kept_and_told(
    board: Callable[..., Json],
    push: Push,
    organisation: Organisation,
    generated: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert push() == 0
    organisation.save_by_hand("linli-water", title="Our water")
    (generated / "en" / "linli-water.json").write_text(json.dumps(board("linli-water", "Water", refresh="1m")))
    capsys.readouterr()
    assert push() == 1
    assert organisation.boards()["linli-water"] == "Our water"
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "! board linli-water  Water",
        (
            "    kept: somebody saved it in Grafana. Save it under another name there to keep both, "
            "or push with --replace-edited."
        ),
    ]
    assert push("--replace-edited") == 0
    assert organisation.boards()["linli-water"] == "Water"
    assert [title for _, made, _ in organisation.versions["linli-water"] for title in [made["title"]]][1] == "Our water"


def test_a_board_saved_while_it_is_pushed_is_not_overwritten(
    board: Callable[..., Json],
    push: Push,
    organisation: Organisation,
    generated: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert push() == 0
    (generated / "en" / "linli-water.json").write_text(json.dumps(board("linli-water", "Water", refresh="1m")))

    def late(steps: Iterable[Step]) -> None:
        organisation.save_by_hand("linli-water", title="Just saved")
        take(steps)

    monkeypatch.setattr("linli_dashboards.push_command.take", late)
    assert push() == 2
    assert organisation.boards()["linli-water"] == "Just saved"
    assert "conflict (412: The dashboard has been changed by someone else); push again" in capsys.readouterr().err


def test_a_foreign_board_of_the_same_title_is_left_alone(
    push: Push, organisation: Organisation, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation.folders["linli"] = "Linli"
    organisation.versions["abc"] = [("linli", {"uid": "abc", "title": "Water", "tags": []}, "")]
    assert push() == 1
    assert organisation.boards("linli") == {"abc": "Water", "linli-today": "Community today"}
    assert (
        "    not pushed: the folder holds a board of this title that is not ours. "
        "Rename or move that one, then push again."
    ) in capsys.readouterr().out.splitlines()


def test_a_foreign_board_and_a_foreign_source_of_our_uid_are_left_alone(push: Push, organisation: Organisation) -> None:
    organisation.folders["linli"] = "Linli"
    organisation.versions["linli-water"] = [("linli", {"uid": "linli-water", "title": "Mine", "tags": ["linli"]}, "")]
    organisation.sources["linli"] = {"uid": "linli", "name": "other", "type": "loki", "url": "http://x"}
    assert push() == 1
    assert organisation.boards()["linli-water"] == "Mine"
    assert organisation.sources["linli"]["type"] == "loki"


def test_what_is_no_longer_wanted_goes_and_nothing_else_does(
    push: Push, organisation: Organisation, generated: Path
) -> None:
    assert push() == 0
    organisation.versions["mine"] = [("linli", {"uid": "mine", "title": "Mine", "tags": ["linli"]}, "")]
    organisation.sources["loki"] = {"uid": "loki", "name": "loki", "type": "loki"}
    (generated / "en" / "linli-water.json").unlink()
    assert push() == 0
    assert organisation.boards() == {"linli-today": "Community today", "mine": "Mine"}
    assert set(organisation.sources) == {"linli", "loki"}


def test_a_board_that_is_wanted_no_more_but_was_edited_is_kept(
    push: Push, organisation: Organisation, generated: Path
) -> None:
    assert push() == 0
    organisation.save_by_hand("linli-water", refresh="2h")
    (generated / "en" / "linli-water.json").unlink()
    assert push() == 1
    assert "linli-water" in organisation.boards()


def test_each_community_has_folder_team_source_and_boards_of_its_own(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    assert organisation.folders == {"linli-spring": "Linli: Spring Garden", "linli-lake": "Linli: Lake Side"}
    for area, number in (("spring", 1), ("lake", 2)):
        assert organisation.permissions[f"linli-{area}"] == [{"teamId": number, "permission": 1}]
        source = organisation.sources[f"linli-{area}"]
        assert source["secureJsonData"] == {"httpHeaderValue1": f"Bearer {SECRET}-{area}"}
        assert set(organisation.boards(f"linli-{area}")) == {f"linli-today-{area}", f"linli-water-{area}"}
        pushed = json.dumps(organisation.versions[f"linli-today-{area}"][-1][1])
        assert pushed.count(f'"uid": "linli-{area}"') == 2
        assert f"/d/linli-water-{area}?var-area=${{area}}" in pushed
        assert "/d/of-others" in pushed
    organisation.asked.clear()
    assert push("--communities", str(communities)) == 0
    assert organisation.writes() == []


def test_who_people_let_in_stays_and_everybody_of_a_role_does_not_come_back(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    organisation.teams[9] = {"name": "Fire brigade", "email": ""}
    organisation.permissions["linli-spring"] += [
        {"teamId": 9, "permission": 1},
        {"userId": 4, "permission": 2},
        {"role": "Viewer", "permission": 1},
        {"teamId": 2, "permission": 1},
    ]
    assert push("--communities", str(communities)) == 0
    assert organisation.permissions["linli-spring"] == [
        {"permission": 1, "teamId": 9},
        {"permission": 2, "userId": 4},
        {"permission": 1, "teamId": 1},
    ]


def test_a_folder_follows_its_communitys_title_unless_a_person_renamed_it(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    communities.write_text(communities.read_text().replace("Spring Garden", "Spring Gardens"))
    assert push("--communities", str(communities)) == 0
    assert organisation.folders["linli-spring"] == "Linli: Spring Gardens"
    organisation.folders["linli-lake"] = "The lake"
    communities.write_text(communities.read_text().replace("Lake Side", "Lakeside"))
    assert push("--communities", str(communities)) == 0
    assert organisation.folders["linli-lake"] == "The lake"


def test_one_set_gives_way_to_sets_of_communities_folder_and_all(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push() == 0
    assert push("--communities", str(communities)) == 0
    assert set(organisation.folders) == set(organisation.sources) == {"linli-spring", "linli-lake"}


def test_a_foreign_folder_of_our_uid_keeps_its_name_and_outlives_ours(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    organisation.folders["linli"] = "Village"
    assert push() == 0
    assert push("--communities", str(communities)) == 0
    assert organisation.folders["linli"] == "Village"


def test_who_would_see_a_folder_is_told_by_names(
    push: Push, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("--communities", str(communities)) == 0
    communities.write_text(communities.read_text().replace("Spring Garden", "Spring Gardens"))
    capsys.readouterr()
    assert push("--communities", str(communities), "--dry-run") == 0
    told = capsys.readouterr().out
    assert '    - "name": "Linli: Spring Garden"' in told
    assert "permissions" not in told


def test_a_community_that_leaves_takes_with_it_what_is_ours(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    assert push("--communities", str(communities)) == 0
    assert set(organisation.folders) == {"linli-spring"}
    assert set(organisation.sources) == {"linli-spring"}
    assert [team["name"] for team in organisation.teams.values()] == ["Linli: Spring Garden"]


def test_a_team_with_members_and_a_folder_with_boards_of_others_stay(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    organisation.teams[2]["memberCount"] = 3
    organisation.versions["mine"] = [("linli-lake", {"uid": "mine", "title": "Mine", "tags": []}, "")]
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    assert push("--communities", str(communities)) == 1
    assert set(organisation.folders) == {"linli-spring", "linli-lake"}
    assert organisation.boards("linli-lake") == {"mine": "Mine"}
    assert 2 in organisation.teams


def test_a_folder_in_which_somebody_made_another_stays(
    push: Push, organisation: Organisation, communities: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grafana removes with a folder those in it, and the boards in them."""
    assert push("--communities", str(communities)) == 0
    organisation.folders["drafts"], organisation.parents["drafts"] = "Drafts", "linli-lake"
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    assert push("--communities", str(communities)) == 1
    assert set(organisation.folders) == {"linli-spring", "linli-lake", "drafts"}
    assert "! folder linli-lake" in capsys.readouterr().out


def test_a_folder_that_somebody_put_into_another_is_found(
    push: Push, organisation: Organisation, communities: Path
) -> None:
    assert push("--communities", str(communities)) == 0
    organisation.folders["office"], organisation.parents["linli-lake"] = "Office", "office"
    organisation.asked.clear()
    assert push("--communities", str(communities)) == 0
    assert organisation.writes() == []


def test_a_new_token_reaches_grafana_and_stands_nowhere_else(
    push: Push, organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push("--platform-token", "env:PLATFORM_TOKEN") == 0
    monkeypatch.setenv("PLATFORM_TOKEN", "another-s3cret")
    assert push("--platform-token", "env:PLATFORM_TOKEN", "--dry-run") == 0
    assert push("--platform-token", "env:PLATFORM_TOKEN") == 0
    assert organisation.sources["linli"]["secureJsonData"] == {"httpHeaderValue1": "Bearer another-s3cret"}
    told = capsys.readouterr()
    settings = json.dumps(organisation.sources["linli"]["jsonData"])
    for secret in (SECRET, "another-s3cret", "admin-token"):
        assert secret not in told.out + told.err + settings


def test_an_account_of_its_own_is_made_once_its_token_in_a_file_of_ours_alone(
    push: Push,
    organisation: Organisation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "grafana.token"
    assert push("--make-account", str(path)) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.read_text().strip()
    assert organisation.roles[key] == "Admin"
    assert key not in capsys.readouterr().out
    monkeypatch.delenv("GRAFANA_TOKEN")
    organisation.asked.clear()
    assert push("--token", str(path), "--make-account", str(path)) == 0
    assert organisation.writes() == []
    path.unlink()
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    assert push("--make-account", str(path)) == 0
    assert path.read_text().strip() != key
    assert len(organisation.accounts) == 1


def test_an_account_whose_token_cannot_be_kept_is_not_made(
    push: Push, organisation: Organisation, tmp_path: Path
) -> None:
    assert push("--make-account", str(tmp_path / "nowhere" / "token")) == 2
    assert organisation.accounts == {}


@pytest.fixture
def push_ours(grafana: str, monkeypatch: pytest.MonkeyPatch) -> Push:
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    fixed = ("push", "--url", grafana, "--platform", "http://127.0.0.1:8080")
    return lambda *words: main([*fixed, *words])


def test_our_own_boards_in_both_languages_are_a_communitys_own(
    push_ours: Push, organisation: Organisation, communities: Path
) -> None:
    communities.write_text(communities.read_text().split("\n[[communities]]")[0])
    words = ("--lang", "both", "--communities", str(communities), "--console", "https://console.example")
    assert push_ours(*words) == 0
    count = len(list((Path(__file__).parents[2] / "dashboards" / "generated").glob("*/*.json")))
    assert count > 20
    uids = set(organisation.boards("linli-spring"))
    assert len(uids) == count
    assert max(map(len, uids)) <= 40
    for uid in uids:
        _, pushed, _ = organisation.versions[uid][-1]
        told = json.dumps(pushed)
        assert set(re.findall(r'"type": "influxdb", "uid": "([^"]*)"', told)) == {"linli-spring"}, uid
        assert set(re.findall(r"/d/([a-z0-9-]+)", told)) <= uids
        lists = {tag for link in pushed["links"] for tag in link["tags"]}  # type: ignore[attr-defined]
        assert lists <= {"linli-zh-spring", "linli-en-spring"}
        assert lists <= set(pushed["tags"])  # type: ignore[call-overload]


def test_long_names_are_cut_to_what_grafana_takes_and_stay_apart() -> None:
    uids = {short_uid("linli-food-safety", f"{'a' * 60}{number}") for number in range(3)}
    assert len(uids) == 3
    assert {len(uid) for uid in uids} == {40}


def test_a_copy_leaves_the_boards_it_is_made_of_as_they_are(board: Callable[..., Json]) -> None:
    made = board("linli-today", "Today")
    before = json.dumps(made)
    copies([made], Community("spring", "Spring", "x"))
    assert json.dumps(made) == before


def brought_and_replaced(
    url: str, generated: Path, folder: Path, capsys: pytest.CaptureFixture[str], *, reached: bool
) -> None:
    """Bring a community's boards, bring them again, and replace them by another community's."""
    words = ["push", "--url", url, "--plain-http", "--platform", "http://127.0.0.1:1", "--boards", str(generated)]
    told = []
    for area in ("linli-test-one", "linli-test-one", "linli-test-two"):
        path = folder / "communities.toml"
        path.write_text(f'[[communities]]\narea = "{area}"\ntitle = "{area}"\ntoken = "env:TOKEN"\n')
        # No platform answers there, which a real Grafana finds out.
        assert main([*words, "--lang", "en", "--communities", str(path)]) == (0 if reached else 1)
        told.append(capsys.readouterr().out.splitlines()[-1])
    assert told == [
        "5 made, 1 changed, 0 removed, 0 as they were, 0 kept as somebody left them",
        "0 made, 0 changed, 0 removed, 6 as they were, 0 kept as somebody left them",
        "5 made, 1 changed, 5 removed, 0 as they were, 0 kept as somebody left them",
    ]


def test_one_community_takes_the_place_of_another(
    grafana: str, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    monkeypatch.setenv("TOKEN", "none")
    brought_and_replaced(grafana, generated, tmp_path, capsys, reached=True)


@pytest.mark.skipif("GRAFANA_URL" not in os.environ, reason="no Grafana to write to: set GRAFANA_URL and GRAFANA_TOKEN")
def test_a_real_grafana_does_the_same(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an organisation for tests, of a Grafana that holds none of our boards."""
    monkeypatch.setenv("TOKEN", "none")
    brought_and_replaced(os.environ["GRAFANA_URL"], generated, tmp_path, capsys, reached=False)


ALARMS: Final = "s3cret-of-alarms"
URL: Final = "http://127.0.0.1:8080/api/v1/alarms/outside?by=linli-boards&print="


def test_a_token_for_alarms_makes_a_contact_point_that_posts_them_to_the_platform(
    push: Push, organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALARMS_TOKEN", ALARMS)
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    (contact,) = organisation.contacts.values()
    assert (contact["uid"], contact["name"], contact["type"]) == ("linli", "Linli", "webhook")
    settings = contact["settings"]
    assert isinstance(settings, dict)
    assert str(settings["url"]).startswith(URL)
    assert settings["maxAlerts"] == 2_000
    assert (settings["authorization_scheme"], settings["authorization_credentials"]) == ("Bearer", ALARMS)
    out = capsys.readouterr().out
    assert "+ contact point linli  Linli" in out.splitlines()
    assert ALARMS not in out
    organisation.asked.clear()
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    assert organisation.writes() == []
    # Another token is another print, which is all that Grafana shows of it.
    settings["maxAlerts"] = 50
    monkeypatch.setenv("ALARMS_TOKEN", f"{ALARMS}-2")
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    changed = organisation.contacts["linli"]["settings"]
    assert isinstance(changed, dict)
    assert changed["authorization_credentials"] == f"{ALARMS}-2"
    assert changed["url"] != settings["url"]
    assert changed["maxAlerts"] == 50


def test_a_contact_point_goes_with_its_token_unless_a_policy_sends_to_it(
    push: Push, organisation: Organisation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALARMS_TOKEN", ALARMS)
    organisation.contacts["mail"] = {"uid": "mail", "name": "grafana-default-email", "type": "email", "settings": {}}
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    organisation.policies = {"receiver": "grafana-default-email", "routes": [{"receiver": "Linli"}]}
    capsys.readouterr()
    assert push() == 1
    assert set(organisation.contacts) == {"mail", "linli"}
    assert "kept: notification policies send to it." in capsys.readouterr().out
    organisation.policies = {"receiver": "grafana-default-email"}
    assert push() == 0
    assert set(organisation.contacts) == {"mail"}


def test_a_contact_point_of_our_name_that_is_not_ours_is_left_alone(
    push: Push, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALARMS_TOKEN", ALARMS)
    mine = {"uid": "abc", "name": "Linli", "type": "webhook", "settings": {"url": "http://mine"}}
    organisation.contacts["abc"] = dict(mine)
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 1
    assert organisation.contacts == {"abc": mine}


def test_a_copy_of_our_contact_point_or_source_is_not_ours(
    push: Push, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grafana's own "duplicate" copies address and settings, and gives a uid and a name of its own."""
    monkeypatch.setenv("ALARMS_TOKEN", ALARMS)
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    organisation.contacts["bf3q"] = {**organisation.contacts["linli"], "uid": "bf3q", "name": "Linli (copy)"}
    organisation.sources["cz8k"] = {**organisation.sources["linli"], "uid": "cz8k", "name": "Linli (copy)"}
    assert push("--alarms-token", "env:ALARMS_TOKEN") == 0
    assert push() == 0
    assert set(organisation.contacts) == {"bf3q"}
    assert set(organisation.sources) == {"linli", "cz8k"}


def test_each_community_posts_its_alarms_with_its_own_token(
    push: Push, organisation: Organisation, communities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALARMS_TOKEN", ALARMS)
    text = communities.read_text()
    communities.write_text(text.replace('area = "lake"', 'area = "lake"\nalarms_token = "env:ALARMS_TOKEN"'))
    assert push("--communities", str(communities)) == 0
    assert {uid: contact["name"] for uid, contact in organisation.contacts.items()} == {
        "linli-lake": "Linli: Lake Side"
    }
    # One for two communities would write one's alarms under the other's gateway.
    doubled = text.replace('area = "', 'alarms_token = "env:ALARMS_TOKEN"\narea = "')
    communities.write_text(doubled)
    assert push("--communities", str(communities)) == 2
