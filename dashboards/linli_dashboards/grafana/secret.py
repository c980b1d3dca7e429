"""Secrets come from a file or a variable, never from the command line, where every user of the machine sees them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError

_VARIABLE: Final = "env:"


def read_secret(source: str, where: str, environment: Mapping[str, str]) -> str:
    """Return the secret that ``source`` names: ``env:NAME``, or the first line of a file.

    Raises:
        ConfigError: There is none. The text never holds what might be a secret typed in place of a file's name.
    """
    if source.startswith(_VARIABLE):
        name = source.removeprefix(_VARIABLE)
        secret = environment.get(name, "").strip()
        if not secret:
            raise ConfigError(where, f"the variable {name[:80]!r} holds nothing", f"export {name[:80]}=… first")
        return secret
    try:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        found = f"no file to read a secret from ({getattr(exc, 'strerror', None) or 'no text'})"
        raise ConfigError(where, found, "name a file whose first line it is, or env:NAME; not the secret") from exc
    if not lines or not lines[0].strip():
        raise ConfigError(where, "the file holds nothing", "write the secret as its first line")
    return lines[0].strip()


def secret_print(secret: str, salt: str) -> str:
    """Return what tells one secret from another, slow to guess from."""
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=9).hex()
