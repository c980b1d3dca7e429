"""``node.*``: what a node's program takes of a board: flash, heap, time awake, battery."""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linli_broker.mosquitto import find
from linli_core.wire.messages import Ack, encode_message
from linli_edge.nodes.build import BOARDS, build, compiler
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.shared import ON_BOARD, SharedKeys
from linli_sim.bench import CannotRun, bench
from linli_sim.nodes.battery import Spent, years
from linli_sim.nodes.chip import Awake, Chip, Pace, flash_image, slower
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import part
from linli_sim.processes import Program, command, free_port, free_ports
from linli_sim.rig import Rig

_HEAP: Final = "128k"
_LIVES: Final = 2
_CONNECTIONS: Final = 2
_RECORDS: Final = 3
"""Records that each of them takes over."""
_LIMIT: Final = 60.0
_SENSORS: Final[list[dict[str, Any]]] = [
    {"kind": "reed", "pin": 4},
    {"kind": "pulse", "pin": 5, "quantity": "water_volume", "places": 3},
    {"kind": "leak_rope", "pin": 6, "power": 7},
]
_ACTIONS: Final = [{"kind": "relay", "pin": 8, "when": "water_leak"}]


@bench("node.mpy_kb", unit="KB", target=96)
async def mpy_kb() -> float:
    """The node's program with its libraries, all sensors, compiled: the largest of all kinds of boards."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as folder:
        key = Ed25519PrivateKey.generate()
        return max(build(board, 1, key, Path(folder) / board, "bench").size for board in BOARDS) / 1024


@asynccontextmanager
async def _answered(port: int, taken: asyncio.Queue[int]) -> AsyncIterator[None]:
    """Answer a node in its gateway's place, and put the number of each record that it sends into a queue."""

    async def answer(client: aiomqtt.Client) -> None:
        mark = 0
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            said = json.loads(message.payload)
            place = said[0] if isinstance(said, list) else said
            if place is not said:
                mark = max(mark, place["seq"])
                taken.put_nowait(mark)
            ack = Ack(epoch=place["epoch"], seq=mark, sent_at=time.time_ns() // 1000)
            await client.publish("node/bench-1/ack", encode_message(ack))

    async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
        for topic in ("status", "telemetry"):
            await client.subscribe(f"node/bench-1/{topic}")
        answering = group.create_task(answer(client), name="answer")
        try:
            yield
        finally:
            answering.cancel()


@bench("node.heap_peak_kb", unit="KB", target=80)
async def heap_peak_kb() -> float:
    """Most heap in use after a collection: three sensors, an action, the log, and a broker, with 128 KB in all.

    Its records are acknowledged, and its connection breaks: another is opened with all of the program in memory. The
    desktop's stand-in for the board is counted too: a board has its own. A word has 64 bits here, and 32 there.
    """
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder, port = Path(name), free_port()
        compiled = build("desktop", 1, Ed25519PrivateKey.generate(), folder / "built", "bench").folder / "files"
        # Beside its modules: a program's own folder comes before all others.
        shutil.copyfile(part("desktop") / "node.py", compiled / "node.py")
        stand_in = compiled / "linli_desktop"
        stand_in.mkdir()
        for source in (part("desktop") / "linli_desktop").glob("*.py"):
            target = stand_in / f"{source.stem}.mpy"
            argv = [compiler(), "-O3", "-s", source.stem, "-o", str(target), str(source)]
            await asyncio.to_thread(subprocess.run, argv, check=True)
        config = {
            "node": "bench-1",
            "gateway": {"host": "127.0.0.1", "port": port, "tls": False, "answer_s": 1},
            "interval": 1,
            "sensors": _SENSORS,
            "actions": _ACTIONS,
        }
        argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(folder / "broker")]
        node, taken = SimNode(folder / "node", config, heap=_HEAP, compiled=compiled), asyncio.Queue[int]()
        # The first start checks the configuration, and has that in memory; the ones after it, for years, do not.
        for _ in range(_LIVES):
            await node.start()
            for _ in range(_CONNECTIONS):
                async with Program("broker", argv, folder / "broker.log", ready=r"ready on "), _answered(port, taken):
                    async with asyncio.timeout(_LIMIT):
                        for _ in range(_RECORDS):
                            await taken.get()
            ended = await node.end()
        shutil.rmtree(folder / "node")
    peak = ended["heap_peak"]
    if not isinstance(peak, int):
        raise CannotRun("the node did not say what it held")
    return peak / 1024


