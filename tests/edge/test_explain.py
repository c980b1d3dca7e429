"""``linli-edge meters explain``: what it prints at any width in both languages, and how it guesses."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from linli_core.catalogue import LANGUAGES, Language
from linli_core.codecs.cjt188.control import FUNCTIONS as FUNCTIONS_188
from linli_core.codecs.cjt188.control import IDENTIFIERS as IDENTIFIERS_188
from linli_core.codecs.cjt188.control import type_name
from linli_core.codecs.cjt188.layout import Part as Part188
from linli_core.codecs.dlt645 import Edition
from linli_core.codecs.dlt645.control import ERRORS as ERRORS_645
from linli_core.codecs.dlt645.control import FUNCTIONS as FUNCTIONS_645
from linli_core.codecs.dlt645.dictionary import standard_layout
from linli_core.codecs.explain import Part
from linli_core.codecs.mbus import LongFrame
from linli_core.codecs.mbus.explain import explain as explain_mbus
from linli_core.codecs.mbus.explain_vife import combinable_text, second_combinable_text, vif_text
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.vif import FIRST_EXTENSION, PRIMARY, SECOND_EXTENSION
from linli_core.errors import ConfigError
from linli_edge.cli import main
from linli_edge.decode import DECODERS, dialect_of
from linli_edge.listing import width
from linli_edge.telegrams import explain
from linli_edge.telegrams.dialect import Certainty, Dialect, Recognised
from linli_edge.telegrams.guess import guess
from linli_edge.telegrams.layout import lay_out, wrap
from linli_edge.telegrams.phrases import PhraseBook, phrase_book, translate

TELEGRAM = "6815156808017201000110d7310116000000000c13563412006716"
DAMAGED = TELEGRAM.replace("5634", "5635")

ENGLISH = """\
M-Bus (EN 13757-2, EN 13757-3), 27 bytes
Recognised by: 68, two equal lengths, 68; the checksum is right

   0  68                       start: long frame [EN 13757-2]
   1  15                       length: 21 bytes from the C field on
   2  15                       length: the same again
   3  68                       start: the same again
   4  08                       C field: RSP_UD, answer with data
   5  01                       A field: primary address 1
   6  72                       CI field: long header, variable structure
                               [M-Bus documentation §6.1]
   7  01 00 01 10              identification number: 10010001 [EN 13757-3]
  11  D7 31                    manufacturer: LNW
  13  01                       version: 1
  14  16                       medium: cold water
  15  00                       access number: 0
  16  00                       status: all well
  17  00 00                    signature: none
  19                           record: volume: 123.456 m3
  19  0C                         DIF: 8 digit BCD
                                 [EN 13757-3:2018 §6.3.3 table 4]
  20  13                         VIF: volume, 10^-3 m3 [EN 13757-3:2018 §6.4.2]
  21  56 34 12 00                value: 123.456 m3 [EN 13757-3:2018 annex A]
  25  67                       checksum: right [EN 13757-2]
  26  16                       stop

Nothing is wrong with it.
"""

CHINESE_ON_A_PHONE = """\
  15  00
      访问计数：不予解释：校验和错误
  16  00
      状态：不予解释：校验和错误
  17  00 00
      签名：不予解释：校验和错误
  19  记录：体积
  19  0C
        数据信息域 DIF：8 位 BCD 码
        [EN 13757-3:2018 §6.3.3 table 4]
  20  13
        数值信息域 VIF：体积，10^-3 m3
        [EN 13757-3:2018 §6.4.2]
  21  56 35 12 00
        数值：不予解释：校验和错误
        [EN 13757-3:2018 annex A]
  25  67
      校验和  !! 按字节计算应为 68
      [EN 13757-2]
  26  16
      结束符

