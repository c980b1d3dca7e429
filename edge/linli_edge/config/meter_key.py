"""Keys of meters in a configuration: 32 hexadecimal digits, there or in a file of their own."""

from pathlib import Path
from typing import Final

from linli_edge.config.table import Table

_BYTES: Final = 16
_REMEDY: Final = "write the 32 hexadecimal digits that the grid operator or the maker gave you"


def meter_key(item: Table, key: str, default: bytes | None = None) -> bytes | None:
    """Return an AES-128 key: of ``key``, or of the file that ``key_file`` names (one of the two).

    The text of a wrong key is never repeated in a message: it may be nearly right.
    """
    text, path = item.text(key, ""), item.text(f"{key}_file", "")
    where = key
    if text and path:
        item.problem(key, f"both {key} and {key}_file", "leave one of the two out")
        return default
    if path:
        where = f"{key}_file"
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it holds no text"
            item.problem(where, f"{path} cannot be read ({reason})", "correct the path, or the rights of the file")
            return default
    if not text:
        return default
    digits = "".join(text.split()).replace(":", "")
    if len(digits) != 2 * _BYTES:
        item.problem(where, f"found {len(digits)} digits", _REMEDY)
        return default
    try:
        return bytes.fromhex(digits)
    except ValueError:
        item.problem(where, "found what is no hexadecimal digit", _REMEDY)
        return default
