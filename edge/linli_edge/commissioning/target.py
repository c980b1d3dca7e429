"""Which line a command works on: one of a configuration, or one written on the command line."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from linli_core.errors import ConfigError
from linli_edge.config.gateway import load_config
from linli_edge.drivers.modbus.settings import LinkSettings as ModbusLink
from linli_edge.transport.settings import SerialSettings, TcpSettings, TransportSettings

MODBUS: Final = "modbus"
_TCP_PORT: Final = 502
_REMEDY: Final = "write /dev/serial/by-id/…, tcp://HOST:502 or rtu+tcp://HOST:PORT; or --config FILE --link ID"


@dataclass(frozen=True, slots=True)
class Target:
    """A line to be examined.

    Attributes:
        name: What the person called it.
        protocol: The driver that would read it.
        transport: How its bytes move.
        framing: How frames stand on it (``rtu``, ``tcp``); empty where the protocol has one way only.
        devices: Unit id (or address) of each configured device, by its id.
        reads: A read that each configured unit answers, by unit id: function, address, count.
        given: Whether the speed and the parity were said rather than assumed.
    """

    name: str
    protocol: str
    transport: TransportSettings
    framing: str = ""
    devices: Mapping[str, int] = field(default_factory=dict)
    reads: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    given: bool = False


def setting_name(transport: TransportSettings) -> str:
    """Return what tells a line's settings apart, without the line's own long name: ``9600 8E1``."""
    return (
        transport.place.removeprefix(f"{transport.path} ") if isinstance(transport, SerialSettings) else transport.place
    )


def parse_link(text: str, protocol: str = MODBUS) -> Target:
    """Return the line that a text on the command line names.

    Raises:
        ConfigError: It names none.
    """
    if text.startswith("/"):
        return Target(text, protocol, SerialSettings(text, 9600, "even"), "rtu")
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in {"tcp", "rtu+tcp"}:
        raise ConfigError("LINK", f'found "{text}"', _REMEDY)
    parts = urlsplit(text)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigError("LINK", f'found "{text}" ({exc})', _REMEDY) from None
    if not host or parts.path not in {"", "/"} or parts.query or parts.username:
        raise ConfigError("LINK", f'found "{text}"', _REMEDY)
    if scheme == "rtu+tcp" and port is None:
        raise ConfigError("LINK", f'"{text}" names no port', "a converter has no usual one; write rtu+tcp://HOST:PORT")
    framing = "rtu" if scheme == "rtu+tcp" else "tcp"
    return Target(text, protocol, TcpSettings(host, port or _TCP_PORT), framing)


def configured(path: Path, link: str | None) -> Target:
    """Return a line of a configuration; ``link`` may be left out where there is only one.

    Raises:
        ConfigError: The configuration is wrong, or has no such link.
    """
    config = load_config(path)
    known = {settings.id: settings for settings in config.links}
    if link is None:
        if len(known) > 1:
            raise ConfigError("--link", f"{path} has {len(known)} links", f"name one of {', '.join(known)}")
        link = next(iter(known))
    if link not in known:
        near = difflib.get_close_matches(link, known, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
        raise ConfigError("--link", f'no link is called "{link}"', hint)
    settings = known[link]
    transport = getattr(settings.config, "transport", None)
    if not isinstance(transport, SerialSettings | TcpSettings):
        raise ConfigError("--link", f'link "{link}" is no serial line and no TCP converter', "name another link")
    modbus = settings.config.devices if isinstance(settings.config, ModbusLink) else ()
    devices = {device.device: device.unit for device in modbus}
    reads = {
        device.unit: (device.points[0].table.function, device.points[0].address, device.points[0].count)
        for device in modbus
        if device.points
    }
    framing = getattr(settings.config, "framing", "")
    return Target(link, settings.spec.name, transport, framing, devices, reads, given=True)


def resolve(link: str | None, config: Path | None, link_id: str | None, protocol: str = MODBUS) -> Target:
    """Return the line that the arguments of a command name: ``LINK``, or ``--config FILE [--link ID]``."""
    if config is not None:
        if link is not None:
            raise ConfigError("LINK", f'both "{link}" and --config are given', "leave one of them out")
        return configured(config, link_id)
    if link is None:
        raise ConfigError("LINK", "missing", _REMEDY)
    return parse_link(link, protocol)
