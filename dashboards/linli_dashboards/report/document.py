"""What a report is made of, whatever it is written as."""

from dataclasses import dataclass, field
from enum import StrEnum

from linli_core.catalogue import Language
from linli_dashboards.report.drawing import Drawing


class Tone(StrEnum):
    """What a word or figure is like; a colour, and never the colour alone."""

    PLAIN = "plain"
    SOFT = "soft"
    WELL = "well"
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a part."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, large."""

    label: str
    figure: str
    note: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Tiles:
    """Figures side by side."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in a table."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, its share of the width, and whether it holds figures."""

    head: str
    share: float = 1.0
    is_figure: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with what it is called."""

    title: str
    drawing: Drawing


Block = Heading | Paragraph | Tiles | Table | Picture


@dataclass(frozen=True, slots=True)
class Document:
    """A report in one language.

    Attributes:
        lang: The language.
        title: At its head.
        subtitle: Below it.
        foot: At the foot of each page.
        blocks: What it says.
    """

    lang: Language
    title: str
    subtitle: str
    foot: str
    blocks: tuple[Block, ...] = field(repr=False)
