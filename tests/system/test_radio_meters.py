"""Radio meters all the way: receiver, gateway, broker, platform, API; keys, repeaters, noise, a wrong key, silence."""

from typing import Any

import pytest

from linli_sim.rig import GATEWAY, Rig
from linli_sim.waiting import eventually
from linli_sim.wmbus_meters import Protection, make_radio_meters

pytestmark = pytest.mark.system

METERS = 9
WRONG = 2
"""The meter whose key in the configuration is another's."""


def links(port: int) -> str:
    head = f'[[links]]\nid = "radio"\ndriver = "wmbus"\nhost = "127.0.0.1"\nport = {port}'
    lines = [head, '[links.schedule]\nspread = "0 s"']
    for number, meter in enumerate(make_radio_meters(METERS, 7, 0)):
        key = bytes(16) if number == WRONG else meter.key
        lines.append(
            f'[[links.devices]]\nid = "meter-{number}"\nmeter = "{meter.identity.number}"\ninterval = "1 s"'
            + ("" if meter.protection is Protection.PLAIN else f'\nkey = "{key.hex()}"')
        )
    lines.append('[[links.devices]]\nid = "absent"\nmeter = "11111111"\ninterval = "1 s"\nmax_age = "2 s"')
    return "\n".join(lines)


async def test_what_meters_send_is_stored_and_nothing_else(rig: Rig) -> None:
    port = await rig.start_device("wmbus", "--meters", str(METERS), "--every", "0.5", "--seed", "7")
    rig.configure(links(port))
    await rig.gateway.start()
    expected = {
        f"{GATEWAY}/meter-{number}/water_volume{suffix}"
        for number in range(METERS)
        if number != WRONG
        for suffix in ("", ".s1")
    }

    async def complete() -> dict[str, Any] | None:
        latest: dict[str, Any] = await rig.get("/latest", gateway=GATEWAY, limit=10_000)
        return latest if latest.keys() >= expected else None

    latest = await eventually(complete, f"{len(expected)} registers in the store")
    assert latest is not None
    starts = {number: meter.volume.start for number, meter in enumerate(make_radio_meters(METERS, 7, 0))}
    for number, start in starts.items():
        if number == WRONG:
            assert f"{GATEWAY}/meter-{number}/water_volume" not in latest
            continue
        row = latest[f"{GATEWAY}/meter-{number}/water_volume"]
        assert row["quality"] == "good"
        # What a damaged or forged telegram says would be far off; an hour's use is not.
        assert row["value"] == pytest.approx(start, abs=0.1)

    async def counted() -> dict[str, Any] | None:
        detail = await rig.get(f"/gateways/{GATEWAY}")
        (link,) = detail["status"]["links"]
        units = {unit["device"]: unit for unit in link["units"]}
        ready = units["absent"]["timeouts"] and units[f"meter-{WRONG}"]["malformed"] and "absent" in link["silent"]
        return units if ready else None

    units = await eventually(counted, "the silent meter and the wrong key in the status")
    assert units is not None
    assert units["meter-1"]["answers"] > 0
    assert units[f"meter-{WRONG}"]["answers"] == 0
