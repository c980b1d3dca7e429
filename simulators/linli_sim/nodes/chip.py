"""A node on a battery as a chip that sleeps deeply: the real program, one process for each time awake, at its pace.

What a chip takes that the desktop does not is declared here, and waited for while the program runs: so what waits at
the same time on the chip does so here. Nothing of it was measured on our own boards; where each comes from stands in
ADR 0050.
"""

import asyncio
import json
import shutil
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linli_edge.nodes.build import build, compiler
from linli_sim.nodes.vm import CheckFailed, environment, part, unix

_LIMIT: Final = 60.0
_ADDITIONS: Final = 100_000
_ADDITIONS_ON_CHIP_MS: Final = 150.0
_ROUNDS: Final = 20
_LOOP: Final = f"""import time
def f():
    n = 0
    for i in range({_ADDITIONS}):
        n += 1
t = time.clock()
for _ in range({_ROUNDS}):
    f()
print(time.clock() - t)
"""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long a chip takes for what the desktop does in no time: an ESP32-C3 at 160 MHz on a stock firmware.

    Attributes:
        boot_ms: From the wake to the first line of ``main.py``.
        join_ms: Until it is in the network with the address of before.
        dhcp_ms: What asking for an address adds.
        tls_ms: What the handshake computes with certificates.
        shared_ms: What it computes with a shared key.
        air_ms: What an answer is under way on the radio.
        module_ms: What a module takes to be found on its file system and read.
        look_ms: What it takes to see what is in a folder.
        read_ms, write_ms: What a file takes to be read, or written to.
        kb_ms: What each KB that is read adds.
        slower: How many times slower its interpreter is than the desktop's.
    """

    boot_ms: float = 405.0
    join_ms: int = 664
    dhcp_ms: int = 892
    tls_ms: float = 550.0
    shared_ms: float = 8.0
    air_ms: int = 4
    module_ms: float = 12.0
    look_ms: float = 1.5
    read_ms: float = 1.5
    kb_ms: float = 0.3
    write_ms: float = 55.0
    slower: float


class Awake(msgspec.Struct, frozen=True):
    """One time awake.

    Attributes:
        boot_ms: The boot.
        awake_ms: All of it, with the boot.
        radio_ms: How long of it the radio was on.
        sleep_ms: How long it sleeps then.
        writes: How often it wrote to its flash.
        loads: How many modules it found on its file system.
        dozed_ms: How long of it everything but the memory was off.
        did: What it did, and when: milliseconds since the wake.
    """

    boot_ms: float
    awake_ms: float
    radio_ms: float
    sleep_ms: float
    writes: int
    loads: int
    dozed_ms: float
    did: tuple[tuple[float, str], ...] = ()


def slower() -> float:
    """Return how many times slower the chip's interpreter is than the desktop's, in seconds of the processor."""

    def once() -> float:
        argv = [*unix().argv, "-c", _LOOP]
        return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout) * 1000 / _ROUNDS  # noqa: S603 - our own loop

    return _ADDITIONS_ON_CHIP_MS / min(once() for _ in range(3))


def flash_image(folder: Path) -> Path:
    """Compile what a board is flashed with, and the stand-in beside it; return the folder of both."""
    build("esp32c3", 1, Ed25519PrivateKey.generate(), folder, "bench")
    beside = folder / "stand-in"
    for source in [*part("desktop").glob("*.py"), *part("desktop").glob("linli_desktop/*.py")]:
        target = beside / source.relative_to(part("desktop"))
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.parent == part("desktop"):
            shutil.copyfile(source, target)
        else:
            argv = [compiler(), "-O3", "-o", str(target.with_suffix(".mpy")), str(source)]
            subprocess.run(argv, check=True)  # noqa: S603 - the compiler of the package
    return folder


@dataclass
class Chip:
    """One node on a battery.

    Attributes:
        folder: Holds its flash (``flash/``) and what outlasts its sleep.
        program: What it is flashed with, of :func:`flash_image`.
        config: Its configuration.
        pace: Its pace.
        heap: Bytes of heap it may have.
        levels: Of its pins, by number; all others are high.
        reason: What wakes it: 4, its timer; 7, a pin.
        said: What it said in its last time awake.
    """

    folder: Path
    program: Path
    config: dict[str, Any]
    pace: Pace
    heap: str = "512k"
    levels: dict[str, int] = field(default_factory=dict)
    reason: int = 4
    said: list[str] = field(default_factory=list, init=False)

    @property
    def flash(self) -> Path:
        """The folder that its program sees as its flash."""
        return self.folder / "flash"

    def program_it(self) -> None:
        """Put program, loader and configuration onto its flash."""
        self.flash.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.program / "files", self.flash / "a", dirs_exist_ok=True)
        shutil.copyfile(self.program / "manifest", self.flash / "a" / "manifest")
        shutil.copytree(self.program / "loader", self.flash, dirs_exist_ok=True)
        state = json.dumps({"active": "a", "trial": None, "tries": 0, "number": 1}).encode()
        (self.flash / "slot").write_bytes(b"%08x" % zlib.crc32(state) + state)
        (self.flash / "node.json").write_text(json.dumps(self.config), encoding="utf-8")

    async def wake(self) -> Awake:
        """Let it be awake once.

        Raises:
            CheckFailed: It ended otherwise than by going to sleep.
        """
        given = {"pace": self.pace, "levels": self.levels, "reason": self.reason}
        (self.folder / "chip.json").write_bytes(msgspec.json.encode(given))
        stand_in = self.program / "stand-in"
        environ = environment(()) | {"MICROPYPATH": f".frozen:{stand_in}"}
        process = await asyncio.create_subprocess_exec(
            *unix().argv, "-X", f"heapsize={self.heap}",
            str(stand_in / "chip.py"), str(self.folder), "c3c3",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environ,
        )  # fmt: skip
        try:
            out, _ = await asyncio.wait_for(process.communicate(), _LIMIT)
        finally:
            if process.returncode is None:
                process.kill()
        self.said = out.decode(errors="replace").splitlines()
        try:
            awake = msgspec.json.decode(self.said[-1] if self.said else "", type=Awake)
        except msgspec.MsgspecError as exc:
            raise CheckFailed("the chip did not go to sleep:\n" + "\n".join(self.said[-20:])) from exc
        (self.folder / "rtc.new").replace(self.folder / "rtc.bin")
        del self.said[-1]
        steps = (line.partition(" ") for line in (self.folder / "trace").read_text(encoding="utf-8").splitlines())
        return msgspec.structs.replace(awake, did=tuple((float(at), what) for at, _, what in steps))
