"""What an engine is: files to write, and a command line that runs on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """One start of an engine.

    Attributes:
        engine: Its name, as printed in the ready line.
        argv: Command line of the child process.
        files: Contents of the files it reads, by path; written before the start.
        rereads: Whether the engine reads its access rules again on SIGHUP.
        followed: Files of others; when one of them changes, the engine reads its access rules again.
        watched: Whether the engine may live and answer nobody, so that it must be asked from time to time.
        notices: What the operator should know about this choice, one line each.
    """

    engine: str
    argv: tuple[str, ...]
    files: Mapping[Path, str]
    rereads: bool = False
    followed: tuple[Path, ...] = ()
    watched: bool = False
    notices: tuple[str, ...] = ()

    def write(self) -> None:
        """Write the files, each whole or not at all."""
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.new")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)


Finder = Callable[[], str | None]
"""Returns the path of the Mosquitto program, or ``None`` where it is not installed."""
