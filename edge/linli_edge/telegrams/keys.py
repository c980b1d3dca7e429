"""The keys that encrypted telegrams are opened with, as a command line names them: one for all, or by meter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.errors import ConfigError
from linli_edge.telegrams.hexadecimal import Unreadable, parse_hex

SIZES: Final = (16, 24, 32)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and authentication keys (DLMS needs both), each for one meter or for all.

    Attributes:
        encryption, authentication: By the meter's number as its label shows it; under the empty name for all others.
    """

    encryption: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    authentication: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def key(self, meter: str = "") -> bytes | None:
        """Return the key of a meter; ``None`` if there is none for it."""
        return self.encryption.get(meter.upper(), self.encryption.get(""))

    def authentication_key(self, meter: str = "") -> bytes | None:
        """Return the authentication key of a meter; ``None`` if there is none for it."""
        return self.authentication.get(meter.upper(), self.authentication.get(""))


NO_KEYS: Final = Keys()


def read_keys(encryption: Iterable[str], authentication: Iterable[str]) -> Keys:
    """Return the keys that ``--key`` and ``--auth-key`` give: ``HEX`` or ``METER=HEX``.

    Raises:
        ConfigError: One of them is no key, or a meter has two.
    """
    return Keys(_read("--key", encryption), _read("--auth-key", authentication))


def _read(option: str, texts: Iterable[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for text in texts:
        meter, found, digits = text.rpartition("=")
        name = meter.strip().upper()
        if found and not name:
            raise ConfigError(option, "there is no meter before the =", "write METER=HEX, or the key alone for all")
        if name in keys:
            whose = f"meter {name}" if name else "all meters"
            raise ConfigError(option, f"there are two keys for {whose}", "give METER=HEX for each meter")
        keys[name] = _key(option, digits)
    return keys


def _key(option: str, digits: str) -> bytes:
    try:
        key = parse_hex(digits)
    except Unreadable as exc:
        raise ConfigError(option, str(exc), "give the key as hexadecimal digits") from exc
    if len(key) not in SIZES:
        raise ConfigError(option, f"found {len(key)} bytes", "give 16, 24 or 32 bytes as hexadecimal digits")
    return key
