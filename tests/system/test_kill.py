"""kill -9 of the gateway, the broker and the platform while readings flow: nothing lost, nothing doubled."""

import pytest

from linli_sim.rig import Rig

pytestmark = pytest.mark.system

FLOW = 150
"""Readings that must pass between two kills."""


async def test_nothing_is_lost_or_doubled_when_each_process_is_killed_in_turn(rig: Rig) -> None:
    port = await rig.start_device("modbus", "--meters", "2")
    meters = "\n".join(
        f'[[links.devices]]\nid = "meter-{unit}"\nunit = {unit}\nprofile = "eastron-sdm630"\ninterval = "200 ms"'
        for unit in (1, 2)
    )
    rig.configure(f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n{meters}')
    await rig.gateway.start()
    await rig.until_more_stored(FLOW)

    await rig.gateway.kill()
    await rig.gateway.start()
    await rig.until_more_stored(FLOW)

    await rig.broker.kill()
    await rig.broker.start()
    await rig.until_more_stored(FLOW)

    await rig.platform.kill()
    await rig.start_platform()
    await rig.until_more_stored(FLOW)

    audit = await rig.settle()
    assert audit.polled >= 4 * FLOW
    assert (audit.lost, audit.doubled, audit.unknown) == (0, 0, 0), audit.examples
    assert audit.loss_ledger == []
    ((*_, whole),) = [account["lines"] for account in rig.account]
    assert whole["day"] == "all"
    assert whole["polled"] == whole["filtered"] + whole["refused_by_log"] + whole["logged"]
    assert (whole["logged"], whole["under_way"], whole["unexplained"]) == (audit.polled, 0, 0)
