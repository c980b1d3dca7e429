"""Who carries out a command, whichever door it came through: writes go to the desk, what is said to nodes to these.

That somebody has heard a node's call (``heard``) needs no ``[commands]``: it writes to no device, may be said any
number of times, and a call that began later is not touched by it. What it does is to end a light's blinking.
"""

from typing import Final, Protocol

from linli_core.errors import WriteRefusal
from linli_core.instant import Instant
from linli_core.wire.command import HEARD, Command, Reply
from linli_edge.commands.desk import CommandDesk

LOCAL: Final = "local"
"""The door of the person at the gateway."""


class Calls(Protocol):
    """The nodes, as far as they call for somebody."""

    async def heard(self, node: str, until: Instant | None, by: str, via: str, /) -> Reply:
        """Take in that somebody has heard a node's call."""
        ...


class Front:
    """Takes the commands of one gateway; what it has no desk or no nodes for is refused."""

    def __init__(self, desk: CommandDesk | None, calls: Calls | None) -> None:
        self._desk = desk
        self._calls = calls

    async def handle(self, name: str, command: Command, via: str) -> Reply | None:
        """Have a command carried out; ``None`` where its answer comes by itself (:meth:`CommandDesk.handle`)."""
        if command.name != HEARD:
            if self._desk is None:
                return _refused(WriteRefusal.DISABLED, "commands are switched off in this gateway's configuration")
            return await self._desk.handle(name, command, via)
        if self._calls is None:
            return _refused(WriteRefusal.UNKNOWN_POINT, "this gateway has no nodes")
        node, until = command.args.get("node"), command.args.get("until")
        is_time = isinstance(until, int) and not isinstance(until, bool)
        # Only who stands before the node means whatever it says at that moment.
        if not isinstance(node, str) or not (is_time or (until is None and via == LOCAL)):
            return _refused(WriteRefusal.BAD_VALUE, 'a call is named by "node" and "until", a time in microseconds')
        return await self._calls.heard(node, until if isinstance(until, int) else None, command.by or "unknown", via)


def _refused(reason: WriteRefusal, error: str) -> Reply:
    return Reply(ok=False, result={"state": "refused", "reason": reason.value}, error=error)
