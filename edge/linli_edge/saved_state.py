"""A few numbers that must survive a restart: one small JSON file, replaced as a whole."""

import json
import logging
from pathlib import Path
from typing import Final

from linli_edge.durable_file import write_durably

_LOG: Final = logging.getLogger(__name__)

LARGEST: Final = 1024 * 1024


class SavedState:
    """Named whole numbers in a file; :meth:`load` once, :meth:`save` when they changed.

    A file that is damaged is set aside, never believed: its numbers would be wrong bills, or let a replay pass.
    """

    def __init__(self, path: Path | None) -> None:
        """Store where; ``None``: nothing is kept."""
        self._path = path
        self._saved: dict[str, int] | None = None

    def load(self) -> dict[str, int]:
        """Return the numbers; none where there is no file yet."""
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            _LOG.error("%s cannot be read: %s", self._path, exc.strerror)
            return {}
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
            aside = self._path.with_suffix(f"{self._path.suffix}.damaged")
            _LOG.error("%s is damaged and is set aside as %s", self._path, aside.name)
            self._path.replace(aside)
            return {}
        self._saved = dict(found)
        return found

    def save(self, numbers: dict[str, int]) -> None:
        """Replace the numbers, if they changed; what the disk refuses is logged: reading goes on."""
        if self._path is None or numbers == self._saved:
            return
        try:
            write_durably(self._path, json.dumps(numbers).encode("ascii"))
        except OSError as exc:
            _LOG.error("%s cannot be written: %s", self._path, exc.strerror)
            return
        self._saved = dict(numbers)
