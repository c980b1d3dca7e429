"""Where panels stand: rows are filled from the left, as people read."""

from collections.abc import Iterable, Iterator
from typing import Final

COLUMNS: Final = 24
"""Of Grafana's grid."""


def placed(sizes: Iterable[tuple[int, int]], top: int = 0) -> Iterator[tuple[int, int]]:
    """Yield left edge and top of each panel; ``sizes`` are widths and heights.

    A row is as high as its highest panel, so that nothing overlaps and nothing is moved by Grafana.
    """
    left, height = 0, 0
    for width, tall in sizes:
        if left + width > COLUMNS:
            top, left, height = top + height, 0, 0
        yield left, top
        left, height = left + width, max(height, tall)
