"""Another protocol joins ``scan``: a search that walks a tree, on the shell that all protocols share."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError, LinkClosed
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.scan import Shell, run_search, summary, toml
from linli_edge.commissioning.scanner import Estimate, Found, Heard, Hint, Probe, Scanner, Wanted, load
from linli_edge.commissioning.state_file import StateFile
from linli_edge.commissioning.target import Target, parse_link
from linli_edge.transport.settings import TcpSettings

LINE = TcpSettings("192.0.2.1", 4001)


@dataclass
class Digits:
    """Finds numbers of three digits by asking for beginnings, as secondary addresses are found."""

    open: list[str] = field(default_factory=lambda: [""])
    addresses: list[str] = field(default_factory=list)

    def estimate(self) -> Estimate:
        return Estimate(10 * len(self.open), 10 * len(self.open) * 100_000)

    def next(self) -> Probe | None:
        if not self.open:
            return None
        return Probe(LINE, self.open[-1].encode(), 100_000, lambda _: False, f"{self.open[-1]:*<3}")

    def take(self, heard: Heard) -> Sequence[Found]:
        beginning = self.open.pop()
        if not heard.data:
            return []
        if len(beginning) == 3:
            self.addresses.append(beginning)
            return self.found()[-1:]
        self.open += [f"{beginning}{digit}" for digit in "9876543210"]
        return []

    def found(self) -> Sequence[Found]:
        return [
            Found(LINE, address, 0, device={"id": f"m-{address}", "address": address}) for address in self.addresses
        ]

    def hints(self) -> Sequence[Hint]:
        return []

    def state(self) -> Mapping[str, Any]:
        return {"open": self.open, "addresses": self.addresses}


def start(wanted: Wanted, kept: Mapping[str, Any] | None) -> Digits:
    del wanted
    return Digits() if kept is None else Digits(**kept)


SCANNER = Scanner("digits", start)
METERS = ("042", "047", "951")


async def answer(probe: Probe) -> Heard:
    beginning = probe.data.decode()
    return Heard(b"x" if any(meter.startswith(beginning) for meter in METERS) else b"")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(Progress(io.StringIO()), StateFile(tmp_path / "kept.json", "scan"), "en", lambda: 0)


async def test_a_tree_is_walked_and_told(shell: Shell) -> None:
    search, told = Digits(), list[str]()
    await run_search(search, answer, shell, lambda found: told.append(found.address))
    assert told == list(METERS)
    target = Target("cellar", "digits", LINE)
    assert "3 found." in summary(search, SCANNER, target, "en")
    assert 'driver = "digits"\nhost = "192.0.2.1"' in toml(search.found(), SCANNER, target)
    assert not shell.kept.exists


async def test_a_line_that_breaks_keeps_what_was_learnt(shell: Shell) -> None:
    questions = 0

    async def breaking(probe: Probe) -> Heard:
        nonlocal questions
        questions += 1
        if questions == 12:
            raise LinkClosed("gone")
        return await answer(probe)

    with pytest.raises(LinkClosed):
        await run_search(Digits(), breaking, shell, lambda _: None)
    kept = shell.kept.load()
    again = start(Wanted(parse_link("tcp://h")), kept)
    assert again.addresses == ["042"]
    await run_search(again, answer, shell, lambda _: None)
    assert again.addresses == list(METERS)


def test_no_such_protocol_names_the_nearest() -> None:
    assert load("modbus").name == "modbus"
    with pytest.raises(ConfigError, match=r'no search for "mobdus" is installed; did you mean "modbus"\?'):
        load("mobdus")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind":"find","state":{}}', '{"kind":"scan","state":3}'])
def test_a_state_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="--fresh"):
        StateFile(path, "scan").load()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        StateFile(tmp_path / "file" / "kept.json", "scan").save({})
