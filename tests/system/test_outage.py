"""Broker, or broker and platform, away while polling goes on: all arrives, what is new first, the backlog in order."""

import asyncio

import aiomqtt
import pytest

from linli_core.wire.messages import decode_status
from linli_core.wire.senml import parse_sequence
from linli_core.wire.topics import Channel, topic
from linli_sim.rig import GATEWAY, Rig
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system

BACKLOG = 600
"""Messages that pile up: more than the sender's window, so that it takes several rounds to drain."""
LIVE = 20
"""Messages logged between the gateway's return to the broker and the platform's."""


class Observer:
    """A third client of the broker: what passes, in the order it passes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.listening = asyncio.Event()
        self.back = asyncio.Event()
        self.live_from = 0
        self.seqs: list[int] = []

    async def listen(self) -> None:
        """Listen until the last message of the backlog has passed."""
        async with aiomqtt.Client("127.0.0.1", self._port, identifier="observer") as client:
            await client.subscribe(topic(GATEWAY, Channel.STATUS), qos=1)
            await client.subscribe(topic(GATEWAY, Channel.TELEMETRY), qos=1)
            self.listening.set()
            async for message in client.messages:
                payload = message.payload
                assert isinstance(payload, bytes)
                if message.topic.value == topic(GATEWAY, Channel.STATUS):
                    status = decode_status(payload)
                    if status.state == "online" and not self.back.is_set():
                        self.live_from = status.next_seq
                        self.back.set()
                    continue
                place = parse_sequence(payload)
                assert place is not None
                self.seqs.append(place[1])
                if place[1] == self.live_from - 1:
                    return


async def poll_fast(rig: Rig) -> None:
    """Start three meters and a gateway that logs about 150 messages a second; return once readings are stored."""
    port = await rig.start_device("modbus", "--meters", "3")
    meters = "\n".join(
        f'[[links.devices]]\nid = "meter-{unit}"\nunit = {unit}\nprofile = "eastron-sdm630"\ninterval = "200 ms"'
        for unit in (1, 2, 3)
    )
    rig.configure(
        f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n{meters}',
        packs='pack_interval = "0 s"\npack_records = 10',
    )
    await rig.gateway.start()
    await rig.until_more_stored(100)


async def test_a_gateway_that_polls_on_without_a_broker_catches_up_by_itself(rig: Rig) -> None:
    await poll_fast(rig)
    await rig.broker.kill()
    away = await rig.until_logged(BACKLOG)
    await rig.broker.start()

    async def caught_up() -> bool:
        return await rig.stored() >= away.readings

    await eventually(caught_up, "everything logged during the outage in the store")
    audit = await rig.settle()
    assert audit.polled >= away.readings
    assert (audit.lost, audit.doubled, audit.unknown) == (0, 0, 0), audit.examples
    assert audit.loss_ledger == []


async def test_after_an_outage_everything_arrives_live_first_and_the_backlog_in_order(rig: Rig) -> None:
    await poll_fast(rig)
    await rig.broker.kill()
    await rig.platform.stop()
    next_before = rig.log_head().next_seq
    await rig.until_logged(BACKLOG)

    # Without its memory the broker brings no ack of before: nothing may move until the platform has spoken.
    rig.forget_broker()
    await rig.broker.start()
    observer = Observer(rig.port)
    async with asyncio.TaskGroup() as group:
        group.create_task(observer.listen(), name="observer")
        await observer.listening.wait()
        await observer.back.wait()
        await rig.until_logged(LIVE)
        assert observer.seqs == []
        await rig.start_platform()

    assert observer.live_from >= next_before + BACKLOG
    seen = list(dict.fromkeys(observer.seqs))
    live = [seq for seq in seen if seq >= observer.live_from]
    backlog = [seq for seq in seen if seq < observer.live_from]
    assert seen[0] == observer.live_from, "the first to arrive is live"
    assert len(live) >= LIVE
    assert live == sorted(live)
    assert backlog == sorted(backlog)
    assert len(backlog) >= BACKLOG

    audit = await rig.settle()
    assert audit.polled >= 10 * BACKLOG
    assert (audit.lost, audit.doubled, audit.unknown) == (0, 0, 0), audit.examples
    assert audit.loss_ledger == []
