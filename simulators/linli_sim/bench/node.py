"""``node.*``: what a node's program takes of a board: flash, and heap on the unix port limited to 128 KB."""

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linli_edge.nodes.build import BOARDS, build, compiler
from linli_sim.bench import CannotRun, bench
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import part
from linli_sim.processes import Program, command, free_port

_HEAP: Final = "128k"
_LIVES: Final = 2
_LIVES_FOR: Final = 5.0
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


@bench("node.heap_peak_kb", unit="KB", target=80)
async def heap_peak_kb() -> float:
    """Most heap in use after a collection: three sensors, an action, the log, and a broker, with 128 KB in all.

    The desktop's stand-in for the board is counted too: a board has its own. A word has 64 bits here, and 32 there.
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
            await asyncio.to_thread(subprocess.run, [compiler(), "-O3", "-o", str(target), str(source)], check=True)
        config = {
            "node": "bench-1",
            "gateway": {"host": "127.0.0.1", "port": port, "tls": False, "answer_s": 1},
            "interval": 1,
            "sensors": _SENSORS,
            "actions": _ACTIONS,
        }
        argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(folder / "broker")]
        async with Program("broker", argv, folder / "broker.log", ready=r"ready on "):
            node = SimNode(folder / "node", config, heap=_HEAP, compiled=compiled)
            # The first start checks the configuration, and has that in memory; the ones after it, for years, do not.
            for _ in range(_LIVES):
                await node.start()
                await asyncio.sleep(_LIVES_FOR)
                ended = await node.end()
        shutil.rmtree(folder / "node")
    peak = ended["heap_peak"]
    if not isinstance(peak, int):
        raise CannotRun("the node did not say what it held")
    return peak / 1024
