"""A report as PDF, A4, with the parts of the system's fonts that it needs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from fpdf import FPDF

from linli_core.catalogue import text
from linli_core.cjk_font import OTHERS_REMEDY, Font
from linli_dashboards.report.document import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Picture,
    Table,
    Tiles,
    Tone,
)
from linli_dashboards.report.drawing import Box, Drawing, Line, Shape, Words
from linli_dashboards.report.fonts import MARK, Fonts, Piece
from linli_dashboards.report.letters import cut, plain
from linli_dashboards.report.wrap import lines_of

_MARGIN: Final = 16.0
_FOOT: Final = 18.0
_SMALL: Final = 8.5
_COLORS: Final = {
    Tone.PLAIN: (22, 32, 42),
    Tone.SOFT: (91, 104, 117),
    Tone.WELL: (10, 107, 61),
    Tone.ILL: (179, 38, 30),
}
_RULE: Final = (215, 221, 227)
_ROW: Final = 5.6
_LINE: Final = 3.7
_LINES: Final = 2
"""Of a name in a table."""
_TILE: Final = (42.0, 23.0)
_ACROSS: Final = 4
_WHOLE: Final = 12
_KEPT_TOGETHER: Final = 45.0
"""A part's head does not stand alone at the foot of a page."""


class Pdf(NamedTuple):
    """A report as it is written.

    Attributes:
        content: Of the file.
        unwritten: Letters for which there is no font, by their numbers; empty if all is there.
    """

    content: bytes
    unwritten: str


class _Paper(FPDF):
    """A4 with a foot on each page."""

    def __init__(self, fonts: Fonts, foot: str) -> None:
        super().__init__(format="A4")
        self.fonts_there = fonts
        self.foot = foot
        self.set_margins(_MARGIN, _MARGIN)
        self.c_margin = 0.0
        self.set_auto_page_break(auto=True, margin=_FOOT)
        fonts.register(self)

    def footer(self) -> None:
        """Write what it is and the page's number at the foot."""
        self.set_y(-13)
        self.put(self.epw - 20, 4, self.fit(self.foot, self.epw - 20, Tone.SOFT, 7.5))
        self.cell(20, 4, f"{self.page_no()} / {{nb}}", align="R")

    def put(self, width: float, height: float, words: str, *, right: bool = False) -> None:
        """Write words on one line into a place of this width, whatever their scripts."""
        pieces = self.fonts_there.pieces_of(words)
        x, y = self.get_x(), self.get_y()
        at = x + (width - self._width(pieces) if right else 0.0)
        for piece in pieces:
            with self._drawn(piece):
                extent = self.get_string_width(piece.words)
                self.set_xy(at, y)
                self.cell(extent, height, piece.words)
            at += extent
        self.set_xy(x + width, y)

    def width_of(self, words: str) -> float:
        """Return how wide words are, whatever their scripts."""
        return self._width(self.fonts_there.pieces_of(words))

    def _width(self, pieces: Sequence[Piece]) -> float:
        width = 0.0
        for piece in pieces:
            with self._drawn(piece):
                width += self.get_string_width(piece.words)
        return width

    @contextmanager
    def _drawn(self, piece: Piece) -> Iterator[None]:
        """Take up the font of a piece, and the way in which it is laid out."""
        family, style, size = self.font_family, self.font_style, self.font_size_pt
        if piece.family != family:
            self.fonts_there.embed(self, piece.family)
            self.set_font(piece.family, style, size)
        if piece.joined:
            self.set_text_shaping(use_shaping_engine=True, direction="rtl" if piece.from_right else "ltr")
        yield
        if piece.joined:
            self.set_text_shaping(use_shaping_engine=False)
        if piece.family != family:
            self.set_font(family, style, size)

    def ink(self, tone: Tone, size: float, *, bold: bool = False) -> None:
        """Take up a tone, a size and a weight."""
        self.set_font("report", "B" if bold else "", size)
        self.set_text_color(*_COLORS[tone])

    def write_lines(self, words: str, tone: Tone, size: float, *, bold: bool = False) -> None:
        """Write a paragraph over the whole width."""
        self.ink(tone, size, bold=bold)
        for line in lines_of(words, self.epw, self.width_of):
            self.room(size * 0.52)
            self.put(self.epw, size * 0.52, line)
            self.ln(size * 0.52)

    def rule(self) -> None:
        """Draw a thin line over the whole width."""
        self.set_draw_color(*_RULE)
        self.set_line_width(0.2)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())

    def room(self, height: float) -> None:
        """Begin a new page where less is left."""
        if self.will_page_break(height):
            self.add_page()

    def fit(self, words: str, width: float, tone: Tone, size: float, *, bold: bool = False) -> str:
        """Take up a tone; set smaller what is too long for its place, and cut it where it would be too small."""
        self.ink(tone, size, bold=bold)
        while self.width_of(words) > width - 2 and self.font_size_pt > size * 0.75:
            self.set_font_size(self.font_size_pt - 0.25)
        while self.width_of(words) > width - 2 and len(words) > 2:
            words = f"{cut(words.rstrip('…'))}…"
        return words


