"""Prose is under test: what the documentation names must exist."""

import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from linli_broker.settings import Settings, parse

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
PAGES = sorted(
    path
    for folder in ("", "docs", "edge", "core", "broker", "platform", "simulators", "dashboards")
    for path in (REPOSITORY / folder).glob("*.md" if folder == "" else "**/*.md")
)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s`/|])(linli-[a-z]+)((?: +[a-z][a-z0-9-]*)*)")


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text()) if language in languages]


def shell_lines(page: Path) -> list[str]:
    """Return the command lines in a page's shell blocks, without comments, prompts and what they print."""
    lines = [line for body in blocks(page, "sh", "bash", "shell") for line in body.replace("\\\n", " ").splitlines()]
    for body in blocks(page, "console"):
        lines += [line[2:] for line in body.splitlines() if line.startswith("$ ")]
    return [stripped for line in lines if (stripped := re.sub(r"(^|\s)#.*", "", line).strip())]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)", goal.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_in_shell_blocks_exist(page: Path) -> None:
    for line in shell_lines(page):
        for word in re.findall(r"\bmake ((?:[a-z]+ ?)+)", line):
            assert set(word.split()) <= TARGETS, line
        for name, _ in COMMAND.findall(line):
            assert name in PROJECT["scripts"], line


def named_subcommands() -> set[tuple[str, str]]:
    found = set()
    for page in PAGES:
        for line in shell_lines(page):
            for name, rest in COMMAND.findall(line):
                if name in PROJECT["scripts"] and rest.split():
                    found.add((name, rest.split()[0]))
    return found


@pytest.mark.parametrize(("name", "subcommand"), sorted(named_subcommands()))
def test_subcommands_in_shell_blocks_exist(name: str, subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = entry_points(group="console_scripts")[name].load()
    with pytest.raises(SystemExit) as ended:
        main([subcommand, "--help"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert f"{name} {subcommand}" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_toml_in_pages_is_toml(page: Path) -> None:
    for body in blocks(page, "toml"):
        tomllib.loads(body)


def test_the_broker_settings_shown_are_the_defaults() -> None:
    shown = [body for body in blocks(DOCS / "operator.md", "toml") if body.startswith("engine")]
    assert [parse(body, "operator.md") for body in shown] == [Settings()]


def test_every_direct_dependency_has_its_reason() -> None:
    text = (DOCS / "dependencies.md").read_text()
    reasons = set(re.findall(r"`([a-z0-9-]+)`", text))
    extras = [wanted for group in PROJECT["optional-dependencies"].values() for wanted in group]
    names = {re.split(r"[\[<>=~! ]", wanted)[0].lower() for wanted in [*PROJECT["dependencies"], *extras]}
    assert names - {"linli"} - reasons == set()


def test_the_index_of_decisions_is_complete() -> None:
    index = (DOCS / "adr" / "README.md").read_text()
    pages = {path.name for path in (DOCS / "adr").glob("[0-9]*.md")}
    assert set(re.findall(r"\(([0-9]{4}[^)]*\.md)\)", index)) == pages
    numbers = [name[:4] for name in pages]
    assert len(numbers) == len(set(numbers)), "two decisions share a number"


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("[0-9]*.md")), ids=lambda page: page.stem)
def test_a_decision_says_its_objective_first(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert re.match(r"# (\d{4}|NNNN): ", lines[0])
    assert lines[2].startswith("Objective: ")


def test_the_index_names_every_page_in_docs() -> None:
    index = set(LINK.findall((DOCS / "README.md").read_text()))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= index


def test_the_ci_script_is_valid_shell() -> None:
    for script, shell in ((".ci/run", "bash"), ("scripts/setup", "sh")):
        subprocess.run([shell, "-n", str(REPOSITORY / script)], check=True)
