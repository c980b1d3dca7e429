"""What was taken of each node, kept over a restart: a small file, and the log itself for what came after it."""

import logging
from pathlib import Path
from typing import Final, Protocol

import msgspec

from linli_edge.durable_file import write_durably
from linli_edge.nodes.receiver import NodeMark, labels
from linli_edge.outbox import StoredMessage

FILE: Final = "nodes.json"
"""In the gateway's data folder."""

_LOG: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 500


class Kept(msgspec.Struct):
    """The file.

    Attributes:
        through: Messages of the gateway's log up to this one are in ``nodes``.
        nodes: By node, what is known of it.
    """

    through: int = 0
    nodes: dict[str, NodeMark] = {}


class Readable(Protocol):
    """The gateway's log, as far as it is asked what it holds."""

    async def read(self, seqs: list[int]) -> list[StoredMessage]:
        """Return messages by number."""
        ...


class MarksFile:
    """The marks in the gateway's folder.

    A node's pack is durable in the log before its mark is written. Between the two a gateway may die: so each message
    bears a label of where it came from, and the start reads the labels of what the file does not know yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self, log: Readable, first: int, next_seq: int) -> Kept:
        """Return the marks, brought up to what the log holds (``first`` … ``next_seq - 1``)."""
        kept = self._read()
        for low in range(max(kept.through + 1, first), next_seq, _AT_ONCE):
            messages = await log.read(list(range(low, min(low + _AT_ONCE, next_seq))))
            for node, epoch, seq in labels(message.body for message in messages if message.kind == "telemetry"):
                marks = kept.nodes.setdefault(node, NodeMark()).marks
                marks[epoch] = max(seq, marks.pop(epoch, 0))
        kept.through = next_seq - 1
        return kept

    def save(self, kept: Kept) -> bool:
        """Write the marks; tell whether the disk took them."""
        try:
            write_durably(self._path, msgspec.json.encode(kept))
        except OSError as exc:
            _LOG.error("%s cannot be written (%s): nodes are not acknowledged", self._path, exc)
            return False
        return True

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.MsgspecError) as exc:
            # The labels in the log tell what it held, as far back as the log goes.
            _LOG.warning("%s cannot be read (%s): the log is asked instead", self._path, exc)
            return Kept()