def as_pdf(document: Document, font: Font, others: Sequence[Font] = ()) -> Pdf:
    """Return a report as PDF.

    Args:
        document: The report.
        font: In which it is set.
        others: Where to look for letters that this one has not.
    """
    fonts = Fonts(font, others)
    paper = _Paper(fonts, document.foot)
    paper.set_title(plain(document.title))
    paper.set_subject(plain(document.subtitle))
    paper.set_creator("Linli")
    paper.set_lang("zh-CN" if document.lang == "zh" else "en")
    paper.add_page()
    paper.write_lines("邻里 Linli", Tone.SOFT, 9)
    paper.write_lines(document.title, Tone.PLAIN, 19, bold=True)
    paper.ln(0.5)
    paper.write_lines(document.subtitle, Tone.SOFT, 10)
    paper.ln(3)
    for block in document.blocks:
        _block(paper, block)
    unwritten = fonts.unwritten
    if unwritten:
        _block(paper, Paragraph(text("report.letters", document.lang, **words_on(unwritten)), Tone.ILL))
    return Pdf(bytes(paper.output()), unwritten)


def words_on(unwritten: str) -> dict[str, str]:
    """Return what the text about letters without a font is filled with."""
    return {"letters": unwritten, "mark": MARK, "fonts": OTHERS_REMEDY}


def _block(paper: _Paper, block: Block) -> None:
    match block:
        case Heading():
            _heading(paper, block.text)
        case Paragraph():
            paper.write_lines(block.text, block.tone, 9.5)
            paper.ln(1.2)
        case Tiles():
            _tiles(paper, block)
        case Table():
            _table(paper, block)
        case Picture():
            paper.room(block.drawing.height + 9)
            paper.ln(1)
            paper.write_lines(block.title, Tone.PLAIN, 9.5, bold=True)
            paper.ln(0.8)
            _draw(paper, block.drawing)


def _heading(paper: _Paper, words: str) -> None:
    paper.ln(4)
    paper.room(_KEPT_TOGETHER)
    paper.set_draw_color(*_COLORS[Tone.PLAIN])
    paper.set_line_width(0.5)
    paper.line(paper.l_margin, paper.get_y(), paper.w - paper.r_margin, paper.get_y())
    paper.ln(2)
    paper.write_lines(words, Tone.PLAIN, 13, bold=True)
    paper.ln(1.5)


def _tiles(paper: _Paper, tiles: Tiles) -> None:
    width, height = _TILE
    gap = (paper.epw - _ACROSS * width) / (_ACROSS - 1)
    for number, tile in enumerate(tiles.tiles):
        column = number % _ACROSS
        if column == 0:
            paper.room(height)
            top = paper.get_y()
        left = paper.l_margin + column * (width + gap)
        paper.set_draw_color(*_RULE)
        paper.set_line_width(0.25)
        paper.rect(left, top, width, height, round_corners=True, corner_radius=1.5)
        for words, offset, tone, size, bold in (
            (tile.label, 2.2, Tone.PLAIN, 8.5, False),
            (tile.figure, 7.6, tile.tone, 15.0, True),
            (tile.note, 15.6, Tone.SOFT, 7.5, False),
        ):
            paper.set_xy(left + 2.5, top + offset)
            paper.put(width - 4, size * 0.5, paper.fit(words, width - 3, tone, size, bold=bold))
        if column == _ACROSS - 1 or number == len(tiles.tiles) - 1:
            paper.set_xy(paper.l_margin, top + height + 3)
    paper.ln(1)


