"""The tree of areas: a community lies in a district, a dwelling in a building."""

from collections.abc import Mapping


def line_of(area: str | None, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return an area and all that it lies in, the nearest first; nothing for no area, and a ring of areas once."""
    found: list[str] = []
    while area is not None and area not in found:
        found.append(area)
        area = parents.get(area)
    return tuple(found)
