"""The broker's settings: what an operator writes in TOML, checked before anything is touched.

::

    engine = "auto"                 # mosquitto | embedded | auto
    data = "var/broker"

    [[listeners]]
    address = "127.0.0.1:1883"      # loopback: open to every program on this machine

    [[listeners]]
    address = "0.0.0.0:8883"        # beyond it: only with TLS, and only for those named under [access]
    tls = { ca = "pki/ca.pem", certificate = "pki/broker.pem", key = "pki/broker.key" }

    [[listeners]]
    address = "0.0.0.0:8885"        # TLS without certificates: each node, and the broker, hold the node's key
    shared_keys = "pki/shared.keys"

    [access]
    platform = "linli-platform"     # common name of the platform's certificate
    gateways = ["gw-electric"]      # common names of the gateways' certificates, which are their ids
    nodes = []                      # on a gateway: its boards, likewise
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_core.settings import is_loopback, parse_toml

DEFAULT_ADDRESS: Final = "127.0.0.1:1883"
DEFAULT_DATA: Final = "var/broker"

EngineName = Literal["auto", "mosquitto", "embedded"]
MqttVersion = Literal["3.1.1", "5"]

_PLACE: Final = re.compile(r" - at `\$\.?(?P<where>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>.*)`")


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of a TLS listener, in PEM: the CA that signs the clients, our certificate, its key."""

    ca: str
    certificate: str
    key: str


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One address the broker listens on.

    Attributes:
        address: ``HOST:PORT``, an IPv6 host in brackets.
        mqtt: The version the embedded broker speaks there (one for each port); Mosquitto speaks both on every port.
        tls: Present where clients must show a certificate.
        shared_keys: Present where nodes prove instead, over TLS too, that they hold their key: the file of all of them.
    """

    address: str = DEFAULT_ADDRESS
    mqtt: MqttVersion = "3.1.1"
    tls: Tls | None = None
    shared_keys: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether anybody who reaches it may connect."""
        return self.tls is None and self.shared_keys is None

    @property
    def host(self) -> str:
        """The host without brackets."""
        return split_address(self.address)[0]

    @property
    def port(self) -> int:
        """The TCP port."""
        return split_address(self.address)[1]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the broker accepts and keeps; beyond it a client is cut off or a queued message dropped, never the broker.

    Attributes:
        connections: Clients at one time.
        payload_bytes: Largest message; a client that sends a larger one is cut off.
        inflight: QoS 1 messages under way to one client without its acknowledgement.
        queued_messages, queued_bytes: What waits for one slow or absent client.
    """

    connections: int = 2_000
    payload_bytes: int = 1_048_576
    inflight: int = 500
    queued_messages: int = 100_000
    queued_bytes: int = 67_108_864


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may connect over TLS, by the common name of their certificate; a node also by the name of its shared key.

    Attributes:
        platform: Reads everything, writes acknowledgements, wanted configuration and commands.
        gateways: Each writes and reads its own topics only; a name that is not listed may do nothing.
        nodes: Boards at a gateway's local broker; each writes and reads its own topics only.
    """

    platform: str = "linli-platform"
    gateways: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings; every one has a default that is safe on one machine."""

    engine: EngineName = "auto"
    data: str = DEFAULT_DATA
    listeners: tuple[Listener, ...] = (Listener(),)
    limits: Limits = Limits()
    access: Access = Access()

    @property
    def secured(self) -> bool:
        """Tell whether any listener asks who connects."""
        return not all(listener.is_open for listener in self.listeners)


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; ``ValueError`` says what is wrong with it."""
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit():
        raise ValueError(f"{text!r} is no HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} is no HOST:PORT (an IPv6 host stands in brackets)")
    return host, int(port)


def load(path: Path) -> Settings:
    """Return the settings in a file; raise :class:`ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), "found bytes that are no UTF-8", "save the file as UTF-8") from exc
    return parse(text, str(path))


def parse(text: str, where: str) -> Settings:
    """Return the settings in a TOML text; ``where`` names it in errors."""
    table = parse_toml(text, where)
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as exc:
        raise _explained(str(exc)) from exc
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise :class:`ConfigError` for the first setting that cannot be used; looks at nothing outside ``settings``."""
    if not settings.listeners:
        raise ConfigError("listeners", "found none", f'write [[listeners]] with address = "{DEFAULT_ADDRESS}"')
    seen: set[tuple[str, int]] = set()
    for number, listener in enumerate(settings.listeners):
        _check_listener(listener, f"listeners[{number}]", seen)
    _check_limits(settings.limits)
    _check_access(settings)


