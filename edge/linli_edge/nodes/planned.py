"""The list of nodes that are made one after the other: what they have in common, and each one's own. TOML.

::

    [common]
    interval = 900
    gateway = { host = "192.168.1.10" }

    [[nodes]]
    id = "leak-1"
    place = "B1 泵房"
    sensors = [{ kind = "leak_rope", pin = 3 }]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_edge.nodes.configuration import read_configuration, written
from linli_edge.nodes.pins import UsedPin
from linli_edge.nodes.waking import WakingPin

LONGEST: Final = 60
"""Characters of a place: more does not stand on a label."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One node that is to be made.

    Attributes:
        node: Its name.
        place: Where it goes, for people.
        kinds: Its sensors.
        configuration: As its board is to keep it.
        pins: All pins that it names.
        waking: Those that must wake its board.
    """

    node: str
    place: str
    kinds: tuple[str, ...]
    configuration: bytes
    pins: tuple[UsedPin, ...] = ()
    waking: tuple[WakingPin, ...] = ()


def read_list(path: Path, more: dict[str, Any]) -> list[Planned]:
    """Return the nodes of a list, each checked by the firmware's own rules.

    Args:
        path: The list.
        more: What is added to what all have in common.

    Raises:
        ConfigError: Something in it is wrong; nothing was made yet.
    """
    found = read_configuration(path)
    if unknown := sorted(set(found) - {"common", "nodes"}):
        raise ConfigError(str(path), f"unknown: {', '.join(unknown)}", "there is [common] and [[nodes]]")
    common, nodes = found.get("common", {}), found.get("nodes", [])
    if not isinstance(common, dict) or not isinstance(nodes, list) or not nodes:
        raise ConfigError(str(path), "no list of nodes", "write [common], and [[nodes]] for each")
    planned: list[Planned] = []
    for place, table in enumerate(nodes):
        where = f"{path}: nodes[{place}]"
        if not isinstance(table, dict) or not is_id(str(table.get("id", ""))):
            raise ConfigError(f"{where}.id", "no id of a node", "write lower case, digits and hyphens, 63 at most")
        own = dict(table)
        node, words = str(own.pop("id")), own.pop("place", "")
        if not isinstance(words, str) or len(words) > LONGEST or not words.isprintable():
            raise ConfigError(f"{where}.place", f"found {words!r}", f"write {LONGEST} characters at most, on one line")
        if node in {each.node for each in planned}:
            raise ConfigError(f"{where}.id", f"{node!r} is listed twice", "give each node its own id")
        config = {**common, **own, **_merged(common, own, more)}
        whole = written(config, node, where)
        kinds = tuple(str(sensor["kind"]) for sensor in config["sensors"])
        planned.append(Planned(node, words, kinds, whole.content, whole.pins, whole.waking))
    return planned


def _merged(common: dict[str, Any], own: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return what is made of several: the gateway's fields one by one, networks one after the other."""
    found: dict[str, Any] = {}
    gateways = [table.get("gateway", {}) for table in (common, own, more)]
    if all(isinstance(each, dict) for each in gateways) and any(gateways):
        found["gateway"] = {key: value for each in gateways for key, value in each.items()}
    networks = [*more.get("wifi", []), *(own.get("wifi") or common.get("wifi") or [])]
    if networks:
        found["wifi"] = networks
    return found
