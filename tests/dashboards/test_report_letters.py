"""Names in any script on paper: in their order, joined, and never blank."""

import shutil
import subprocess
from pathlib import Path

import pytest

from linli_core.cjk_font import FOLDERS, OTHERS_PATTERN, PATTERN, Font, choose, others
from linli_core.errors import ConfigError
from linli_dashboards.report.document import Cell, Column, Document, Heading, Paragraph, Table
from linli_dashboards.report.fonts import MARK, Fonts
from linli_dashboards.report.letters import Run, cut, runs_of
from linli_dashboards.report.letters import name_of as named
from linli_dashboards.report.pdf import as_pdf
from linli_dashboards.report.wrap import lines_of

HEBREW = "שדרות (קומה 2)"
ARABIC = "أبراج الياسمين"
NAMES = (HEBREW, ARABIC, "อาคารดอกมะลิ", "हिन्दी भवन", "😀 room", "ዘመናዊ", "조선 아파트")


def name_of(words: str) -> str:
    return named(words, "dev-1")


@pytest.fixture(scope="module")
def font() -> Font:
    try:
        return choose(path for folder in FOLDERS for path in folder.rglob(PATTERN))
    except ConfigError as exc:
        pytest.skip(str(exc))


def document(*names: str) -> Document:
    rows = tuple((Cell(name_of(name)), Cell("1")) for name in names)
    blocks = (Heading(name_of(names[0])), Paragraph(name_of(names[0])), Table((Column("name", 3), Column("n")), rows))
    return Document("en", f"Report: {name_of(names[0])}", "", f"{name_of(names[0])} 2026", blocks)


def words_of(content: bytes, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    path = folder / "report.pdf"
    path.write_bytes(content)
    return subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True).stdout.decode()


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("Cold room 1", ["Cold room 1"]),
        # Read from the right: what comes last stands at the left, and its figure is read from the left all the same.
        (name_of(HEBREW), [")", "2", "שדרות (קומה "]),
        # The year stays behind the name.
        (f"Linli {name_of('שלום')} 2026", ["Linli ", "שלום", " 2026"]),
        (f"{name_of('שלום')}, {name_of(ARABIC)}: 3", ["שלום", ", ", ARABIC, ": 3"]),
    ],
)
def test_the_order_in_which_a_line_stands_on_paper(words: str, seen: list[str]) -> None:
    assert [run.words for run in runs_of(words)] == seen


def test_what_must_be_joined_is_and_nothing_else() -> None:
    assert list(runs_of("冷库 1 Ünï")) == [Run("冷库 1 Ünï", from_right=False, joined=False)]
    assert list(runs_of("อาคาร")) == [Run("อาคาร", from_right=False, joined=True)]
    assert list(runs_of(ARABIC)) == [Run(ARABIC, from_right=True, joined=True)]
    assert list(runs_of("👨\u200d👩\ufe0f x")) == [Run("👨👩 x", from_right=False, joined=False)]
    assert list(runs_of("\u200b")) == []


def test_a_name_turns_nothing_but_itself() -> None:
    assert name_of("Cold room 1") == "Cold room 1"
    assert name_of("\u202eevil\u2066 \n\tname\u2069\u2069") == "evil name"
    assert name_of("\u2069שלום\u202e") == "\u2068שלום\u2069"
    for unseen in ("", " \n", "\u202e", "\u200b\u2060 \ufeff"):
        assert name_of(unseen) == "dev-1"


def test_a_letter_is_cut_off_with_the_marks_that_it_bears() -> None:
    assert cut("ab") == "a"
    assert cut("ab\u0301\u0323") == "a"
    assert cut("a👩\u200d👧") == "a👩"
    assert cut("a") == "a"


def test_a_word_wider_than_the_line_is_broken() -> None:
    lines = list(lines_of(f"Monthly report: {'x' * 25} end", 10.0, len))
    assert lines == ["Monthly", "report:", "x" * 10, "x" * 10, "xxxxx end"]


def test_where_no_font_has_a_letter_a_mark_stands_and_the_reader_is_told(font: Font, tmp_path: Path) -> None:
    pdf = as_pdf(document(HEBREW, "😀 room"), font)
    words = words_of(pdf.content, tmp_path)
    assert pdf.unwritten.startswith("U+05D3, U+05D4, ")
    assert words.count(MARK) >= 4 * len("שדרותקומה") + 1
    assert f"No font on this machine has {pdf.unwritten}" in " ".join(words.split())
    assert "fonts-noto-core (or fonts-dejavu-core and fonts-unifont" in " ".join(words.split())
    fonts = Fonts(font)
    assert [piece.words for piece in fonts.pieces_of("1 号冷库")] == ["1 号冷库"]
    assert fonts.unwritten == ""


def test_every_script_of_which_there_is_a_font_is_written(font: Font, tmp_path: Path) -> None:
    there = others(path for folder in FOLDERS for path in folder.rglob(OTHERS_PATTERN))
    fonts = Fonts(font, there)
    written = [name for name in NAMES if all(MARK not in piece.words for piece in fonts.pieces_of(name))]
    if len(written) < 2:
        pytest.skip("no font beside the Chinese one: apt-get install fonts-dejavu-core")
    pdf = as_pdf(document(*written), font, there)
    assert pdf.unwritten == ""
    assert MARK not in words_of(pdf.content, tmp_path)
    unshaped = sum(piece.words.count(" ") for name in written for piece in fonts.pieces_of(name))
    assert unshaped == sum(name.count(" ") for name in written)


def test_the_better_drawn_font_comes_first() -> None:
    names = ["unifont.otf", "NotoSansThai-Regular.ttf", "NotoSansThai-Bold.ttf", "DejaVuSans.ttf", "Arial.ttf"]
    found = others(Path("/f", name) for name in names)
    assert [each.regular.name for each in found] == ["DejaVuSans.ttf", "NotoSansThai-Regular.ttf", "unifont.otf"]
    assert [each.bold.name for each in found] == ["DejaVuSans.ttf", "NotoSansThai-Bold.ttf", "unifont.otf"]


def test_a_long_name_goes_on_below_and_the_last_row_stands_with_another(font: Font, tmp_path: Path) -> None:
    long = "Display fridge beside the till at the left of the shop's door, number"
    rows = tuple((Cell(f"{long} {number}"), Cell("1")) for number in range(1, 121))
    columns = (Column("name"), Column("other", 2, is_figure=True))
    pdf = as_pdf(Document("en", "Report", "", "foot", (Table(columns, rows),)), font)
    pages = words_of(pdf.content, tmp_path).split("\f")
    assert all(f"number {number}\n" in "\n".join(pages) for number in (1, 60, 120))
    assert all(page.count("Display fridge") >= 2 for page in pages[:-1])
    tables = tuple(
        Table(columns, tuple((Cell(f"t{count}-{number}"), Cell("1")) for number in range(count)))
        for count in range(20, 45)
    )
    pages = words_of(as_pdf(Document("en", "Report", "", "foot", tables), font).content, tmp_path).split("\f")
    for count in range(20, 45):
        assert all(page.count(f"t{count}-") != 1 for page in pages), count