def _check_listener(listener: Listener, where: str, seen: set[tuple[str, int]]) -> None:
    place = f"{where}.address"
    try:
        host, port = split_address(listener.address)
    except ValueError as exc:
        raise ConfigError(place, str(exc), f"write a host, a colon and a port, such as {DEFAULT_ADDRESS}") from exc
    if port == 0:
        raise ConfigError(place, "port 0 would be another one at every start", "give the port gateways are told, 1883")
    if port > 65_535:
        raise ConfigError(place, f"found port {port}", "choose one from 1 to 65535")
    if (host, port) in seen:
        raise ConfigError(place, f"{listener.address} is listed twice", "give each listener its own port")
    seen.add((host, port))
    if listener.tls is not None and listener.shared_keys is not None:
        raise ConfigError(
            f"{where}.shared_keys",
            "this listener asks for certificates (tls)",
            "write one listener for certificates and another, with a port of its own, for shared keys",
        )
    if listener.shared_keys == "":
        raise ConfigError(
            f"{where}.shared_keys", "found no file", "name the file that linli-edge node keys --shared made"
        )
    if listener.is_open and not is_loopback(host):
        raise ConfigError(
            place,
            f"{listener.address} can be reached from other machines, without TLS and without knowing who connects",
            "listen on 127.0.0.1, or give this listener tls = { ca, certificate, key } and name the gateways "
            "under [access] (docs/operator.md)",
        )


def _check_limits(limits: Limits) -> None:
    # The upper bounds are what fits the engines' own fields: 32 bits, and 256 MiB for a packet (MQTT 3.1.1 §2.2.3).
    bounds = {
        "connections": (1, 100_000),
        "payload_bytes": (1_024, 268_000_000),
        "inflight": (1, 65_535),
        "queued_messages": (1, 2_000_000_000),
        "queued_bytes": (65_536, 4_000_000_000),
    }
    for name, (lowest, highest) in bounds.items():
        found = getattr(limits, name)
        if not lowest <= found <= highest:
            raise ConfigError(f"limits.{name}", f"found {found}", f"choose one from {lowest} to {highest}")


def _check_access(settings: Settings) -> None:
    access = settings.access
    seen: set[str] = set()
    for kind, names in (("gateway", access.gateways), ("node", access.nodes)):
        for number, name in enumerate(names):
            where = f"access.{kind}s[{number}]"
            if not is_id(name):
                raise ConfigError(where, f"{name!r} is no {kind} id", "use lower case, digits and hyphens, 63 at most")
            if name == access.platform:
                raise ConfigError(where, f"{name!r} is the platform's name too", f"give the {kind} another name")
            if name in seen:
                raise ConfigError(where, f"{name!r} is listed twice", f"list each {kind} once")
            seen.add(name)
    if not is_id(access.platform):
        raise ConfigError(
            "access.platform", f"{access.platform!r} is no id", "use lower case, digits and hyphens, 63 at most"
        )


def _explained(message: str) -> ConfigError:
    """Say what msgspec found the way our other errors do."""
    place = _PLACE.search(message)
    where = place["where"] if place else ""
    found = message[: place.start()] if place else message
    if unknown := _UNKNOWN.fullmatch(found):
        key, known = unknown["key"], _keys_at(where)
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
        return ConfigError(f"{where}.{key}".lstrip("."), "unknown key", remedy)
    if missing := _MISSING.fullmatch(found):
        return ConfigError(f"{where}.{missing['key']}".lstrip("."), "missing", "add it (see docs/operator.md)")
    if found.startswith("Invalid enum value"):
        options = {"engine": get_args(EngineName), "mqtt": get_args(MqttVersion)}[where.rpartition(".")[2]]
        return ConfigError(where, found[0].lower() + found[1:], f"choose one of {', '.join(options)}")
    return ConfigError(where, found[0].lower() + found[1:], "write what is expected there")


def _keys_at(where: str) -> Sequence[str]:
    kinds: dict[str, type[msgspec.Struct]] = {"listeners": Listener, "tls": Tls, "limits": Limits, "access": Access}
    last = re.sub(r"\[[^]]*\]", "", where).rpartition(".")[2]
    return kinds.get(last, Settings).__struct_fields__
