"""Frames recorded from real meters, all the way: bus, gateway, broker, platform, API."""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_edge.drivers.mbus.meter_profile import quirks_of
from linli_sim.replay import ReplayedMeter, replayed
from linli_sim.rig import GATEWAY, Rig
from linli_sim.vectors.mbus_expectations import ExpectedReading, expected_readings
from linli_sim.vectors.mbus_recordings import load
from linli_sim.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.vectors]


def links(port: int, meters: list[ReplayedMeter]) -> str:
    devices = "\n".join(
        f'[[links.devices]]\nid = "meter-{meter.address}"\naddress = {meter.address}\ninterval = "1 h"'
        for meter in meters
    )
    # Whole telegrams one after the other, at once: what is proven here is values, not timing.
    return (
        f'[[links]]\nid = "bus"\ndriver = "mbus"\nhost = "127.0.0.1"\nport = {port}\n{devices}\n'
        '[links.schedule]\nspread = "0 s"'
    )


def differs(stored: dict[str, Any], expected: ExpectedReading) -> bool:
    value = stored["value"] if stored["text"] is None else stored["text"]
    wanted = expected.value
    if wanted is None:
        return value is not None or not stored["quality"].startswith("bad/")
    if isinstance(wanted, Decimal):
        if not isinstance(value, float):
            return True
        return value != float(wanted) if expected.exact else not math.isclose(value, wanted, rel_tol=1e-6)
    return bool(value != wanted)


async def test_what_is_stored_is_what_was_recorded(rig: Rig, vectors: Path) -> None:
    folder = vectors / "mbus"
    meters = replayed(load(folder))
    expected = {
        f"{GATEWAY}/meter-{meter.address}/{reading.name}": reading
        for meter in meters
        for reading in expected_readings(meter.vector, quirks_of)
    }
    rig.configure(links(await rig.start_device("replay", "mbus", "--vectors", str(folder)), meters))
    await rig.gateway.start()

    async def complete() -> dict[str, Any] | None:
        latest: dict[str, Any] = await rig.get("/latest", gateway=GATEWAY, limit=10_000)
        # A record that means no quantity of ours comes raw; it has no expected value.
        mapped = {name: row for name, row in latest.items() if f"/{UNMAPPED}" not in name}
        return mapped if mapped.keys() >= expected.keys() else None

    latest = await eventually(complete, f"{len(expected)} points in the store")
    assert latest is not None
    assert len(meters) > 30
    assert latest.keys() == expected.keys()
    wrong = {name: (latest[name], reading) for name, reading in expected.items() if differs(latest[name], reading)}
    assert wrong == {}
    detail = await rig.get(f"/gateways/{GATEWAY}")
    assert (detail["refusals"], detail["losses"]) == ([], [])
