"""A node's configuration before it goes to its board: read, completed, and checked by the firmware's own rules.

The rules are the firmware's (``linli_node.config``, ``linli_app.sensors.fields``, ``linli_app.fitting``): modules
without a pin, a socket or a clock, which run here as they run there, so that a mistake is told before anybody plugs a
board in.
"""

import importlib
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from linli_core.errors import ConfigError
from linli_edge.nodes.build import sources
from linli_edge.nodes.pins import UsedPin, used_pins
from linli_edge.nodes.waking import WakingPin, waking_pins

_PARTS: Final = ("lib", "node")
_RIGHT: Final = "its fields are in firmware/README.md"


def read_configuration(path: Path) -> dict[str, Any]:
    """Return what somebody wrote, JSON or TOML.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        content = path.read_bytes()
        found = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            str(path), f"no configuration: {exc}", "write JSON, or TOML into a file called .toml"
        ) from exc
    if not isinstance(found, dict):
        raise ConfigError(str(path), "no configuration: no object", _RIGHT)
    return found


def with_wifi(config: dict[str, Any], ssid: str, password: str) -> dict[str, Any]:
    """Return a configuration that knows one network more, and tries it first."""
    rest = [each for each in config.get("wifi", []) if not isinstance(each, dict) or each.get("ssid") != ssid]
    return {**config, "wifi": [{"ssid": ssid, "password": password}, *rest]}


@dataclass(frozen=True, slots=True)
class Written:
    """A node's configuration as it was checked.

    Attributes:
        content: As its board keeps it.
        points: What it reads, below its own name.
        interval: How often, in seconds.
        interval_low: How often with a battery near its end; 0 on mains.
        power: ``battery`` or ``mains``.
        host, port: Where it looks for the gateway's local broker.
        shared_port: The port at which it does so with a shared key.
        pins: All that it names.
        waking: Those that must wake its board.
        is_measured: Whether it measures the battery that it is on.
    """

    content: bytes
    points: tuple[str, ...]
    interval: int
    interval_low: int
    power: str
    host: str
    port: int
    shared_port: int
    pins: tuple[UsedPin, ...]
    waking: tuple[WakingPin, ...]
    is_measured: bool


def written(config: dict[str, Any], node: str, where: str) -> Written:
    """Return what a node's configuration says.

    Args:
        config: What was written.
        node: The node's name.
        where: Told in errors: the file.

    Raises:
        ConfigError: It is wrong; a line for each mistake, none of which shows a password.
    """
    if config.get("node", node) != node:
        raise ConfigError(f"{where}: node", f"found {config['node']!r}", f"take it away, or give {node!r}")
    content = json.dumps({**config, "node": node}, ensure_ascii=False).encode()
    module, fields = firmware("linli_node.config"), firmware("linli_app.sensors.fields")
    mistaken = firmware("linli_node.errors").ConfigError
    try:
        whole = module.load(content, fields.FIELDS, fields.ACTIONS)
    except mistaken as exc:
        lines = [_hidden(line) for line in str(exc).splitlines()]
        raise ConfigError(f"{where}, {node}", "\n".join(["this is wrong:", *lines]), _RIGHT) from None
    fitting = firmware("linli_app.fitting")
    if twice := fitting.told(fitting.doubled(whole)):
        raise ConfigError(f"{where}, {node}", "\n".join(["this is wrong:", *twice]), _RIGHT)
    points = []
    for sensor in whole["sensors"]:
        quantities = (sensor["quantity"],) if "quantity" in sensor else fields.MEASURED[sensor["kind"]]
        channel = "" if sensor["channel"] < 0 else f".c{sensor['channel']}"
        points += [f"{quantity}{channel}" for quantity in quantities]
    gateway, interval, low = whole["gateway"], whole["interval"], 0
    if whole["power"] == "battery":
        # As a board reckons it that comes out of a breakdown of its supply.
        low = interval * int(firmware("linli_node.rests").Rests(_Nothing(), broke_down=True).rarely)
    where_to, pins = (gateway["host"], gateway["port"], gateway["shared_port"]), (used_pins(whole), waking_pins(whole))
    measured = whole["power"] == "battery" and whole["battery_pin"] >= 0
    return Written(content, tuple(points), interval, low, whole["power"], *where_to, *pins, measured)


class _Nothing:
    """Memory after a power cut."""

    def get(self) -> bytes:
        return b""


def _hidden(line: str) -> str:
    """Return a line about a mistake, without what was found where it is a secret."""
    return (
        line
        if ".password: found" not in line
        else f"{line.partition(': found')[0]}: write a text of 0 to 63 characters"
    )


def firmware(name: str) -> Any:  # Any: a module of another language's dialect
    """Return a module of the firmware that has neither pins nor a clock."""
    if name not in sys.modules:
        folders = [str(sources() / part) for part in _PARTS]
        own = ModuleType("micropython")
        own.const = lambda value: value  # type: ignore[attr-defined]
        sys.path[:0] = folders
        sys.modules["micropython"] = own
        # What Python would keep of them has no place beside what goes to a board.
        kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            importlib.import_module(name)
        finally:
            sys.dont_write_bytecode = kept
            del sys.modules["micropython"]
            for folder in folders:
                sys.path.remove(folder)
    return sys.modules[name]
