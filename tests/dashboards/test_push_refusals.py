"""What ``linli-boards push`` does not do, and what it says of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from linli_dashboards.cli import main
from linli_dashboards.grafana import contacts, sources
from linli_sim.grafana import Organisation, serving

SECRET: Final = "s3cret-of-the-platform"

Push = Callable[..., int]


@pytest.mark.parametrize("release", ["10.4.2", "11.5.1"])
def test_an_old_grafana_is_refused_unless_it_is_meant(
    push: Push, organisation: Organisation, release: str, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation.release = release
    if release.startswith("10."):
        organisation.description = None  # it is of a newer release, whose versions of a board stand in a field
    assert push() == 2
    assert organisation.writes() == []
    assert (
        f"Grafana {release}; the boards are made for 11.6; install Grafana 11.6 or newer, "
        "or say --old-grafana and look at every board yourself"
    ) in capsys.readouterr().err
    assert push("--old-grafana") == 0
    assert push("--old-grafana") == 0
    assert len(organisation.versions["linli-water"]) == 1


def test_one_older_still_is_refused_though_it_is_meant(push: Push, organisation: Organisation) -> None:
    organisation.release = "9.5.0"
    assert push("--old-grafana") == 2
    assert organisation.writes() == []


def test_a_token_that_may_not_is_named_with_what_was_tried(
    push: Push,
    organisation: Organisation,
    monkeypatch: pytest.MonkeyPatch,
    grafana: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", "viewer-token")
    assert push() == 2
    assert organisation.boards() == {}
    role = "use the token of a service account with the role Admin of this organisation"
    assert capsys.readouterr().err == (
        f"linli-boards: {grafana}: reading the data sources: refused (403: You'll need additional permissions to "
        f"perform this action.); {role}\n"
    )
    monkeypatch.setenv("GRAFANA_TOKEN", "nobody's")
    assert push() == 2
    assert capsys.readouterr().err == (
        f"linli-boards: {grafana}: reading the folders: refused (401: Invalid API key); {role}\n"
    )


def test_a_grafana_that_is_away_is_named(
    generated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    words = ["push", "--url", "http://127.0.0.1:1", "--platform", "http://127.0.0.1:8080", "--boards", str(generated)]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "linli-boards: http://127.0.0.1:1: asking how it fares: no answer (ConnectionError); "
        "is Grafana running, and is this its address?\n"
    )


def test_a_failure_inside_grafana_is_named_and_a_later_push_goes_on(
    push: Push, organisation: Organisation, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation.failing = frozenset({"/dashboards/db"})
    assert push() == 2
    assert (
        "saving board linli-today: Grafana failed (500: database is locked); look into Grafana's log, then push again"
    ) in capsys.readouterr().err
    organisation.failing = frozenset()
    assert push() == 0
    assert set(organisation.boards()) == {"linli-today", "linli-water"}


def test_tells_that_grafana_does_not_reach_the_platform_and_that_an_area_has_no_devices(
    push: Push, organisation: Organisation, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation.unreachable = {"linli": "error reading influxDB: dial tcp 127.0.0.1:8080: connect: refused"}
    assert push() == 1
    assert capsys.readouterr().err == (
        "Data source linli: Grafana does not reach the platform: Grafana failed (400: error reading influxDB: dial tcp "
        "127.0.0.1:8080: connect: refused). Is --platform the address as Grafana sees it, and the token one of the "
        "platform's?\n"
    )
    organisation.unreachable = {}
    organisation.measurements = 0
    assert push() == 1
    assert capsys.readouterr().err == (
        "Data source linli: the platform answers, and has nothing for this token: its area has no devices yet, "
        "or is not the one that was meant.\n"
    )


def wrong(text: str) -> str:
    return f"linli-boards: {text}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--url", "grafana.example"],
            "--url: found no address of a server; write one such as https://grafana.example",
        ),
        (
            ["--url", "https://admin:secret@grafana.example"],
            "--url: found a secret in the address; name a file or a variable that holds it",
        ),
        (
            ["--url", "http://grafana.example"],
            (
                "--url: http://grafana.example would carry the token in the clear; write https://, "
                "or --plain-http where the network between is yours alone"
            ),
        ),
        (
            ["--token", "glsa_secretsecret"],
            (
                "--token: no file to read a secret from (No such file or directory); "
                "name a file whose first line it is, or env:NAME; not the secret"
            ),
        ),
        (["--token", "env:NOT_SET"], "--token: the variable 'NOT_SET' holds nothing; export NOT_SET=… first"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_telling_secrets(
    push: Push, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(*words) == 2
    assert capsys.readouterr().err == wrong(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no community; write [[communities]], or leave --communities out"),
        ("[[communities]]\narea = 'a'\n", "missing required field `title`"),
        (
            "[[communities]]\narea = 'A b'\ntitle = 'x'\ntoken = 'env:PLATFORM_TOKEN'",
            "communities[0].area: 'A b' is no id",
        ),
        (
            (
                "[[communities]]\narea = 'a'\ntitle = 'x'\ntoken = 'env:PLATFORM_TOKEN'\n"
                "[[communities]]\narea = 'b'\ntitle = 'y'\ntoken = 'env:PLATFORM_TOKEN'"
            ),
            "communities[1].token: is the token of a too, so one would see the other; make one each",
        ),
        (
            (
                "[[communities]]\narea = 'a'\ntitle = 'Lake Side'\ntoken = 'env:PLATFORM_TOKEN'\n"
                "[[communities]]\narea = 'b'\ntitle = ' lake side'\ntoken = 'env:GRAFANA_TOKEN'"
            ),
            "communities[1].title: is what a is called too; Grafana takes no two teams and data sources of one name",
        ),
    ],
)
def test_a_file_of_communities_that_cannot_be_used_is_refused(
    push: Push, organisation: Organisation, tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert push("--communities", str(path)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert SECRET not in told
    assert organisation.asked == []


@pytest.mark.parametrize("content", ["[]", "{", '{"uid": "Bad Uid", "title": "x"}', '{"uid": "a"}'])
def test_a_file_that_is_no_board_is_refused(
    push: Push, generated: Path, organisation: Organisation, content: str
) -> None:
    (generated / "en" / "x.json").write_text(content)
    assert push() == 2
    assert organisation.asked == []


def state_of(organisation: Organisation) -> tuple[object, ...]:
    accounts = {number: (each["name"], len(each["keys"])) for number, each in organisation.accounts.items()}  # type: ignore[arg-type]
    kept = (organisation.folders, organisation.permissions, organisation.teams, organisation.sources)
    return (*kept, organisation.contacts, organisation.versions, accounts)


def test_whatever_request_is_refused_is_named_and_a_push_that_may_mends_it(
    generated: Path,
    communities: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    monkeypatch.setenv("ALARMS_lake", "s3cret-for-alarms")
    for module in (sources, contacts):  # it is slow by design
        monkeypatch.setattr(module, "secret_print", lambda secret, salt: f"{len(secret)} {salt}")
    (generated / "en" / "linli-today.json").unlink()
    communities.write_text(f'{communities.read_text()}\nalarms_token = "env:ALARMS_lake"\n')
    written = communities.read_text()
    number = [0]

    def pushed(organisation: Organisation, *words: str) -> int:
        with serving(organisation) as url:
            fixed = ("--url", url, "--platform", "http://127.0.0.1:8080", "--boards", str(generated), "--lang", "en")
            path = tmp_path / f"{number[0]}.token"
            return main(["push", *fixed, "--communities", str(communities), "--make-account", str(path), *words])

    def both(organisation: Organisation, *, refuses: bool) -> list[int]:
        """Push two communities, then one of them."""
        number[0] += 1
        communities.write_text(written)
        codes = [pushed(organisation)]
        if refuses and codes[0] == 2:
            assert "refused (403" in (told := capsys.readouterr().err), told
            assert "Permissions needed: some:thing" in told
            organisation.refused = frozenset()
            codes.append(pushed(organisation))
        communities.write_text(written.split("\n[[communities]]")[0])
        codes.append(pushed(organisation))
        if refuses and codes[-1] == 2:
            assert "Permissions needed: some:thing" in capsys.readouterr().err
            organisation.refused = frozenset()
            codes.append(pushed(organisation))
        return codes

    clean = Organisation()
    assert both(clean, refuses=False) == [0, 0]
    # Of what is only read, one that is asked first of all, and those that are asked where somebody leaves.
    read = {"/datasources", "/folders/linli-lake/counts", "/v1/provisioning/policies"}
    tried = [each for each in clean.asked if each.method != "GET" or each.path in read]
    kinds = {(each.method, re.sub(r"linli-[a-z-]+|\d+", "*", each.path)): each for each in tried}
    assert len(kinds) > 13
    for request in sorted((each.method, each.path) for each in kinds.values()):
        organisation = Organisation(refused=frozenset({request}))
        codes = both(organisation, refuses=True)
        assert codes[-1] == 0, request
        assert 2 in codes, request
        assert state_of(organisation) == state_of(clean), request
