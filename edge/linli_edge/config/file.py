"""A configuration file, from disk to tables."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from linli_core.errors import ConfigError

_PLACE: Final = re.compile(r" ?\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


def load_toml(path: Path) -> dict[str, Any]:
    """Return a file's tables.

    Raises:
        ConfigError: The file is not there, cannot be read or is no TOML; ``where`` is ``file`` or ``file:line``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(str(path), "no such file", "check the path") from None
    except IsADirectoryError:
        raise ConfigError(str(path), "found a folder", "name the file in it") from None
    except PermissionError:
        raise ConfigError(str(path), "may not be read", "let the user that runs linli-edge read it") from None
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read ({exc.strerror})", "check the disk and the path") from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}", "found bytes that are no UTF-8", "save the file as UTF-8") from exc
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        match = _PLACE.search(message)
        line = int(match["line"]) if match and match["line"] else text.count("\n") + 1
        reason = _PLACE.sub("", message)
        raise ConfigError(
            f"{path}:{line}", f"no TOML: {reason[:1].lower()}{reason[1:]}", "correct this line or the one before it"
        ) from exc
