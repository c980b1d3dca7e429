"""A register that falls, a meter that is exchanged and a boundary that passes, from the wire to the platform's API."""

import asyncio
import subprocess
from typing import Any

import pytest

from linli_core.instant import MINUTE, to_rfc3339
from linli_edge.timekeeping import wall_clock
from linli_sim.processes import command
from linli_sim.rig import GATEWAY, Rig
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system


async def test_swap_and_boundary_reach_the_platform(rig: Rig) -> None:
    port = await rig.start_device("modbus", "--meters", "1")
    rig.configure(
        f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n'
        '[[links.devices]]\nid = "meter-1"\nunit = 1\nprofile = "eastron-sdm630"\ninterval = "500 ms"',
        packs='[gateway.billing]\nevery = "1 min"\nexact = "20 s"\nlate = "30 s"',
    )
    await rig.gateway.start()
    await rig.until_more_stored(100)
    # The first that passes while it is read: the one before may have passed while the gateway started.
    boundary = to_rfc3339((wall_clock() // MINUTE + 1) * MINUTE)
    argv = [command("linli-edge"), "swap", str(rig.config), "meter-1", "--new-start", "energy_import=12.5kWh"]
    done = await asyncio.to_thread(
        subprocess.run, [*argv, "--new-serial", "222", "--by", "Wang", "--lang", "en"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Recorded in the gateway's log." in done.stdout

    async def swapped() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await rig.get("/registers", gateway=GATEWAY, device="meter-1")
        return [event for event in found if event["kind"] == "swapped"]

    (event,) = await eventually(swapped, "the swap at the platform")
    assert (event["data"]["new_serial"], event["data"]["by"]) == ("222", "Wang")
    assert event["data"]["start"] == {"energy_import": 12_500.0}
    assert event["data"]["last_read"]["energy_import"] > 0

    async def billed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await rig.get("/billing", gateway=GATEWAY, device="meter-1", **{"from": "-5min"})
        return [line for line in found if (line["point"], line["boundary"]) == ("meter-1/energy_import.l3", boundary)]

    (line,) = await eventually(billed, "a boundary at the platform")
    assert (line["mark"], line["value"] > 0) == ("exact", True)
    assert 0 <= line["late_s"] <= 20
