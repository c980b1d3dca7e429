"""Table ``[nodes]`` of the gateway's configuration: the local broker, and which boards there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_edge.config.table import Table

PORT: Final = 1883
_UID: Final = r"[0-9a-f]{4,32}"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Which nodes there are.

    Attributes:
        host, port: The broker on this machine, on a listener that only this machine reaches.
        boards: By node, the board's own name; empty: whichever comes first is taken, and bound to.
        configs: By node, the file of its configuration, where one is named: ``linli-edge check`` looks at it.
        keys: The folder of the nodes' keys, where one is named; looked at likewise.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    boards: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Path] = field(default_factory=dict)
    keys: Path | None = None


def read_nodes(table: Table, devices: Mapping[str, str], folder: Path) -> NodeSettings | None:
    """Return the settings; ``None`` where there are no nodes.

    Args:
        table: ``[nodes]``.
        devices: The devices there are already, and where each stands: a node is a device of the gateway.
        folder: Where relative paths start.
    """
    host, port = table.text("host", "127.0.0.1"), table.integer("port", PORT, minimum=1, maximum=65535)
    keys = table.text("keys", "")
    boards: dict[str, str] = {}
    configs: dict[str, Path] = {}
    for board in table.tables("boards"):
        name = board.ident("id")
        uid = board.text("board", "", pattern=_UID)
        if name and (first := devices.get(name)):
            board.problem("id", f'"{name}" is taken by {first}', "give the node its own id")
        elif name and name in boards:
            board.problem("id", f'"{name}" is listed twice', "give each node its own id")
        elif uid and uid in boards.values():
            board.problem("board", f'board "{uid}" is listed twice', "a board is one node")
        boards[name] = uid
        if path := board.text("config", ""):
            configs[name] = folder / path
    return NodeSettings(host, port, boards, configs, folder / keys if keys else None) if table.raw else None