_EVERY: Final = 4
_INTERVAL_S: Final = 900
_TIMES: Final = 5
_MEASURED: dict[int, dict[str, list[Awake]]] = {}


async def awake(every: int) -> dict[str, list[Awake]]:
    """Return times awake of a node with a probe, a rope and a contact: delivering so many readings, and still.

    The program is the real one, and so are gateway and broker; what a chip takes that a desktop does not is declared
    (:class:`linli_sim.nodes.chip.Pace`) and waited for.
    """
    if find() is None:
        raise CannotRun("Mosquitto is not installed here, and nodes speak TLS: apt-get install mosquitto")
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder, (port, secure, shared) = Path(name), free_ports(3)
        keys, held = KeyFolder(folder / "pki"), folder / "node" / "flash" / "keys"
        keys.create()
        identity, own = keys.issue("bench-1"), SharedKeys(folder / "pki")
        own.create()
        held.mkdir(parents=True)
        for file, content in (
            ("ca.der", identity.authority), ("node.der", identity.certificate), ("node.key", identity.key),
            (ON_BOARD, own.give("bench-1", fresh=False)),
        ):  # fmt: skip
            (held / file).write_bytes(content)
        rig = Rig(folder, port=port)
        rig.broker = local_broker(folder, port, secure, ("bench-1",), shared=shared)
        config = {
            "node": "bench-1",
            "power": "battery",
            "battery_pin": 1,
            "interval": _INTERVAL_S,
            "deliver_every": every,
            "gateway": {"host": "127.0.0.1", "port": secure, "shared_port": shared},
            "wifi": [{"ssid": "facility", "password": "a password"}],
            "sensors": [
                {"kind": "leak_rope", "pin": 6, "power": 7},
                {"kind": "reed", "pin": 4},
                {"kind": "ds18b20", "pin": 5},
            ],
        }
        chip = Chip(folder / "node", flash_image(folder / "built"), config, Pace(slower=slower()))
        chip.program_it()
        try:
            await rig.broker.start()
            await rig.start_platform()
            await rig.until_connected()
            rig.configure("", f'\n[nodes]\nport = {port}\n[[nodes.boards]]\nid = "bench-1"\n')
            await rig.gateway.start()
            await chip.wake()
            found = [await chip.wake() for _ in range(every * _TIMES)]
        finally:
            await rig.stop()
    spoken, still = [one for one in found if one.radio_ms], [one for one in found if not one.radio_ms]
    if len(spoken) != _TIMES or chip.said:
        raise CannotRun(f"the node did not deliver {every} readings each time: {found}, {chip.said}")
    return {"spoken": spoken, "still": still}


async def _measured(every: int) -> dict[str, list[Awake]]:
    if every not in _MEASURED:
        _MEASURED[every] = await awake(every)
    return _MEASURED[every]


async def _spoken_s(every: int) -> float:
    """Return seconds awake; the least of five: what else the machine does meanwhile is none of the node's."""
    return min(one.awake_ms for one in (await _measured(every))["spoken"]) / 1000


@bench("node.wake_s", unit="s", target=1.5)
async def wake_s() -> float:
    """From the wake of an ESP32-C3, its boot included, to its sleep: read, logged, delivered over TLS, acknowledged.

    Four readings of three sensors: the one of now and the three kept before it, as by default.
    """
    return await _spoken_s(_EVERY)


@bench("node.wake_one_s", unit="s", target=1.5)
async def wake_one_s() -> float:
    """Return the same of one reading, as where it is told at once (``deliver_every`` of 1)."""
    return await _spoken_s(1)


@bench("node.battery_years", unit="years", target=2)
async def battery_years() -> float:
    """How long two AA cells last at a reading every 15 minutes, delivered four at a time, by the times measured.

    The model is in :mod:`linli_sim.nodes.battery`.
    """
    found = await _measured(_EVERY)
    delivering, still = (min(found[kind], key=lambda one: one.awake_ms) for kind in ("spoken", "still"))
    return years(
        Spent(delivering.awake_ms, delivering.radio_ms, delivering.dozed_ms),
        Spent(still.awake_ms, 0.0, still.dozed_ms),
        interval_s=_INTERVAL_S,
        every=_EVERY,
    )