第 25 字节有误，校验和：按字节计算应为 68
"""


def test_a_telegram_at_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meters", "explain", "--lang", "en", "--width", "80", TELEGRAM]) == 0
    assert capsys.readouterr().out == ENGLISH


def test_a_damaged_one_on_a_phone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meters", "explain", "--lang", "zh", "--width", "44", "mbus", DAMAGED]) == 1
    assert capsys.readouterr().out.endswith(CHINESE_ON_A_PHONE)


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meters", "explain", "--json", "--lang", "zh", *TELEGRAM[:20].split(), TELEGRAM[20:]]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (shown["protocol"], shown["sound"], shown["bytes"]) == ("mbus", True, TELEGRAM.upper())
    assert shown["recognised_by"] == "68，两个相同的长度，68；校验和正确"
    assert shown["parts"][-3] == {
        "offset": 21,
        "bytes": "56341200",
        "depth": 1,
        "name": "数值",
        "meaning": "123.456 m3",
        "clause": "EN 13757-3:2018 annex A",
        "wrong": "",
    }


def test_from_a_file_and_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").write_bytes(bytes.fromhex(TELEGRAM))
    assert main(["meters", "explain", "--json", "--file", str(tmp_path / "raw")]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TELEGRAM[:10]}\n{TELEGRAM[10:]}\n"))
    assert main(["meters", "explain", "--json", "-"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["mbsu", TELEGRAM],
            'meters explain: no protocol is called "mbsu"; did you mean "mbus"? known: ' + ", ".join(sorted(DECODERS)),
        ),
        (
            [],
            (
                "meters explain: there is no telegram; "
                "give its bytes as hexadecimal digits, or --file FILE, or - for standard input"
            ),
        ),
        (
            ["mbus", "681"],
            "meters explain: 3 digits are no whole bytes; give the telegram's bytes as hexadecimal digits",
        ),
        (
            ["0001"],
            "meters explain: no protocol known here begins like this; name the protocol first: "
            + ", ".join(sorted(DECODERS)),
        ),
    ],
)
def test_command_lines_that_make_no_sense(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meters", "explain", "--lang", "en", *words]) == 2
    assert capsys.readouterr().err == text + "\n"


def dialect(certainty: Certainty | None, reason: str = "") -> Dialect:
    recognised = None if certainty is None else Recognised(certainty, reason)
    return Dialect("Test", lambda *_: [], lambda *_: [], lambda _: recognised)


def test_the_surest_protocol_is_guessed() -> None:
    shaped, checked, no = dialect(Certainty.SHAPED), dialect(Certainty.CHECKED), dialect(None)
    found = guess(b"", [("a", shaped), ("b", checked), ("c", no)])
    assert [one.protocol for one in found] == ["b"]
    assert [one.protocol for one in guess(b"", [("a", shaped), ("b", shaped)])] == ["a", "b"]
    assert guess(b"", [("c", no)]) == []


def test_what_may_be_several_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = dialect(Certainty.CHECKED, "its sum is right")
    known = dict.fromkeys(DECODERS, dialect(None)) | {"mbus": twin}
    known["twin"] = twin
    monkeypatch.setattr(explain, "DECODERS", dict.fromkeys(known))
    monkeypatch.setattr(explain, "dialect_of", lambda protocol, _where: known[protocol])
    monkeypatch.setattr(explain, "translate", lambda text, *_: text)
    with pytest.raises(ConfigError) as caught:
        explain.run(argparse.Namespace(words=["00"], file=None, key=[], auth_key=[], json=False, width=80), "en")
    assert str(caught.value) == (
        "meters explain: it may be several: mbus (its sum is right); twin (its sum is right); "
        "name the protocol first: mbus / twin"
    )


@pytest.mark.parametrize("protocol", sorted(DECODERS))
def test_each_dialect_tells_any_bytes_whole_and_recognises_no_noise(protocol: str) -> None:
    spoken = dialect_of(protocol, "test")
    assert spoken.title
    assert spoken.recognise(b"") is None
    assert spoken.recognise(b"\x00\x01\x02") is None


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 120])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_wider_than_the_screen(columns: int, language: Language, capsys: pytest.CaptureFixture[str]) -> None:
    data = encode_frame(LongFrame(8, 1, 0x78, bytes.fromhex("0D78 14 " + "41" * 20 + "0C13 56341200 0F" + "AB" * 30)))
    main(["meters", "explain", "--lang", language, "--width", str(columns), data.hex()])
    for line in capsys.readouterr().out.splitlines():
        # A clause is not torn apart, whatever the width.
        assert width(line) <= columns or "[" in line, line


def test_wrapping() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("abcdefgh ij", 4) == ["abcd", "efgh", "ij"]
    assert wrap("一二三，四五", 6) == ["一二三，", "四五"]
    assert wrap("", 8) == [""]


def test_rows_of_bytes_and_of_text_go_on_beside_each_other() -> None:
    part = Part(0, bytes(range(10)), "data")
    assert lay_out([part], ["one two three four five six"], 60) == [
        "   0  00 01 02 03 04 05 06 07  one two three four five six",
        "      08 09",
    ]


def test_translation_takes_texts_apart() -> None:
    assert translate("volume, 10^-3 m3", "mbus", "zh") == "体积，10^-3 m3"
    assert translate("volume, 10^-3 m3", "mbus", "en") == "volume, 10^-3 m3"
    assert (
        translate("date of the begin of the last time beyond the upper limit", "mbus", "zh") == "末次越过上限的开始日期"
    )
    assert translate("record error: no data available", "mbus", "zh") == "记录错误：无可用数据"
    assert translate("not in the book", "mbus", "zh") == "not in the book"


def untranslated(text: str, book: PhraseBook) -> bool:
    """Tell whether a text of words stays as it is."""
    return any(len(word) > 4 and word.isascii() and word.isalpha() for word in book.translate(text).split())


def test_every_code_of_the_tables_is_said_in_chinese() -> None:
    book = phrase_book("mbus")
    texts = {vif_text(vif) for table in (PRIMARY, FIRST_EXTENSION, SECOND_EXTENSION) for vif in table.values()}
    texts |= {combinable_text(code)[0] for code in range(0x80)} | {
        second_combinable_text(code)[0] for code in range(0x80)
    }
    left = {text for text in texts if untranslated(text.removesuffix("currency").removesuffix("bit times"), book)}
    assert left == set()


@pytest.mark.vectors
def test_every_part_of_recorded_frames_has_a_chinese_name(vectors: Path) -> None:
    book = phrase_book("mbus")
    names = set()
    for path in sorted((vectors / "mbus").glob("*.json")):
        data = bytes.fromhex(json.loads(path.read_text())["input"]["data"])
        names |= {part.name for part in explain_mbus(data)}
    assert {name for name in names if not book.knows(name)} == set()


def test_what_chinese_meters_say_is_said_in_chinese() -> None:
    book = phrase_book("dlt645")
    texts = {text for names in FUNCTIONS_645.values() for text in names.values()}
    texts |= {text for errors in ERRORS_645.values() for _, text in errors}
    for edition, identifiers in (
        (Edition.E2007, [*range(0x00000000, 0x00C00000, 0x10000), *range(0x01010000, 0x010B0000, 0x10000)]),
        (Edition.E2007, [0x0000FFFF, *range(0x0201FF00, 0x02090000, 0x10000), 0x020AFFFF, 0x020BFFFF, 0x028000FF]),
        (Edition.E2007, [di2 << 16 | 0x03000000 | di1 << 8 for di2 in range(0x31) for di1 in range(0x10)]),
        (Edition.E2007, [0x04000100 | low for low in range(0x500)] + [0x04800001, 0x04800002, 0x04800003, 0x040005FF]),
        (Edition.E2007, [0x05000001 | di2 << 16 | di1 << 8 for di2 in range(8) for di1 in range(0x11)]),
        (Edition.E2007, [0x00900100, 0x00900101, 0x00900200, 0x00900201]),
        (Edition.E1997, range(0x9000, 0xD000)),
    ):
        for identifier in identifiers:
            texts |= {item.en for item in standard_layout(edition, identifier)}
    assert len(texts) > 500
    assert {text for text in texts if untranslated(text.replace("imp/kvarh", ""), book)} == set()
    names = {type_name(code) for code in range(256)} | set(IDENTIFIERS_188.values()) | set(FUNCTIONS_188.values())
    names |= {part.value for part in Part188}
    assert {name for name in names if untranslated(name, phrase_book("cjt188"))} == set()
