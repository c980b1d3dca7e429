"""A font with Chinese characters, from the system: one must be embedded in the PDF, and none ships with the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError

FOLDERS: Final = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))

REMEDY: Final = "sudo apt-get install fonts-noto-cjk (or fonts-wqy-microhei, which is smaller)"


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


def find_font(folders: Sequence[Path] = FOLDERS) -> Font:
    """Return the first font that will do.

    Raises:
        ConfigError: There is none; the text names what to install.
    """
    files = {path.name: path for folder in folders for path in folder.rglob("*.ttc")}
    for regular, bold, number in _KNOWN:
        if regular in files:
            return Font(files[regular], files.get(bold, files[regular]), number)
    places = ", ".join(map(str, folders))
    raise ConfigError("PDF", f"no font with Chinese characters in {places}", REMEDY)
