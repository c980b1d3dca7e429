"""Boards as the JSON that Grafana takes."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from linli_core.catalogue import LANGUAGES, Language
from linli_dashboards.board import CONSOLE, Board
from linli_dashboards.boards import BOARDS
from linli_dashboards.dialect import Dialect
from linli_dashboards.direct import reduced
from linli_dashboards.errors import BoardError
from linli_dashboards.links import uid

GENERATED: Final = "generated"
"""The folder of boards in the repository; the same files are made anywhere else by ``linli-boards build``."""


@dataclass(frozen=True, slots=True)
class Made:
    """A board in one language.

    Attributes:
        board: What it is made of.
        lang: Its language.
        text: Its JSON.
        suffix: Of the ids of boards for a database.
    """

    board: Board
    lang: Language
    text: str
    suffix: str = ""

    @property
    def uid(self) -> str:
        """Its stable id."""
        return uid(self.board.name, self.lang, self.suffix)

    @property
    def dashboard(self) -> dict[str, Any]:
        """Its JSON, read."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    def path(self, folder: Path) -> Path:
        """Return where its file is."""
        return folder / self.lang / f"{self.uid}.json"


def made(boards: Iterable[Board] = BOARDS, console: str = CONSOLE, dialect: Dialect | None = None) -> Iterator[Made]:
    """Yield every board in every language; of those for a database what it can answer."""
    suffix = "" if dialect is None else dialect.suffix
    for board in boards if dialect is None else reduced(boards, dialect):
        for lang in LANGUAGES:
            yield Made(board, lang, encoded(board.made(lang, dialect, console)), suffix)


def encoded(dashboard: Dashboard) -> str:
    """Return a board as JSON, the same to the byte each time."""
    # Python's own indenting takes four times as long, and comes to the same.
    return msgspec.json.format(json.dumps(dashboard, cls=JSONEncoder, ensure_ascii=False), indent=2) + "\n"


def write(boards: Iterable[Made], folder: Path) -> int:
    """Write boards into a folder and take away those of other names in it; return how many there are."""
    wanted = {board.path(folder): board.text for board in boards}
    for path in sorted({path.parent for path in wanted}):
        path.mkdir(parents=True, exist_ok=True)
        for stale in set(path.glob("linli-*.json")) - wanted.keys():
            stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return len(wanted)


def read(boards: Iterable[Made], folder: Path) -> Iterator[tuple[Made, str]]:
    """Yield each board with the text of its file.

    Raises:
        BoardError: There is no such file, or it is no text.
    """
    for board in boards:
        path = board.path(folder)
        try:
            yield board, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise BoardError(str(path), f"it cannot be read ({exc})", "make it by: linli-boards build") from exc
