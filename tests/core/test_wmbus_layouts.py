"""Private layouts: every file reads what it says, refuses what is too short, and is in the documentation."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus import MeterTime
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.makers import bundled as makers
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus import KeyFault, Telegram, decode_telegram, prios
from linli_core.codecs.wmbus.codings import CODINGS, SIZES
from linli_core.codecs.wmbus.encode import encode_frame
from linli_core.codecs.wmbus.frame import encode_sender
from linli_core.codecs.wmbus.layout import parse_layout
from linli_core.codecs.wmbus.layouts import bundled
from linli_core.codecs.wmbus.schemes import SCHEMES
from linli_core.errors import ConfigError, LinliError, ProtocolError
from linli_edge.ciphers import AES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wmbus-layouts.md"
KEY = bytes(range(16))


def decoded(maker: str, version: int, medium: int, content: str, key: bytes | None = None) -> Telegram:
    sender = encode_sender(Identity("12345678", maker, version, medium))
    return decode_telegram(encode_frame(sender, bytes.fromhex(content)), AES, lambda _: key)


def said(telegram: Telegram) -> list[tuple[str, int, str]]:
    return [
        (record.header.measurand.value, record.header.storage, str(record.value))
        for record in telegram.records
        if record.header.measurand is not Measurand.MANUFACTURER_DATA
    ]


CASES = {
    "apator-08": ("APT", 0x03, 0x03, "A0 B80B0000 0000", [("volume", 0, "1.000")]),
    "apator-162": (
        "APA",
        0x05,
        0x07,
        "7A 00000000 0F 00000000000000 43 0102 10 39300000 FFFF",
        [("volume", 0, "12.345")],
    ),
    "apator-eitn": (
        "APA",
        0x04,
        0x08,
        "A0 A10000 0700 0000 0900 2133 8016 8015",
        [
            ("heat_cost", 1, "7"),
            ("heat_cost", 0, "9"),
            ("date", 0, "2025-09-01"),
            ("external_temperature", 0, "21.5"),
            ("external_temperature", 1, "22.5"),
            ("date", 0, "None"),
        ],
    ),
    "techem-compact5": (
        "TCH",
        0x45,
        0x43,
        "A1 00 9F33 E80300 00 0A0000",
        [("energy", 1, "1.000E+6"), ("energy", 0, "1.0E+4"), ("energy", 0, "1010000"), ("date", 1, "2025-12-31")],
    ),
    "techem-fhkv3": (
        "TCH",
        0x69,
        0x80,
        "A0 00 9F33 6400 1002 0C00 9808 B108",
        [
            ("heat_cost", 0, "12"),
            ("heat_cost", 1, "100"),
            ("date", 1, "2025-12-31"),
            ("date", 0, "2026-01-01"),
            ("external_temperature", 0, "22.00"),
            ("flow_temperature", 0, "22.25"),
        ],
    ),
    "gwf-rcm": ("GWF", 0x01, 0x0E, "7A 00000000 0F 0100A8", [("battery_remaining", 0, str(21 * 15_778_800))]),
    "zenner-0b": (
        "ZRI",
        0x0B,
        0x16,
        "7A 00000000 0F 00000000 00010000 00030000 00",
        [("volume", 0, "0.003"), ("volume", 1, "0.001")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layout_reads_what_its_bytes_say(name: str) -> None:
    maker, version, medium, content, expected = CASES[name]
    telegram = decoded(maker, version, medium, content)
    assert telegram.layout == name
    assert not telegram.private
    assert said(telegram) == expected
    part = telegram.records[-1]
    assert part.header.measurand is Measurand.MANUFACTURER_DATA
    assert bytes.fromhex(content).endswith(part.data), "the part is kept raw besides"


@pytest.mark.parametrize("name", CASES)
def test_a_layout_refuses_what_is_cut(name: str) -> None:
    maker, version, medium, content, expected = CASES[name]
    whole = bytes.fromhex(content)
    for size in range(1, len(whole)):
        with suppress(ProtocolError):
            found = said(decoded(maker, version, medium, whole[:size].hex()))
            assert set(found) <= set(expected)


def test_another_version_of_the_same_maker_is_not_read_by_a_layout() -> None:
    telegram = decoded("APT", 0x77, 0x03, "A0 B80B0000 0000")
    assert telegram.private
    assert telegram.records[0].data.hex() == "b80b00000000"
    assert said(telegram) == []


def test_prios_needs_no_key_and_proves_its_first_byte() -> None:
    head = bytes.fromhex("2423 8607 75035048 A2 515200 15".replace(" ", ""))
    plain = b"\x4b" + (12345).to_bytes(4, "little") + (12000).to_bytes(4, "little") + bytes.fromhex("af2b")
    start = prios.register_start(prios.FACTORY_KEYS[0], head[:12])
    content = head[8:] + prios.unscramble(start, plain)
    telegram = decode_telegram(encode_frame(head[:8], content), AES)
    assert telegram.identity == Identity("48500375", "HYD", 0x86, 0x07)
    assert said(telegram)[:3] == [("volume", 0, "12.345"), ("volume", 1, "12.000"), ("date", 1, "2021-11-15")]
    for place in range(len(content) - len(plain), len(content) - len(plain) + 1):
        changed = bytearray(content)
        changed[place] ^= 0x01
        with pytest.raises(KeyFault, match="first byte 4B"):
            decode_telegram(encode_frame(head[:8], bytes(changed)), AES)


def test_a_payload_that_needs_the_meters_key_is_not_read_without_it() -> None:
    sender = encode_sender(Identity("04913581", "APA", 0x14, 0x07))
    plain = bytes.fromhex("2f 0b 4fa800 00 00000000 00 00 0000 00 80".replace(" ", ""))
    sealed = AES.cbc_encrypt(KEY, sender + b"\x05" * 8, plain)
    data = encode_frame(sender, b"\xa0\x05\x00" + sealed)
    assert ("volume", 0, "689.403") in said(decode_telegram(data, AES, lambda _: KEY))
    for key, why in ((None, "no key is given"), (bytes(16), "start with 2F")):
        with pytest.raises(KeyFault, match=why):
            decode_telegram(data, AES, {Identity("04913581", "APA", 0x14, 0x07): key}.get)


@given(st.sampled_from(sorted(bundled())), st.binary(max_size=120))
def test_any_bytes_give_records_or_a_named_error(name: str, part: bytes) -> None:
    with suppress(LinliError):
        bundled()[name].read(part)


@given(st.sampled_from(sorted(CODINGS)), st.binary(min_size=1, max_size=6))
def test_a_coding_takes_any_bytes_of_its_size(name: str, data: bytes) -> None:
    for size in SIZES.get(name, (len(data),)):
        CODINGS[name](data.ljust(size, b"\x00")[:size])


def test_days_follow_the_earlier_date() -> None:
    assert CODINGS["day_month"](bytes.fromhex("9f2759 00b029".replace(" ", ""))) == MeterTime((2020, 4, 27))
    assert CODINGS["packed_date"](bytes.fromhex("9f33")) == MeterTime((2025, 12, 31))
    assert CODINGS["packed_date"](bytes(2)) is None


def test_there_are_enough_and_each_says_by_what_it_is_proved() -> None:
    assert len(bundled()) >= 20
    assert len(makers()) >= 3
    for identifier, layout in bundled().items():
        assert "recorded telegram" in layout.file.verified, identifier
        assert layout.file.scheme in {"", *SCHEMES}, identifier
        assert layout.file.zh
        assert layout.file.en


def test_the_documentation_lists_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for identifier, layout in bundled().items():
        assert f"| `{identifier}` | {layout.file.zh} | {layout.file.en} | {layout.file.verified} |" in text
    for identifier, maker in makers().items():
        assert f"| `{identifier}` | {maker.models} | {maker.verified} |" in text


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"maker": "x"}, "missing required field"),
        (
            {
                "fields": [{"measurand": "volume", "at": 0, "coding": "morse"}],
            },
            "unknown coding 'morse'; use one of",
        ),
        (
            {"fields": [{"measurand": "date", "at": 0, "coding": "packed_date"}]},
            "1 bytes of packed_date; write size = 2",
        ),
        ({"fields": [{"measurand": "volume"}]}, "the field has no place; write at, tag or sum"),
        ({"fields": [{"measurand": "volumen", "at": 0}]}, "Invalid enum value 'volumen'"),
        ({"fields": [{"measurand": "volume", "at": 0, "repeat": {"count": 99, "step": 1}}]}, "write 1 to 64"),
    ],
)
def test_a_layout_that_is_wrong_says_where(table: dict[str, object], why: str) -> None:
    if "fields" in table:
        match = {"manufacturer": ["LIN"], "where": "tail"}
        table = {"maker": "", "model": "", "zh": "", "en": "", "verified": "", "match": match} | table
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        parse_layout("mine", table)
    assert why in str(caught.value)


def test_numbers_are_exact() -> None:
    telegram = decoded("APT", 0x03, 0x03, "A0 F2421400")
    value = telegram.records[0].value
    assert isinstance(value, Decimal)
    assert str(value).startswith("442.6")
