"""Programs in C, compiled where they are needed, once for each version of their source."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from linli_core.errors import LinliError


class NotBuilt(LinliError):
    """A program cannot be compiled here; the text says what is missing."""


def cache_folder() -> Path:
    """Return where compiled programs are kept: ``LINLI_CACHE``, or the user's own cache folder."""
    usual = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    return Path(os.environ.get("LINLI_CACHE", "") or usual / "linli")


def compiled(name: str, source: bytes, options: Sequence[str], remedy: str, cache: Path | None = None) -> Path:
    """Return a program, compiled unless it is there.

    Args:
        name: Its name, without the version.
        source: In C11.
        options: Of the compiler, libraries included.
        remedy: What to do where it cannot be compiled, such as packages to install.
        cache: Where it is kept.

    Raises:
        NotBuilt: There is no C compiler, or a library is missing.
    """
    folder = cache if cache is not None else cache_folder()
    version = hashlib.sha256(source + "\0".join(options).encode()).hexdigest()[:16]
    program = folder / f"{name}-{version}"
    if program.exists():
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotBuilt(f"there is no C compiler: {remedy}")
    folder.mkdir(parents=True, exist_ok=True)
    # A name of its own until it is whole: two that compile at once do not get in each other's way.
    begun = folder / f"{program.name}.{os.getpid()}"
    argv = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-x", "c", "-", "-o", str(begun), *options]
    done = subprocess.run(argv, input=source, capture_output=True, check=False)  # noqa: S603 - our own source
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotBuilt(f"{said[0] if said else 'the compiler failed'}: {remedy}")
    begun.replace(program)
    return program
