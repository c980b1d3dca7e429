"""A font with Chinese characters, from the system: one must be embedded in the PDF, and none ships with the gateway."""

from collections.abc import Sequence
from pathlib import Path

from linli_core.cjk_font import FOLDERS, PATTERN, Font, choose


def find_font(folders: Sequence[Path] = FOLDERS) -> Font:
    """Return the first font that will do; :class:`~linli_core.errors.ConfigError` if there is none."""
    return choose((path for folder in folders for path in folder.rglob(PATTERN)), folders)
