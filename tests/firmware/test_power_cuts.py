"""Power cuts at any byte of the flash: what was durable is there, once. ``make test-firmware`` makes many more."""

from typing import Any

import pytest

from linli_sim.nodes.vm import Machine

CUTS = 40


def _run(machine: Machine, parts: list[list[Any]], seed: int = 1) -> list[dict[str, Any]]:
    found = machine.check("cuts", {"seed": seed, "parts": parts})
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("kind", ["raw", "folder"])
@pytest.mark.parametrize("part", ["ring", "counter"])
def test_a_cut_loses_and_doubles_nothing(unix_port: Machine, part: str, kind: str) -> None:
    (found,) = _run(unix_port, [[part, kind, CUTS]])
    assert (found["lost"], found["doubled"], found["bricked"]) == (0, 0, 0)
    assert found["cuts"] == CUTS
    assert found.get("records", 0) + found.get("pulses", 0) > CUTS // 4


def test_a_cut_during_an_update_leaves_a_program_that_starts(unix_port: Machine) -> None:
    (found,) = _run(unix_port, [["update", "folder", CUTS]])
    assert (found["lost"], found["bricked"]) == (0, 0)
    assert found["updates"] > CUTS // 10
    # What the running program has already is not sent again: half of this one never changes.
    assert found["sent"] < found["updates"] * 3_000


def test_cuts_on_a_partition_of_its_own_on_every_port(machine: Machine) -> None:
    for found in _run(machine, [["ring", "raw", 10], ["counter", "raw", 5]], seed=2):
        assert (found["lost"], found["doubled"], found["bricked"]) == (0, 0, 0)


def test_every_block_is_erased_as_often_as_the_others(unix_port: Machine) -> None:
    (found,) = _run(unix_port, [["wear", "raw", 1500]])
    assert found["least"] >= 2
    assert found["most"] - found["least"] <= 1


def test_worn_blocks_are_gone_round(unix_port: Machine) -> None:
    (found,) = _run(unix_port, [["worn", "raw", 4]])
    assert found["lost"] == 0
    assert found["worn"] >= 4


def test_blocks_that_are_stuck_with_what_they_held_mislead_no_start(unix_port: Machine) -> None:
    for found in _run(unix_port, [["stuck", "raw", 250]] * 3):
        assert (found["wrong"], found["stuck"] > 0) == (0, True)


def test_a_full_file_system_costs_the_oldest_records_and_no_count(unix_port: Machine) -> None:
    (found,) = _run(unix_port, [["crowded", "folder", 600]])
    assert found["filled"] > 100_000
    assert (found["wrong"], found["newest"]) == (0, True)
    assert found["count"] == [600, 600]
    # By hundreds of bytes at a time littlefs finds room again where the oldest block went.
    assert (found["told"], found["refused"], found["kept"] > 30) == (600, 0, True)


def test_a_full_log_lets_the_oldest_go_and_counts_them(unix_port: Machine) -> None:
    (found,) = _run(unix_port, [["full", "raw", 500]])
    assert found["newest"]
    assert found["evicted"] + found["kept"] == 500
    assert found["evicted"] > 0
    assert found["backlog"] == 0
