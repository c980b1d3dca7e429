"""Tables for a terminal, in columns that stay straight with Chinese text, too."""

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def listing(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table.

    Args:
        head: Titles of the columns.
        rows: The cells, as many in each row as there are titles.
        right: Columns to be set flush right.
    """
    widths = [max(width(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, ["-" * size for size in widths], *rows):
        cells = []
        for column, (cell, size) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (size - width(cell))
            cells.append(gap + cell if column in right else cell + gap)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
