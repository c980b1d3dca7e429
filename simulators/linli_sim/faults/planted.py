"""``python -m linli_sim.faults.planted BUG linli-edge|linli-platform …``: a program with a bug the bench must find.

A bench that never fails proves nothing. The bugs are those that make others' systems lose data.
"""

import asyncio
import sqlite3
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.outbox.store import LogStore
from linli_platform.ingest.worker import Ingest

if TYPE_CHECKING:
    from linli_edge.outbox.message import StoredMessage

_LATER: Final = 0.3
"""Seconds by which the bugs' windows are widened, so that a short run meets them."""


def acknowledge_before_commit() -> None:
    """Plant it in the platform: what has been received counts as kept."""
    commit = Ingest._commit_stubbornly  # noqa: SLF001 - a bug goes where it hurts

    async def hasty(self: Ingest, pending: Any, marks: dict[str, bytes] | None = None) -> bool:
        for gateway, epochs in pending.seqs.items():
            for epoch, seqs in epochs.items():
                self._admission.sender(gateway).receiver.committed(epoch, seqs)
        self._owe(pending.touched)
        self._send_acks()
        await asyncio.sleep(_LATER)
        return await commit(self, pending, marks)

    Ingest._commit_stubbornly = hasty  # type: ignore[method-assign]  # noqa: SLF001
    _let_go_at_once()


def _let_go_at_once() -> None:
    """Have the gateway's log forget what was acknowledged: what it still keeps would mend the platform's bug."""
    begin, commit = LogStore.__init__, LogStore.commit

    def short(self: LogStore, connection: sqlite3.Connection, limits: OutboxLimits) -> None:
        begin(self, connection, replace(limits, max_age=0))

    def eager(self: LogStore, *messages: Any, **more: Any) -> Any:
        self._aged_at = None  # looked for with each commit, not once a minute
        return commit(self, *messages, **more)

    LogStore.__init__ = short  # type: ignore[method-assign]
    LogStore.commit = eager  # type: ignore[method-assign]


def delete_at_puback() -> None:
    """Plant it in the gateway: what the broker has taken is deleted."""
    read = Outbox.read

    async def forgetful(self: Outbox, seqs: list[int]) -> "list[StoredMessage]":
        messages = await read(self, seqs)

        def delete() -> None:
            connection = self._open_store._connection  # noqa: SLF001
            connection.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq in seqs])

        await self._work(delete)
        for seq in seqs:
            self.sender.acked.add(seq, seq)
            self._recent.pop(seq, None)
        return messages

    Outbox.read = forgetful  # type: ignore[method-assign]


BUGS: Final = {"acknowledge-before-commit": acknowledge_before_commit, "delete-at-puback": delete_at_puback}
"""What can be planted."""


def main() -> int:
    """Plant the bug and run the program."""
    from linli_edge.cli import main as edge  # noqa: PLC0415 - a program's own imports are its own affair
    from linli_platform.cli import main as platform  # noqa: PLC0415

    bug, program, *words = sys.argv[1:]
    BUGS[bug]()
    return {"linli-edge": edge, "linli-platform": platform}[program](words)


if __name__ == "__main__":
    sys.exit(main())
