"""A drawing: boxes, lines and words, in millimetres from its upper left corner; the same for HTML and PDF."""

from dataclasses import dataclass, field
from typing import Literal

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Box:
    """A filled box."""

    x: float
    y: float
    width: float
    height: float
    fill: str


@dataclass(frozen=True, slots=True)
class Line:
    """A run of straight lines; drawn with gaps where ``dash`` is given."""

    points: tuple[tuple[float, float], ...]
    stroke: str
    width: float = 0.25
    dash: float = 0.0


@dataclass(frozen=True, slots=True)
class Words:
    """Words on one line; ``y`` is their base line, ``size`` in points."""

    x: float
    y: float
    text: str
    size: float
    fill: str
    anchor: Anchor = "start"
    bold: bool = False


Shape = Box | Line | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, in the order in which it is.

    Attributes:
        width, height: In millimetres.
        shapes: The shapes.
        told: What it shows, for whoever does not see it.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...] = field(repr=False)
    told: str
