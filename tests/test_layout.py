"""The repository's shape: folder = package = extra = command, and nothing that breaks Python's own modules."""

import configparser
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PACKAGES = sorted(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
DRIVERS = sorted(path.parent for path in (REPOSITORY / "edge/linli_edge/drivers").glob("*/driver.py"))
ATTICS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
# An index's address, and a path of somebody's machine; put together so that this file holds neither.
HOSTS = re.compile("|".join(["(?<!emit-)index" + "-url[ =]", "https?://[^ ]*(?:pypi|pythonhosted|npmjs)"]))
MACHINE = re.compile("|".join(rf"(?<![\w.~-])/{top}/[a-z]" for top in ("home", "Users", "work")))


def tracked(pattern: str = "") -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *([pattern] if pattern else [])],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so there is no list of tracked files")
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            found.append((path.relative_to(REPOSITORY), content.decode("utf-8", errors="replace")))
    return found


@pytest.mark.parametrize("place", ["platform/__init__.py", "platform/conftest.py", "tests/platform"])
def test_nothing_shadows_the_standard_librarys_platform(place: str) -> None:
    assert not (REPOSITORY / place).exists()


def test_no_test_and_no_conftest_lives_under_platform() -> None:
    under = (REPOSITORY / "platform").rglob("*.py")
    assert [path for path in under if path.name == "conftest.py" or path.name.startswith("test_")] == []


def test_no_folder_of_the_repository_is_a_package() -> None:
    assert list(REPOSITORY.glob("*/__init__.py")) == []
    assert list((REPOSITORY / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("arguments", [("-c", "import platform, uuid; print(platform.__file__)"), ("-m", "platform")])
def test_platform_is_still_the_standard_librarys_from_the_root(arguments: tuple[str, str]) -> None:
    shown = subprocess.run([sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert str(REPOSITORY / "platform") not in shown.stdout
    assert shown.stdout


def test_every_package_is_in_the_wheel_and_typed() -> None:
    found = sorted(str(path.parent.relative_to(REPOSITORY)) for path in REPOSITORY.glob("*/linli_*/py.typed"))
    assert found == PACKAGES
    assert (
        sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("*/linli_*") if path.is_dir()) == PACKAGES
    )


def test_every_package_is_checked_for_its_layer() -> None:
    names = {Path(package).name for package in PACKAGES}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == names
    layers = next(each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers")["layers"]
    assert set(re.findall(r"\w+", " ".join(layers))) == names


def test_every_package_can_be_imported_from_its_folder() -> None:
    for package in PACKAGES:
        found = importlib.import_module(Path(package).name).__file__
        assert found is not None
        assert Path(found).parent == REPOSITORY / package


@pytest.mark.parametrize("name", PROJECT["project"]["scripts"])
def test_every_command_is_there(name: str) -> None:
    assert callable(entry_points(group="console_scripts")[name].load())


def test_every_driver_is_installed_under_its_entry_point() -> None:
    declared = PROJECT["project"]["entry-points"]["linli.drivers"]
    installed = {
        point.name: point.value
        for point in entry_points(group="linli.drivers")
        if point.dist and point.dist.name == "linli"
    }
    assert installed == declared


@pytest.mark.parametrize("folder", DRIVERS, ids=lambda path: path.name)
def test_every_driver_has_its_page_its_sample_and_its_cases(folder: Path) -> None:
    assert (folder / "README.md").read_text().strip()
    tomllib.loads((folder / "sample.toml").read_text())
    good = list(folder.glob("testcases/*/expected.json"))
    bad = list(folder.glob("testcases/*/error.txt"))
    assert good, f"{folder.name} has no case that works (testcases/*/expected.json)"
    assert bad, f"{folder.name} has no case that fails (testcases/*/error.txt)"


def test_there_are_drivers() -> None:
    assert {folder.name for folder in DRIVERS} == set(PROJECT["project"]["entry-points"]["linli.drivers"])


def test_no_module_is_an_attic() -> None:
    assert [path for path in tracked("*.py") if path.stem in ATTICS or path.parent.name in ATTICS] == []


def test_no_python_file_is_too_large_to_read() -> None:
    counted = {path.relative_to(REPOSITORY): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {path: lines for path, lines in counted.items() if lines > 600} == {}


def test_no_machine_and_no_registry_is_named() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if HOSTS.search(line) or MACHINE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted((REPOSITORY / "locks").glob("*.txt")), ids=lambda path: path.name)
def test_a_lock_names_versions_and_hashes_and_nothing_else(path: Path) -> None:
    joined = path.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9_.-]+==\S+", line), line
        assert "--hash=sha256:" in line, line


def test_the_licence_is_here() -> None:
    assert "Apache License" in (REPOSITORY / "LICENSE").read_text()


def test_the_editor_and_the_formatter_agree_on_the_line() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (REPOSITORY / ".editorconfig").read_text())
    assert editor["*.py"]["max_line_length"] == str(PROJECT["tool"]["ruff"]["line-length"])
