"""Table ``[nodes]`` of the gateway's configuration: the local broker, and which boards there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """

    host: str = "127.0.0.1"
    port: int = PORT
    boards: Mapping[str, str] = field(default_factory=dict)


def read_nodes(table: Table, devices: Mapping[str, str]) -> NodeSettings | None:
    """Return the settings; ``None`` where there are no nodes.

    Args:
        table: ``[nodes]``.
        devices: The devices there are already, and where each stands: a node is a device of the gateway.
    """
    host, port = table.text("host", "127.0.0.1"), table.integer("port", PORT, minimum=1, maximum=65535)
    boards: dict[str, str] = {}
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
    return NodeSettings(host, port, boards) if table.raw else None