def _table(paper: _Paper, table: Table) -> None:
    whole = sum(column.share for column in table.columns)
    widths = [paper.epw * column.share / whole for column in table.columns]
    rows = [_lines(paper, row, table.columns, widths) for row in table.rows]
    heights = [_ROW + _LINE * (max(map(len, row)) - 1) for row in rows]
    # What fits on a page is not broken over two; of a long table at least some rows stand under their heads.
    paper.room(_ROW + sum(heights if len(rows) <= _WHOLE else heights[:2]))
    _heads(paper, table.columns, widths)
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        # The last row does not stand alone on the next page.
        if paper.will_page_break(height + (heights[-1] if number == len(rows) - 2 else 0.0)):
            paper.add_page()
            _heads(paper, table.columns, widths)
        _row(paper, row, table, number, widths, height)
    paper.ln(2)


def _lines(paper: _Paper, row: tuple[Cell, ...], columns: tuple[Column, ...], widths: list[float]) -> list[list[str]]:
    """Return each cell's lines: a name that is too long for one goes on below, a figure never does."""
    found = []
    for cell, column, width in zip(row, columns, widths, strict=True):
        paper.ink(cell.tone, _SMALL)
        lines = [cell.text] if column.is_figure else list(lines_of(cell.text, width - 2, paper.width_of)) or [""]
        found.append(lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "".join(lines[_LINES - 1 :])])
    return found


def _heads(paper: _Paper, columns: tuple[Column, ...], widths: list[float]) -> None:
    for column, width in zip(columns, widths, strict=True):
        words = paper.fit(column.head, width, Tone.SOFT, _SMALL, bold=True)
        paper.put(width, _ROW, words, right=column.is_figure)
    paper.ln(_ROW)
    paper.rule()


def _row(paper: _Paper, row: list[list[str]], table: Table, number: int, widths: list[float], height: float) -> None:
    left, top = paper.l_margin, paper.get_y()
    for lines, cell, column, width in zip(row, table.rows[number], table.columns, widths, strict=True):
        for place, line in enumerate(lines):
            words = paper.fit(line, width, cell.tone, _SMALL)
            paper.set_xy(left, top + _LINE * place)
            paper.put(width, _ROW, words, right=column.is_figure)
        left += width
    paper.set_xy(paper.l_margin, top + height)
    paper.rule()


def _draw(paper: _Paper, drawing: Drawing) -> None:
    left, top = paper.l_margin, paper.get_y()
    for shape in drawing.shapes:
        _shape(paper, shape, left, top)
    paper.set_dash_pattern()
    paper.set_xy(left, top + drawing.height + 1.5)


def _shape(paper: _Paper, shape: Shape, left: float, top: float) -> None:
    match shape:
        case Box():
            paper.set_fill_color(shape.fill)
            paper.rect(left + shape.x, top + shape.y, shape.width, shape.height, style="F")
        case Line():
            paper.set_draw_color(shape.stroke)
            paper.set_line_width(shape.width)
            paper.set_dash_pattern(dash=shape.dash, gap=shape.dash)
            paper.polyline([(left + x, top + y) for x, y in shape.points])
        case Words():
            paper.set_font("report", "B" if shape.bold else "", shape.size)
            paper.set_text_color(shape.fill)
            width = paper.get_string_width(shape.text)
            back = {"start": 0.0, "middle": width / 2, "end": width}[shape.anchor]
            paper.text(left + shape.x - back, top + shape.y, shape.text)
