"""Smart meters that send unasked, all the way: port or push, gateway, broker, platform, API; wrong key and replay."""

from typing import Any

import pytest

from linli_sim.processes import free_port
from linli_sim.rig import GATEWAY, Rig
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system

KEY, AUTHENTICATION = "000102030405060708090A0B0C0D0E0F", "101112131415161718191A1B1C1D1E1F"


def link(name: str, driver: str, where: str, device: str) -> str:
    return (
        f'[[links]]\nid = "{name}"\ndriver = "{driver}"\n{where}\n'
        f'[links.schedule]\nspread = "0 s"\n[[links.devices]]\nid = "{name}-meter"\ninterval = "1 s"\n{device}\n'
    )


async def test_what_meters_push_is_stored_and_what_is_forged_is_not(rig: Rig) -> None:
    p1 = await rig.start_device("p1", "--every", "0.3")
    sealed = await rig.start_device("p1", "--every", "0.3", "--key", KEY)
    han = await rig.start_device("dlms", "--every", "0.3", "--segment", "40")
    pushed, wrong = free_port(), free_port()
    keys = f'key = "{KEY}"\nauthentication_key = "{AUTHENTICATION}"'
    listening = 'transport = "tcp-listen"\nhost = "127.0.0.1"\nport = {}'
    rig.configure(
        "\n".join(
            (
                link("p1", "p1", f'host = "127.0.0.1"\nport = {p1}', 'identity = "LINLI0001"'),
                link("sealed", "p1", f'host = "127.0.0.1"\nport = {sealed}', f'key = "{KEY}"'),
                link("han", "dlms", f'host = "127.0.0.1"\nport = {han}', ""),
                link("pushed", "dlms", listening.format(pushed), keys),
                link("wrong", "dlms", listening.format(wrong), f'{keys}\npatience = "2 s"'),
            )
        )
    )
    await rig.gateway.start()
    ciphered = ["--every", "0.3", "--auth-key", AUTHENTICATION]
    await rig.start_device("dlms", "--to", f"127.0.0.1:{pushed}", "--key", KEY, "--replay", *ciphered)
    await rig.start_device("dlms", "--to", f"127.0.0.1:{wrong}", "--key", "FF" * 16, *ciphered)
    expected = {
        f"{GATEWAY}/{name}"
        for name in (
            "p1-meter/energy_import.t1",
            "p1-meter/gas_volume.c1",
            "sealed-meter/energy_import.t1",
            "han-meter/energy_import",
            "pushed-meter/energy_import",
            "pushed-meter/voltage.l1",
        )
    }

    async def complete() -> dict[str, Any] | None:
        latest: dict[str, Any] = await rig.get("/latest", gateway=GATEWAY, limit=10_000)
        return latest if latest.keys() >= expected else None

    latest = await eventually(complete, "readings of four meters in the store")
    assert latest is not None
    energies = [latest[name]["value"] for name in sorted(expected) if "energy" in name]
    # One model, read within a few seconds of each other.
    assert max(energies) - min(energies) < 100
    assert latest[f"{GATEWAY}/pushed-meter/voltage.l1"]["value"] == 230.0
    assert {latest[name]["quality"] for name in expected} == {"good"}
    assert not any("wrong-meter" in name for name in latest)

    async def forger_is_silent() -> bool | None:
        detail = await rig.get(f"/gateways/{GATEWAY}")
        return "wrong-meter" in str(detail) or None

    await eventually(forger_is_silent, "the meter with the wrong key to be told as silent")

    async def both_are_told() -> bool | None:
        log = (rig.folder / "gateway.log").read_text()
        return ("a replayed message" in log and "the authentication tag does not match" in log) or None

    await eventually(both_are_told, "the replayed and the forged message in the gateway's log")
