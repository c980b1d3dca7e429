"""What the settings of broker and platform have in common: TOML that says where it is wrong, and what loopback is."""

import ipaddress
import tomllib

from linli_core.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine only, without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_toml(text: str, where: str) -> dict[str, object]:
    """Return a TOML text as a table, or raise :class:`ConfigError`; ``where`` names the text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, f"no TOML: {exc}", "correct this line or the one before it") from exc
