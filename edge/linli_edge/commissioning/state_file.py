"""What a long command keeps on disk so that it can be stopped: one JSON file, replaced whole."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.instant import Instant
from linli_edge.durable_file import write_durably

_LARGEST: Final = 16 * 1024 * 1024


def usual_path(command: str, name: str) -> Path:
    """Return where a command keeps its state for a line unless it is told: below ``$XDG_STATE_HOME``."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-60:] or "line"
    return Path(home) / "linli" / f"{command}-{slug}.json"


class StateFile:
    """One kept state; ``kind`` says what of, so that no command takes up another's."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._kind = kind

    def load(self) -> Mapping[str, Any] | None:
        """Return what was kept; ``None`` where nothing was.

        Raises:
            ConfigError: The file cannot be read, or holds something else.
        """
        where, remedy = str(self.path), "name another file with --state, or start anew with --fresh"
        try:
            if self.path.stat().st_size > _LARGEST:
                raise ConfigError(where, "found a file that is too large to be a kept state", remedy)
            kept = msgspec.json.decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ConfigError(where, f"cannot be read ({exc.strerror})", remedy) from exc
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ConfigError(where, "found no kept state (the file is damaged, or another's)", remedy) from None
        if not isinstance(kept, dict) or kept.get("kind") != self._kind or not isinstance(kept.get("state"), dict):
            raise ConfigError(where, "found another command's file", remedy)
        state: Mapping[str, Any] = kept["state"]
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state; a crash leaves the one before.

        Raises:
            ConfigError: The place cannot be written.
        """
        content = msgspec.json.encode({"kind": self._kind, "state": state})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, content, mode=0o600)
        except OSError as exc:
            remedy = "name a place that can be written with --state"
            raise ConfigError(str(self.path), f"cannot be written ({exc.strerror})", remedy) from exc

    def age(self, now: Instant) -> int:
        """Return how long ago it was kept, in microseconds; 0 where nothing is, or a clock was set back since."""
        try:
            return max(0, now - self.path.stat().st_mtime_ns // 1000)
        except FileNotFoundError:
            return 0

    @property
    def exists(self) -> bool:
        """Whether anything is kept."""
        return self.path.is_file()

    def remove(self) -> None:
        """Forget what was kept."""
        self.path.unlink(missing_ok=True)
