"""The key pair of backups, in the age format: X25519, a recipient to encrypt for and an identity to open with.

The platform needs only the recipient to make backups, so the identity may lie in a safe; the drill, which opens them
again by itself, needs it.
"""

import os
from pathlib import Path
from typing import Final

from pyrage import IdentityError, RecipientError, x25519

from linli_core.errors import ConfigError

_COMMENT: Final = "#"


def make_identity(path: Path) -> str:
    """Write a new identity into a file that only its owner may read; return its recipient.

    Raises:
        ConfigError: The file exists (it may be the only key to older backups), or cannot be written.
    """
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(str(path), "there is a file", "keep it: it may be the only key to older backups") from None
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be written ({exc.strerror})", "choose another place") from exc
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"# public key: {recipient}\n{identity}\n")
    return recipient


def read_identity(path: Path, where: str) -> x25519.Identity:
    """Return the identity in a file; raise :class:`ConfigError` if there is none."""
    for line in _lines(path, where):
        try:
            return x25519.Identity.from_str(line)
        except IdentityError:
            break
    raise ConfigError(where, f"{path} holds no age identity", "name the file that 'linli-platform backup --key' wrote")


def read_recipient(text: str, where: str) -> x25519.Recipient:
    """Return the recipient that a setting names (``age1…``); raise :class:`ConfigError` if it is none."""
    try:
        return x25519.Recipient.from_str(text)
    except RecipientError as exc:
        raise ConfigError(
            where, f"{text[:80]!r} is no age recipient", "copy the line age1… that 'backup --key' printed"
        ) from exc


def _lines(path: Path, where: str) -> list[str]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(where, f"{path} cannot be read ({exc})", "check the path and its permissions") from exc
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_COMMENT)]
