"""Which of the system's fonts serve a PDF: one with Latin and Chinese characters that can be embedded, and others.

None ships with Linli. Whoever writes a PDF looks through :data:`FOLDERS` and lets :func:`choose` choose.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError

FOLDERS: Final = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
PATTERN: Final = "*.ttc"
"""Of the names of files that may be one."""

REMEDY: Final = "sudo apt-get install fonts-noto-cjk (or fonts-wqy-microhei, which is smaller)"

OTHERS_PATTERN: Final = "*.[ot]tf"
"""Of the names of files that may hold what that font has not."""

OTHERS_REMEDY: Final = "fonts-noto-core (or fonts-dejavu-core and fonts-unifont, which are lighter)"


@dataclass(frozen=True, slots=True)
class Font:
    """A font's files.

    Attributes:
        regular: The usual weight.
        bold: The bold one; the same file where there is none.
        number: Which font of a collection.
    """

    regular: Path
    bold: Path
    number: int = 0


_KNOWN: Final = (
    # Noto's collections hold Japanese, Korean, simplified Chinese (number 2), traditional Chinese, in this order.
    ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc", 2),
    ("wqy-microhei.ttc", "", 0),
    ("wqy-zenhei.ttc", "", 0),
    ("NotoSerifCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc", 2),
)
"""Fonts of Debian's packages that hold Latin and Chinese and can be embedded: fonts-noto-cjk, fonts-wqy-microhei,
fonts-wqy-zenhei. fonts-droid-fallback holds no Latin letters."""


def choose(paths: Iterable[Path], places: Iterable[Path] = FOLDERS) -> Font:
    """Return the first font that will do.

    Args:
        paths: Files that may be one.
        places: Where they were looked for, for the error.

    Raises:
        ConfigError: There is none; the text names what to install.
    """
    files = {path.name: path for path in paths}
    for regular, bold, number in _KNOWN:
        if regular in files:
            return Font(files[regular], files.get(bold, files[regular]), number)
    found = f"no font with Chinese characters in {', '.join(map(str, places))}"
    raise ConfigError("PDF", found, REMEDY)


_OTHERS: Final = (
    r"DejaVuSans\.ttf",
    r"NotoSans[A-Za-z0-9]*-Regular\.ttf",
    r"Symbola.*\.[ot]tf",
    r"unifont(_upper)?\.otf",
)
"""Fonts of Debian's packages fonts-dejavu-core, fonts-noto-core, fonts-symbola, fonts-unifont, the better drawn first:
Unifont has a letter for everything, in dots."""


def others(paths: Iterable[Path]) -> tuple[Font, ...]:
    """Return the fonts in which to look for what the chosen one has not, in this order; none is needed."""
    files = {path.name: path for path in paths}
    ranked = sorted(
        (rank, name) for name in files for rank, pattern in enumerate(_OTHERS) if re.fullmatch(pattern, name)
    )
    return tuple(Font(files[name], files.get(_bold_of(name), files[name])) for _, name in ranked)


def _bold_of(name: str) -> str:
    stem, _, kind = name.removesuffix("-Regular.ttf").partition(".")
    return f"{stem}-Bold.{kind or 'ttf'}"
