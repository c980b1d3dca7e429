"""``tokens.toml``: who may speak at the InfluxDB-shaped doors, what each may see, and as whom it writes.

::

    [[tokens]]
    name = "telegraf-cellar"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    writes_as = "telegraf-cellar"
    reads = { gateways = ["gw-electric"], areas = ["building-3"] }
    devices = { "Cold room 1" = "cold-room-1" }
    maps = [
        { measurement = "modbus", field = "t_air", point = "air_temperature", unit = "Cel", device_tag = "name" },
    ]

The file holds no secret, only what proves one. Secrets are made by ``linli-platform token``, 256 bits of chance, so
that one round of SHA-256 is as good as many. Who may change the file may let himself in, so others must not.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_core.settings import parse_toml
from linli_platform.config import convert
from linli_platform.ingest.line_mapping import FieldMap, Rules, check_maps

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FORBIDDEN_MODE: Final = stat.S_IWGRP | stat.S_IRWXO
"""The file's group may read it (a service's user); change it may its owner only."""


class Reads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token's bearer may see.

    Attributes:
        everything: Whatever there is.
        gateways: All devices of these.
        areas: All devices in these areas and below them.
    """

    everything: bool = False
    gateways: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One who may speak.

    Attributes:
        name: Who it is; the user, where a client gives one (basic authentication, ``u`` and ``p``).
        sha256: SHA-256 of the secret, in hexadecimal digits.
        writes_as: The gateway under whose id its readings are kept; empty if it may not write.
        reads: What it may see; nothing if left out.
        maps: What the fields of its lines mean, where they are not ours.
        devices: Ids of devices by what a tag calls them.
    """

    name: str
    sha256: str
    writes_as: str = ""
    reads: Reads = Reads()
    maps: tuple[FieldMap, ...] = ()
    devices: dict[str, str] = {}

    @property
    def rules(self) -> Rules:
        """How its lines are understood."""
        return Rules(self.writes_as, self.maps, self.devices)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: tuple[Token, ...] = ()


class Tokens:
    """The tokens of one installation."""

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = {token.name: token for token in tokens}

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, secret: str, name: str = "") -> Token | None:
        """Return whose secret this is, in a time that tells nothing of it; ``None`` if nobody's, or not ``name``'s."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        found = None
        for token in self._tokens.values():
            if hmac.compare_digest(digest, token.sha256):
                found = token
        return found if found is not None and name in ("", found.name) else None

    def writers(self) -> dict[str, Rules]:
        """Return how the lines of each that may write are understood, by its name."""
        return {token.name: token.rules for token in self._tokens.values() if token.writes_as}

    def named(self, name: str) -> Token | None:
        """Return the token of this name."""
        return self._tokens.get(name)


def make_secret() -> tuple[str, str]:
    """Return a new secret, to be shown once, and what goes into the file."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).hexdigest()


def load(path: Path) -> Tokens:
    """Return the tokens in a file; :class:`ConfigError` if it cannot be used, or if others could change it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        found = f"cannot be read ({getattr(exc, 'strerror', None) or exc})"
        raise ConfigError(str(path), found, "check influx.tokens, the path and its permissions") from exc
    if mode & _FORBIDDEN_MODE:
        found = f"others may read or change it (mode {stat.S_IMODE(mode):04o})"
        raise ConfigError(str(path), found, f"chmod 600 {path}")
    return parse(text, str(path))


def parse(text: str, where: str) -> Tokens:
    """Return the tokens in a text; ``where`` names it in errors."""
    try:
        tokens = convert(parse_toml(text, where), _File).tokens
    except ConfigError as exc:
        place = exc.where if exc.where.startswith(where) else f"{where}: {exc.where}"
        raise ConfigError(place, exc.found, exc.remedy) from exc
    names: set[str] = set()
    digests: set[str] = set()
    for number, token in enumerate(tokens):
        place = f"{where}: tokens[{number}]"
        if not is_id(token.name) or token.name in names:
            found = "stands twice" if token.name in names else "is no id"
            raise ConfigError(f"{place}.name", f"{token.name!r} {found}", "use lower case, digits and hyphens, once")
        if not _DIGEST.fullmatch(token.sha256) or token.sha256 in digests:
            found = "stands twice" if token.sha256 in digests else "is no SHA-256"
            raise ConfigError(
                f"{place}.sha256", f"{token.sha256[:80]!r} {found}", "make one: linli-platform token NAME"
            )
        if token.writes_as and not is_id(token.writes_as):
            raise ConfigError(
                f"{place}.writes_as", f"{token.writes_as[:80]!r} is no id", "use lower case, digits and hyphens"
            )
        check_maps(token.maps, token.devices, place)
        names.add(token.name)
        digests.add(token.sha256)
    return Tokens(tokens)
