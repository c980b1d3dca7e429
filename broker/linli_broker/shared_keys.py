"""The file of shared keys: what each node and the broker hold both, so that a handshake needs no certificate.

A line for each name, as Mosquitto reads it: the name, a colon, the key in hexadecimal. Whoever reads it can speak as
any of them: it is readable by its owner alone, and no key of it is ever shown, in an error either.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError
from linli_core.model import is_id

LEAST_BYTES: Final = 16
MOST_BYTES: Final = 48
"""Longer ones MicroPython's mbedTLS does not take."""
MODE: Final = 0o600

_HEAD: Final = "# Shared keys of nodes (linli-edge node provision). Whoever has one speaks as its node."
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LINES: Final = "write lines of NAME:KEY, the key in hexadecimal; linli-edge node provision writes them"
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def render(keys: Mapping[str, bytes]) -> str:
    """Return the file of some keys, in alphabetical order."""
    return "\n".join([_HEAD, *(f"{name}:{keys[name].hex()}" for name in sorted(keys))]) + "\n"


def parse(content: str, path: str) -> dict[str, bytes]:
    """Return the keys in a file's content, by name.

    Raises:
        ConfigError: A line is none of a key; it says which one, and shows nothing of it but the name.
    """
    keys: dict[str, bytes] = {}
    # At line feeds only, as Mosquitto does: another end of a line would be a part of the key there.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        where = f"{path}: line {number}"
        name, colon, key = line.partition(":")
        if not colon or not is_id(name):
            # Not shown: it may be a key alone.
            raise ConfigError(where, "begins with no id of a node", _LINES)
        if name in keys:
            raise ConfigError(where, f"{name!r} is listed twice", "keep one of its lines")
        if not _HEX.fullmatch(key):
            raise ConfigError(where, f"the key of {name!r} is no hexadecimal", _LINES)
        keys[name] = bytes.fromhex(key)
        if not LEAST_BYTES <= len(keys[name]) <= MOST_BYTES:
            raise ConfigError(
                where,
                f"the key of {name!r} has {len(keys[name])} bytes",
                f"give it {LEAST_BYTES} to {MOST_BYTES}; linli-edge node provision makes one of 32",
            )
    return keys


def read(path: Path) -> dict[str, bytes]:
    """Return the keys in a file.

    Raises:
        ConfigError: It cannot be read, others can read it, or a line is none of a key.
    """
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read()
        text = content.decode("ascii")
    except OSError as exc:
        makes = "linli-edge node keys --shared makes it"
        remedy = makes if isinstance(exc, FileNotFoundError) else "let the user who reads it own it"
        raise ConfigError(str(path), f"cannot be read ({exc.strerror})", remedy) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), "found bytes that are no text", _LINES) from exc
    if mode & _OTHERS:
        raise ConfigError(str(path), "holds keys, and others may read or write it", f"chmod 600 {path}")
    return parse(text, str(path))
