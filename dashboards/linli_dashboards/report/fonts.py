"""The fonts of a PDF: the one in which it is set, and others for the letters that this one has not."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fontTools.ttLib import TTFont
from fpdf import FPDF

from linli_core.cjk_font import Font
from linli_dashboards.report.letters import Run, runs_of

MARK: Final = "□"
"""Stands where no font has the letter: something is there, and nobody takes it for nothing."""

_MAIN: Final = "report"
_TOLD: Final = 8


class Piece(NamedTuple):
    """Words that are drawn in one go, in one font.

    Attributes:
        family: Of the font.
        words: In the order in which they are read.
        from_right: Whether that is from the right.
        joined: Whether they must be laid out by HarfBuzz.
    """

    family: str
    words: str
    from_right: bool
    joined: bool


class Fonts:
    """The fonts of one report; the others are opened as they are needed."""

    def __init__(self, font: Font, others: Sequence[Font] = ()) -> None:
        self._fonts = {_MAIN: font, **{f"other{number}": each for number, each in enumerate(others)}}
        self._letters: dict[str, frozenset[int]] = {}
        self._families: dict[str, str | None] = {}
        self._embedded: set[str] = set()

    @property
    def unwritten(self) -> str:
        """The letters that no font has, by their numbers; empty if there are none."""
        missing = sorted(letter for letter, family in self._families.items() if family is None)
        told = ", ".join(f"U+{ord(letter):04X}" for letter in missing[:_TOLD])
        return f"{told}…" if len(missing) > _TOLD else told

    def register(self, paper: FPDF) -> None:
        """Make the main font known."""
        self.embed(paper, _MAIN)

    def embed(self, paper: FPDF, family: str) -> None:
        """Make a font known, if it is not yet."""
        if family not in self._embedded:
            font = self._fonts[family]
            paper.add_font(family, "", font.regular, collection_font_number=font.number)
            paper.add_font(family, "B", font.bold, collection_font_number=font.number)
            self._embedded.add(family)

    def pieces_of(self, words: str) -> list[Piece]:
        """Return a line's pieces in the order in which they stand on paper, from the left."""
        pieces: list[Piece] = []
        for run in runs_of(words):
            own = self._in_fonts(run)
            pieces += reversed(own) if run.from_right else own
        return pieces

    def _in_fonts(self, run: Run) -> list[Piece]:
        pieces: list[Piece] = []
        for letter in run.words:
            family = self._family_of(letter)
            drawn, family = (letter, family) if family is not None else (MARK, _MAIN)
            last = pieces[-1] if pieces else None
            if last is not None and (
                last.family == family or (not letter.isalpha() and self._has(last.family, letter))
            ):
                pieces[-1] = last._replace(words=f"{last.words}{drawn}")
            else:
                pieces.append(Piece(family, drawn, run.from_right, run.joined))
        return pieces

    def _family_of(self, letter: str) -> str | None:
        if letter not in self._families:
            self._families[letter] = next((family for family in self._fonts if self._has(family, letter)), None)
        return self._families[letter]

    def _has(self, family: str, letter: str) -> bool:
        if family not in self._letters:
            font = self._fonts[family]
            with TTFont(font.regular, lazy=True, fontNumber=font.number) as opened:
                self._letters[family] = frozenset(opened.getBestCmap() or ())
        return ord(letter) in self._letters[family]
