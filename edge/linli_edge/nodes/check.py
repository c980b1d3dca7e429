"""What ``linli-edge check`` says of nodes: what each reads and how often, what is wrong or missing around them."""

import socket
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge.config.units import show_duration
from linli_edge.listing import listing
from linli_edge.nodes.configuration import Written, read_configuration, written
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.pins import problems
from linli_edge.nodes.settings import NodeSettings
from linli_edge.nodes.shared import SharedKeys, unseen
from linli_edge.nodes.waking import ESP32, NAMES

_WITHIN_S: Final = 1.0
_ANY: Final = "any, once"
_UNKNOWN: Final = "?"
_HEAD: Final = ("node", "board", "points", "interval", "power", "battery low")
_SAVING: Final = "battery low: below 2.2 V a node reads so rarely, says so, and sends nothing until its cells are new"
_UNMEASURED: Final = (
    "node {}: is on a battery that nobody measures: it becomes silent without a word. Put two equal resistors "
    "across the cells, their middle to a pin with a converter, and write battery_pin (docs/nodes.md)"
)
_PICO: Final = "rp2"
_BROKERS: Final = ("ca.pem", "broker.pem", "broker.key")


def summary(settings: NodeSettings) -> list[str]:
    """Return what there is to say of the nodes of a gateway, for people. Knocks at the local broker's port."""
    found, warnings = {}, _broker(settings)
    for node, path in settings.configs.items():
        try:
            found[node] = written(read_configuration(path), node, str(path))
        except ConfigError as exc:
            warnings.append(f"node {node}: {' '.join(str(exc).split())}")
    rows = [_row(node, board, found.get(node)) for node, board in settings.boards.items()]
    given = None
    warnings += _ports(found)
    if settings.keys is not None:
        try:
            warnings += _missing(settings.keys)
            given = GivenNames(settings.keys)
            warnings += _names(settings, given) + _shared(settings, settings.keys, given, found)
        except ConfigError as exc:
            warnings.append(f"nodes: {' '.join(str(exc).split())}")
    warnings += [
        _UNMEASURED.format(node) for node, config in found.items() if config.interval_low and not config.is_measured
    ]
    warnings += [warning for node, config in found.items() for warning in _pins(node, config, given)]
    return [
        "",
        f"nodes: {len(rows)}, at the local broker {settings.host}:{settings.port}",
        *([listing(_HEAD, rows, right=(2,))] if rows else []),
        *([_SAVING] if any(config.interval_low for config in found.values()) else []),
        *(f"warning: {warning}" for warning in warnings),
    ]


def _row(node: str, board: str, config: Written | None) -> tuple[str, ...]:
    if config is None:
        return (node, board or _ANY, *[_UNKNOWN] * 4)
    low = show_duration(config.interval_low * SECOND) if config.interval_low else ""
    interval = show_duration(config.interval * SECOND)
    return (node, board or _ANY, str(len(config.points)), interval, config.power, low)


def _pins(node: str, config: Written, given: GivenNames | None) -> list[str]:
    """Return what to say of pins that a node's board has not, or that do not wake it.

    Where its kind is not known, only what is for no kind is told: on a battery, of those that sleep deeply.
    """
    kind = "" if given is None else given.kind_of(node)
    if kind:
        return [f"node {problem.told('en')}" for problem in problems(config.pins, config.waking, kind)]
    kinds = ESP32 if config.power == "battery" else (*ESP32, *(each for each in NAMES if each not in ESP32))
    by_kind = [problems(config.pins, config.waking, each) for each in kinds]
    return [f"node {problem.told('en')}" for problem in by_kind[0]] if all(by_kind) else []


def _broker(settings: NodeSettings) -> list[str]:
    if reason := _silent(settings.host, settings.port):
        where = f"{settings.host}:{settings.port}"
        remedy = "start it (linli-broker serve, docs/nodes.md), or put its port right"
        return [f"nodes: the local broker at {where} does not answer ({reason}): {remedy}"]
    return []


def _silent(host: str, port: int) -> str:
    """Return why nothing answers there; empty if something does."""
    try:
        socket.create_connection((host, port), _WITHIN_S).close()
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def _ports(found: dict[str, Written]) -> list[str]:
    """Return what to say of nodes that look for the gateway in different places: one of them is mistaken."""
    places: dict[str, list[str]] = {}
    for node, config in found.items():
        places.setdefault(f"{config.host}:{config.port}", []).append(node)
    if len(places) < 2:
        return []
    told = "; ".join(f"{', '.join(nodes)} at {place}" for place, nodes in places.items())
    return [f"nodes look for this gateway in different places ({told}): is that meant?"]


def _missing(folder: Path) -> list[str]:
    try:
        missing = [name for name in _BROKERS if not (folder / name).is_file()]
    except PermissionError as exc:
        raise unseen(folder) from exc
    return [f"nodes: {folder} has no {', '.join(missing)}: linli-edge node keys --keys {folder}"] if missing else []


def _names(settings: NodeSettings, given: GivenNames) -> list[str]:
    warnings = []
    for node, board in settings.boards.items():
        held = given.board_of(node)
        if board and held and held != board:
            warnings.append(f"node {node}: was given to board {held}, and [[nodes.boards]] says {board}")
        elif given.nodes and not held:
            warnings.append(f"node {node}: no board was given its name yet: linli-edge node provision {node}")
    strange = [node for node in given.nodes if node not in settings.boards]
    return warnings + [
        f"node {node}: is on board {given.board_of(node)}, and not listed in [[nodes.boards]]: it is refused"
        for node in strange
    ]


def _shared(settings: NodeSettings, folder: Path, given: GivenNames, found: dict[str, Written]) -> list[str]:
    """Return what to say of shared keys, where they are given: who lacks one, who should have none, who takes them."""
    shared = SharedKeys(folder)
    nodes = shared.nodes
    if not shared.exists:
        return []
    on_battery = {node: config for node, config in found.items() if config.power == "battery"}
    warnings = [
        f"node {node}: is on a battery and has no shared key; each delivery costs it half a second of computing: "
        f"linli-edge node provision {node} (a board with MicroPython before 1.29 stays with its certificate)"
        for node in on_battery
        # What was not made yet is told already, and a Pico's firmware speaks no TLS with shared keys.
        if node not in nodes and given.board_of(node) and given.kind_of(node) != _PICO
    ]
    warnings += [
        f"node {node}: has a shared key, and is not listed in [[nodes.boards]]: linli-edge node keys {node} --off"
        for node in nodes
        if node not in settings.boards
    ]
    for port in sorted({config.shared_port for node, config in on_battery.items() if node in nodes}):
        if reason := _silent(settings.host, port):
            warnings.append(
                f"nodes: nothing takes shared keys at {settings.host}:{port} ({reason}): give the local broker a "
                f"listener with shared_keys there (docs/nodes.md); nodes show their certificates meanwhile"
            )
    return warnings
