"""The hand-over sheet as PDF, A4, with the system's Chinese font embedded in part."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from linli_core.catalogue import Language, text
from linli_core.cjk_font import Font
from linli_edge.commissioning.labels import Label, as_png, hint
from linli_edge.commissioning.sheet import DeviceSheet, PointLine, Sheet
from linli_edge.commissioning.sheet_html import beside, counts, facts, label_of, reached
from linli_edge.commissioning.signature import Signed, short

_INK: Final = (22, 32, 42)
_SOFT: Final = (91, 104, 117)
_LINE: Final = (215, 221, 227)
_WELL: Final = (10, 107, 61)
_ILL: Final = (179, 38, 30)

_WIDTHS: Final = (66.0, 32.0, 4.0, 54.0, 22.0)
_ROW: Final = 5.4
_LABEL: Final = (43.0, 52.0)
_ACROSS: Final = 4
_SMALL: Final = 5.0
"""Points of the smallest letters that are read on a label without a glass."""


class Paper(FPDF):
    """A4 with a foot on each page."""

    def __init__(self, font: Font, foot: str) -> None:
        super().__init__(format="A4")
        self.foot = foot
        self.set_margins(16, 16)
        self.set_auto_page_break(auto=True, margin=18)
        self.add_font("sheet", "", font.regular, collection_font_number=font.number)
        self.add_font("sheet", "B", font.bold, collection_font_number=font.number)

    def footer(self) -> None:
        """Write gateway, time and page at the foot."""
        self.set_y(-13)
        self.write_line(f"{self.foot}    {self.page_no()}/{{nb}}", 8, _SOFT)

    def write_line(self, words: str, size: float, color: tuple[int, int, int] = _INK, *, bold: bool = False) -> None:
        """Write one paragraph over the whole width."""
        self.set_font("sheet", "B" if bold else "", size)
        self.set_text_color(*color)
        self.multi_cell(0, size * 0.5, words, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def rule(self) -> None:
        """Draw a thin line over the whole width."""
        self.set_draw_color(*_LINE)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())


def as_pdf(sheet: Sheet, signed: Signed, lang: Language, font: Font) -> bytes:
    """Return the sheet as a file."""
    paper = Paper(font, f"{sheet.gateway}  {sheet.time}  {short(signed.fingerprint)}")
    paper.set_title(f"{text('sheet.title', lang)} {sheet.gateway}")
    paper.set_lang("zh-CN" if lang == "zh" else "en")
    paper.add_page()
    paper.write_line("邻里 Linli", 9, _SOFT)
    paper.write_line(text("sheet.title", lang), 17, bold=True)
    paper.ln(2)
    _verdict(paper, sheet, lang)
    for name, value in facts(sheet, lang):
        paper.set_font("sheet", "", 9.5)
        paper.set_text_color(*_SOFT)
        paper.cell(38, 5.4, name)
        paper.set_text_color(*_INK)
        paper.cell(0, 5.4, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    _heading(paper, text("sheet.devices", lang))
    for device in sheet.devices:
        _device(paper, device, lang)
    _signature(paper, signed, lang)
    paper.add_page()
    draw_labels(paper, [label_of(sheet, device, signed, lang) for device in sheet.devices], lang)
    return bytes(paper.output())


def _verdict(paper: Paper, sheet: Sheet, lang: Language) -> None:
    color = _WELL if sheet.is_well else _ILL
    paper.set_draw_color(*color)
    paper.set_line_width(0.6)
    top = paper.get_y()
    paper.rect(paper.l_margin, top, paper.epw, 17, round_corners=True, corner_radius=2)
    paper.set_line_width(0.2)
    paper.set_xy(paper.l_margin + 4, top + 3)
    paper.set_font("sheet", "B", 11.5)
    paper.set_text_color(*color)
    paper.cell(0, 6, text(f"sheet.{'well' if sheet.is_well else 'ill'}", lang), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_x(paper.l_margin + 4)
    paper.set_font("sheet", "", 9)
    paper.set_text_color(*_SOFT)
    paper.cell(0, 5, counts(sheet, lang))
    paper.set_y(top + 21)


def _heading(paper: Paper, words: str) -> None:
    paper.ln(4)
    paper.write_line(words, 12.5, bold=True)
    paper.ln(1)


def _device(paper: Paper, device: DeviceSheet, lang: Language) -> None:
    # Head and first rows stay together.
    if paper.will_page_break(14 + _ROW * min(3, len(device.points))):
        paper.add_page()
    paper.ln(1.5)
    # Signs that every Chinese font has.
    mark = "√" if device.is_well else "×"
    paper.write_line(f"{mark} {device.id}", 10.5, _WELL if device.is_well else _ILL, bold=True)
    paper.write_line(reached(device, lang), 8.5, _SOFT)
    if device.error:
        paper.write_line(device.error, 9, _ILL)
    for point in device.points:
        _point(paper, point, lang)
    paper.rule()
    paper.ln(1.5)


def _point(paper: Paper, point: PointLine, lang: Language) -> None:
    if paper.will_page_break(_ROW):
        paper.add_page()
    paper.rule()
    title = (point.zh if lang == "zh" else point.en) or point.name
    value = f"{point.value} {point.unit}".strip() if point.value else "–"
    color = {"agrees": _WELL, "differs": _ILL, "unread": _ILL}.get(point.verdict, _SOFT)
    cells = (
        (title if title == point.name else f"{title}  {point.name}", _INK, "L"),
        (value, _INK, "R"),
        ("", _INK, "L"),
        (beside(point, lang), _SOFT, "L"),
        (text(f"sheet.verdict.{point.verdict}", lang), color, "R"),
    )
    for (words, ink, align), width in zip(cells, _WIDTHS, strict=True):
        paper.set_font("sheet", "", 9)
        # What is too long for its column is set smaller, never cut.
        while paper.get_string_width(words) > width - 2 and paper.font_size_pt > 5:
            paper.set_font_size(paper.font_size_pt - 0.25)
        paper.set_text_color(*ink)
        paper.cell(width, _ROW, words, align=align)
    paper.ln(_ROW)


def _signature(paper: Paper, signed: Signed, lang: Language) -> None:
    if paper.will_page_break(52):
        paper.add_page()
    _heading(paper, text("sheet.signature", lang))
    paper.write_line(short(signed.fingerprint), 11, bold=True)
    paper.ln(1)
    paper.write_line(text("sheet.signature_hint", lang), 8.5, _SOFT)
    paper.ln(20)
    half = (paper.epw - 10) / 2
    top = paper.get_y()
    paper.set_draw_color(*_INK)
    for place, key in enumerate(("sheet.handed_over", "sheet.taken_over")):
        left = paper.l_margin + place * (half + 10)
        paper.line(left, top, left + half, top)
        paper.set_xy(left, top + 1)
        paper.set_font("sheet", "", 8.5)
        paper.cell(half, 5, text(key, lang))
    paper.ln(8)


def draw_labels(paper: Paper, stuck: Sequence[Label], lang: Language) -> None:
    """Draw labels to be cut out, four in a row or two of two halves, with a heading."""
    _heading(paper, text("sheet.labels", lang))
    paper.write_line(hint(stuck, lang), 8.5, _SOFT)
    paper.ln(3)
    width, height = _LABEL
    top, column = paper.get_y(), 0
    for label in stuck:
        halves = [label] if label.inside is None else [label, label.inside]
        column += column % len(halves)
        if column + len(halves) > _ACROSS:
            top, column = top + height + 3, 0
        if top + height > paper.h - 18:
            paper.add_page()
            top = paper.t_margin
        left = paper.l_margin + column * (width + 2)
        for place, half in enumerate(halves):
            # The halves touch: one cut parts them.
            _label(paper, (left + place * width, top), half)
        column += len(halves)


def _label(paper: Paper, at: tuple[float, float], label: Label) -> None:
    left, top = at
    width, height = _LABEL
    paper.set_draw_color(*_SOFT)
    paper.set_dash_pattern(dash=1, gap=1)
    paper.rect(left, top, width, height)
    paper.set_dash_pattern()
    lines = [(part, "B", 9.5, _INK) for part in _broken(paper, label.title, "B", width - 3)]
    lines += [(part, "", 7.0, _SOFT) for line in label.lines for part in _broken(paper, line, "", width - 3)]
    # Two lines and the title fit below the largest code; each further one takes its room from it.
    size = 33.0 - 4.8 * max(0, len(lines) - 3)
    paper.image(as_png(label.code), left + (width - size) / 2, top + 1.5, w=size)
    for place, (words, style, points, ink) in enumerate(lines):
        paper.set_font("sheet", style, points)
        while paper.get_string_width(words) > width - 3:
            paper.set_font_size(paper.font_size_pt - 0.25)
        paper.set_text_color(*ink)
        paper.set_xy(left, top + size + 2.5 + place * 4.8)
        paper.cell(width, 4.6, words, align="C")


def _broken(paper: Paper, words: str, style: Literal["", "B"], width: float) -> Iterator[str]:
    """Yield a line as a label holds it: what is too long even set small goes on in the next."""
    paper.set_font("sheet", style, _SMALL)
    while paper.get_string_width(words) > width:
        fits = next(end for end in range(len(words) - 1, 0, -1) if paper.get_string_width(words[:end]) <= width)
        yield words[:fits]
        words = words[fits:]
    yield words
