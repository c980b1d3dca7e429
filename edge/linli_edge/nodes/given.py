"""Which board was given which name: ``boards.json`` beside the keys, so that no two boards get one."""

from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_edge.durable_file import write_durably

FILE: Final = "boards.json"


class _Written(msgspec.Struct):
    boards: dict[str, str] = {}
    kinds: dict[str, str] = {}


class GivenNames:
    """The names given so far, by a file that outlasts whoever gives them.

    Raises:
        ConfigError: The file is there, and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            self._held = msgspec.json.decode(self._path.read_bytes(), type=_Written)
        except FileNotFoundError:
            self._held = _Written()
        except (OSError, msgspec.MsgspecError) as exc:
            raise ConfigError(str(self._path), f"cannot be read: {exc}", "restore it, or move it away") from exc

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names that were given."""
        return tuple(self._held.boards)

    def board_of(self, node: str) -> str:
        """Return the board that has a name; empty if none has."""
        return self._held.boards.get(node, "")

    def kind_of(self, node: str) -> str:
        """Return the kind of board that has a name; empty where that was not noted."""
        return self._held.kinds.get(self.board_of(node), "")

    def node_of(self, board: str) -> str:
        """Return the name that a board has; empty if it has none."""
        return next((node for node, held in self._held.boards.items() if held == board), "")

    def give(self, node: str, board: str, kind: str = "") -> None:
        """Note that a board has a name, and no other, and which kind it is; on return it is on the disk."""
        boards = {name: held for name, held in self._held.boards.items() if held != board}
        kinds = {**self._held.kinds, board: kind} if kind else self._held.kinds
        self._keep({**boards, node: board}, kinds)

    def take_back(self, board: str) -> None:
        """Note that a board has no name any more."""
        self._keep({name: held for name, held in self._held.boards.items() if held != board}, self._held.kinds)

    def _keep(self, boards: dict[str, str], kinds: dict[str, str]) -> None:
        kinds = {board: kind for board, kind in sorted(kinds.items()) if board in boards.values()}
        wanted = _Written(dict(sorted(boards.items())), kinds)
        if wanted != self._held:
            content = msgspec.json.format(msgspec.json.encode(wanted))
            try:
                write_durably(self._path, content + b"\n")
            except OSError as exc:
                raise ConfigError(
                    str(self._path), f"cannot be written: {exc}", "give --keys that you may write"
                ) from exc
            self._held = wanted
