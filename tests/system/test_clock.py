"""A gateway whose system's clock is a day off, and jumps: each reading is stored under the time it was read at."""

import contextlib
from pathlib import Path

import duckdb
import pytest

from linli_core.instant import DAY, SECOND
from linli_edge.timekeeping import wall_clock
from linli_edge.uplink import kernel_clock_state
from linli_sim.compiled import NotBuilt
from linli_sim.faults.preload import Preload
from linli_sim.rig import Rig

pytestmark = pytest.mark.system

TOLERANCE = 2 * SECOND


@pytest.mark.parametrize("first", [DAY, -DAY])
async def test_readings_keep_their_time_through_jumps_of_a_day(rig: Rig, tmp_path: Path, first: int) -> None:
    try:
        faults = Preload(rig.outbox.parent, tmp_path / "faults")
    except NotBuilt as exc:
        pytest.skip(f"no clock can be moved: {exc}")
    rig.gateway.environment = faults.environment
    faults.begin()
    port = await rig.start_device("modbus", "--meters", "1")
    rig.configure(
        f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n'
        '[[links.devices]]\nid = "meter-1"\nunit = 1\nprofile = "eastron-sdm630"\ninterval = "500 ms"'
    )
    if kernel_clock_state().state != "trusted":
        # Where NTP keeps this machine's clock, the gateway believes it from the start.
        faults.clock(first)
    began = wall_clock()
    await rig.gateway.start()
    await rig.until_more_stored(100)
    for jump in (-first, first, 0):
        faults.clock(jump)
        await rig.until_more_stored(100)
    audit = await rig.settle()
    ended = wall_clock()
    assert (audit.lost, audit.doubled, audit.unknown) == (0, 0, 0), audit.examples
    assert audit.loss_ledger == []
    with contextlib.closing(duckdb.connect(str(rig.data / "store.duckdb"), read_only=True)) as database:
        row = database.execute("SELECT count(*), min(time), max(time) FROM readings").fetchone()
    assert row is not None
    assert row[0] >= 400
    assert began - TOLERANCE <= row[1] <= row[2] <= ended + TOLERANCE
