"""The frame of ``python -m linli_sim.bench``: what it prints, and what it does about a benchmark that cannot run."""

import json
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from linli_sim.bench import REGISTRY, CannotRun, Result, bench
from linli_sim.bench.cli import BENCHES, main


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that stands for one with benchmarks; what it registers is gone afterwards."""
    name = "benchmarks_of_this_test"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    before = dict(REGISTRY)
    yield name
    REGISTRY.clear()
    REGISTRY.update(before)


def test_prints_one_json_line_for_each_figure(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    @bench("a.plain", "B", target=3)
    def plain() -> float:
        return 2.123456

    @bench("a.peer", "readings/s")
    async def beside_a_peer() -> Result:
        return Result(300_000, peer="other 1.2", peer_value=200_000)

    @bench("b.other", "s")
    def other() -> float:
        return 1

    assert main(["--only", "a.*"], dict.fromkeys(["a.plain", "a.peer", "b.other"], module)) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"bench": "a.plain", "value": 2.123, "unit": "B", "target": 3},
        {"bench": "a.peer", "value": 300_000, "unit": "readings/s", "peer": "other 1.2", "ratio": 1.5},
    ]


def test_one_that_cannot_run_says_why_and_the_others_run(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    @bench("a.needy", "s")
    def needy() -> float:
        raise CannotRun("no meter here; connect one")

    @bench("a.fine", "s")
    def fine() -> float:
        return 1

    table = {"a.needy": module, "a.fine": module, "a.gone": "no_such_module_at_all", "a.unregistered": module}
    assert main([], table) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["bench"] for line in out.splitlines()] == ["a.fine"]
    assert err.splitlines() == [
        "bench: a.needy cannot run: no meter here; connect one",
        "bench: a.gone cannot run: No module named 'no_such_module_at_all'",
        f"bench: a.unregistered cannot run: {module} registers no benchmark of that name",
    ]


def test_a_glob_that_matches_nothing_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no.such.*"], {"a.b": "c"}) == 1
    assert capsys.readouterr().err == "bench: nothing matches 'no.such.*'; known: a.b\n"


def test_two_benchmarks_cannot_share_a_name(module: str) -> None:
    bench("a.twice", "s")(lambda: 1.0)
    with pytest.raises(ValueError, match=r"two benchmarks are called 'a\.twice'"):
        bench("a.twice", "s")(lambda: 1.0)
    assert module


def test_every_benchmark_is_where_the_table_says() -> None:
    for name, place in BENCHES.items():
        __import__(place)
        assert name in REGISTRY


def test_every_registered_benchmark_stands_in_the_table() -> None:
    for place in set(BENCHES.values()):
        __import__(place)
    assert set(REGISTRY) == set(BENCHES)
