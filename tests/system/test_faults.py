"""The fault bench in small: a plan with every kind of fault loses nothing, and bugs that lose are found."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from linli_sim.compiled import NotBuilt
from linli_sim.faults.preload import Preload

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("probe")
    try:
        Preload(folder, folder / "control")
    except NotBuilt as exc:
        pytest.skip(f"the fault bench cannot be built: {exc}")


async def bench(*words: str) -> tuple[int, dict[str, Any], str]:
    """Run the bench; return its exit status, its tally, and what it said."""
    argv = [sys.executable, "-m", "linli_sim.faults", *words]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


async def test_faults_lose_nothing_and_double_nothing() -> None:
    status, tally, said = await bench("--seed", "20260", "--faults", "20")
    assert status == 0, said
    assert (tally["seed"], tally["faults"]) == (20260, 20)
    assert (tally["lost"], tally["doubled"], tally["unexplained"]) == (0, 0, 0), said
    assert tally["readings"] > 1000


async def test_acknowledging_before_the_commit_is_found() -> None:
    # The log keeps what was acknowledged and would mend it: with the bug it is planted that it lets go at once.
    bug = ("--plant", "acknowledge-before-commit")
    status, tally, said = await bench("--seed", "3", "--faults", "12", *bug, "--only", "platform_kill")
    assert status == 1, said
    assert tally["lost"] + tally["unexplained"] > 0


async def test_deleting_what_the_broker_has_taken_is_found() -> None:
    # The gateways' logs are what brings back what a restored platform lacks.
    bug = ("--plant", "delete-at-puback")
    status, tally, said = await bench("--seed", "3", "--faults", "1", *bug, "--only", "platform_restore")
    assert status == 1, said
    assert tally["lost"] > 0
