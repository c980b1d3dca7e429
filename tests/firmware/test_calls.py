"""An emergency button calls until somebody has heard it, on the platform or at the gateway."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_edge.cli import main
from linli_edge.config.gateway import load_config
from linli_edge.outbox import Outbox
from linli_edge.timekeeping import wall_clock
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import Machine
from linli_sim.rig import Rig
from linli_sim.waiting import PATIENCE, eventually

pytestmark = pytest.mark.system

BUTTON, BUZZER, LIGHT = 4, 8, 9
RULE = "safety.emergency-button"


def _config(port: int) -> dict[str, Any]:
    follows = {"when": "emergency_button"}
    return {
        "node": "help-1",
        "gateway": {"host": "127.0.0.1", "port": port, "tls": False, "answer_s": 1},
        "interval": 3600,
        "sensors": [{"kind": "button", "pin": BUTTON, "debounce_ms": 0}],
        "actions": [{"kind": "buzzer", "pin": BUZZER, **follows}, {"kind": "light", "pin": LIGHT, **follows}],
    }


class Hall:
    """The button in the hall, and whoever looks at the platform."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.node = SimNode(folder / "node", _config(rig.port), uid="be11")

    async def press(self) -> None:
        """Press for a moment: the button springs back."""
        known = self.node.said.count(f"pin {BUZZER} 1")
        await self.node.tell(f"pin {BUTTON} 0")
        await self.node.until_again(f"pin {BUZZER} 1", known)
        await self.node.tell(f"pin {BUTTON} 1")

    async def alarm(self, state: str) -> int:
        """Return the number of the alarm once it stands so."""

        async def found() -> int:
            listed = await self.rig.get("/alarms", active="true")
            return next((alarm["id"] for alarm in listed if (alarm["rule"], alarm["state"]) == (RULE, state)), 0)

        return await eventually(found, f"{RULE} {state}")

    async def act(self, alarm: int, what: str) -> None:
        """Acknowledge or reset as somebody at the platform."""
        request = urllib.request.Request(
            f"{self.rig.url}/api/v1/alarms/{alarm}/{what}",
            data=json.dumps({"actor": "li", "comment": "on my way"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=PATIENCE).close())

    async def heard(self) -> list[tuple[str, str, int]]:
        """Return what the stopped gateway has on record of calls that were heard: door, who, which."""
        config = load_config(self.rig.config)
        async with Outbox.open(self.rig.outbox, config.outbox, wall_clock, gateway=config.id) as outbox:
            stats = outbox.stats()
            messages = await outbox.read(list(range(stats.first_seq, stats.next_seq)))
        found = [json.loads(message.body)["data"] for message in messages if b'"linli.node.heard"' in message.body]
        return [(event["via"], event["by"].partition(" ")[0], event["call"]) for event in found]


async def _again_and_no_other(hall: Hall) -> None:
    """See that the call is said again, and that what is told of another call does not end it."""
    async with aiomqtt.Client("127.0.0.1", hall.rig.port) as client:
        await client.subscribe("node/help-1/telemetry", qos=1)
        await hall.node.tell("pass 11")
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            again = json.loads(message.payload)[0]
            assert again["vb"] is True
            # The call itself comes once more where its answer took longer than the node waits for one.
            if again["seq"] > again["call"]:
                break
        for call in ({"call": again["call"] - 1}, {"call": again["seq"]}, {"epoch": "ffffffff"}, {"call": "1"}):
            told = {"epoch": again["epoch"], "call": again["call"], **call}
            await client.publish("node/help-1/confirm", json.dumps(told), qos=1)
        await client.publish("node/help-1/confirm", b"\xff", qos=1)


async def _heard_from_afar(hall: Hall) -> None:
    node = hall.node
    await hall.press()
    alarm = await hall.alarm("unacknowledged")
    await node.until(f"pin {LIGHT} 0")  # it blinks
    await _again_and_no_other(hall)
    await hall.act(alarm, "acknowledge")
    await node.until("confirmed")
    assert node.said.count("confirmed") == 1
    before, after = node.said[: node.said.index("confirmed")], node.said[node.said.index("confirmed") :]
    assert f"pin {BUZZER} 0" in before
    assert before[-1] == f"pin {LIGHT} 1"
    assert after == ["confirmed"]  # steady
    await hall.alarm("latched_acknowledged")


async def _heard_at_the_gateway(hall: Hall) -> None:
    """A later press is a call of its own; that it is confirmed at the gateway settles no alarm."""
    known = hall.node.said.count("confirmed")
    await hall.press()
    alarm = await hall.alarm("unacknowledged")
    folder = str(hall.rig.outbox.parent)
    arguments = ["node", "confirm", "help-1", "--data", folder, "--by", "wang", "--lang", "en"]
    assert await asyncio.to_thread(main, arguments) == 0
    await hall.node.until_again("confirmed", known)
    await hall.alarm("latched_unacknowledged")
    await hall.act(alarm, "acknowledge")


async def _heard_while_the_node_is_off(hall: Hall) -> None:
    await hall.press()
    alarm = await hall.alarm("unacknowledged")
    await hall.node.kill()
    await hall.act(alarm, "acknowledge")

    async def noted() -> bool:
        return hall.rig.gateway.log.read_text().count("has heard its call") == 1

    await eventually(noted, "the gateway has noted that the call was heard")
    await hall.node.start()
    await hall.node.until("confirmed")
    await hall.alarm("latched_acknowledged")
    await hall.node.end()


async def test_a_call_goes_on_until_it_is_heard_from_afar_or_at_the_gateway(
    tmp_path: Path, unix_port: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    del unix_port
    rig = Rig(tmp_path, settings='packs = ["safety"]')
    hall = Hall(rig, tmp_path)
    try:
        await rig.broker.start()
        await rig.start_platform()
        await rig.until_connected()
        rig.configure("", f'\n[nodes]\nport = {rig.port}\n[[nodes.boards]]\nid = "help-1"\n')
        await rig.gateway.start()
        await hall.node.start()
        # In this order: time that passes at once for the node puts it ahead of the rest until it starts again.
        await _heard_while_the_node_is_off(hall)
        await hall.node.start()
        await _heard_from_afar(hall)
        await _heard_at_the_gateway(hall)
        assert "somebody has heard its call" in capsys.readouterr().out
        await rig.gateway.stop()
        heard = await hall.heard()
        assert [(via, by) for via, by, _ in heard] == [("platform", "li"), ("platform", "li"), ("local", "wang")]
        assert len({call for _, _, call in heard}) == 3
    finally:
        await hall.node.kill()
        await rig.stop()
