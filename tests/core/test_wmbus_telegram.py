"""Radio telegrams whole: every protection, wrong keys, compact frames, duplicates."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus import (
    Formats,
    KeyFault,
    Telegram,
    UnknownFormat,
    decode_frame,
    decode_telegram,
    protection,
)
from linli_core.codecs.wmbus.duplicates import Duplicates
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_compact,
    encode_derived,
    encode_frame,
    encode_plain,
    encode_session,
)
from linli_core.codecs.wmbus.telegram import KeyOf
from linli_core.errors import LinliError, ProtocolError
from linli_core.instant import SECOND
from linli_edge.ciphers import AES

KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
OTHER = bytes(15) + b"\x01"
METER = Meter(Identity("12345678", "LIN", 0x01, 0x07), access_number=0x2A)
BEHIND = Meter(Identity("12345678", "LIN", 0x01, 0x07), 0x2A, module=Identity("00000042", "MOD", 0x03, 0x37))


def record(number: int, storage: int = 0) -> bytes:
    vib = encode_vib(Measurand.VOLUME, "m3", -3)
    return encode_dib(0xC, storage=storage) + vib + encode_number(0xC, number)


RECORDS = record(12345) + record(12000, storage=1)
FULL = b"\x78" + RECORDS


def opened(key: bytes | None) -> KeyOf:
    return lambda identity: key if identity == METER.identity else None


def values(telegram: Telegram) -> list[Decimal]:
    return [each.value for each in telegram.records if isinstance(each.value, Decimal)]


PROTECTED = {
    "mode 5": encode_cbc(METER, RECORDS, AES, KEY),
    "mode 5, long header": encode_cbc(BEHIND, RECORDS, AES, KEY),
    "mode 7": encode_derived(METER, RECORDS, AES, KEY, 77),
    "mode 7, long header": encode_derived(BEHIND, RECORDS, AES, KEY, 78),
    "session": encode_session(METER, FULL, AES, KEY, 5),
}


def test_a_plain_telegram_needs_no_key() -> None:
    telegram = decode_telegram(encode_plain(METER, RECORDS), AES)
    assert values(telegram) == [Decimal("12.345"), Decimal("12.000")]
    assert (telegram.identity, telegram.access_number, telegram.opened) == (METER.identity, 0x2A, False)


@pytest.mark.parametrize("data", PROTECTED.values(), ids=list(PROTECTED))
def test_the_key_opens_what_is_protected(data: bytes) -> None:
    telegram = decode_telegram(data, AES, opened(KEY))
    assert values(telegram) == [Decimal("12.345"), Decimal("12.000")]
    assert telegram.opened
    assert telegram.identity == METER.identity


@pytest.mark.parametrize("key", [None, OTHER])
@pytest.mark.parametrize("data", PROTECTED.values(), ids=list(PROTECTED))
def test_without_the_key_there_are_no_values(data: bytes, key: bytes | None) -> None:
    with pytest.raises(KeyFault) as caught:
        decode_telegram(data, AES, opened(key))
    assert caught.value.kind == "key"


@pytest.mark.parametrize("name", ["mode 7", "session"])
def test_what_is_authenticated_gives_no_value_with_any_bit_changed(name: str) -> None:
    data = PROTECTED[name]
    whole = values(decode_telegram(data, AES, opened(KEY)))
    for place in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            flipped = bytearray(data)
            flipped[place] ^= mask
            try:
                telegram = decode_telegram(bytes(flipped), AES, lambda _: KEY)
            except LinliError:
                continue
            # What no proof covers, as the C field: the values are the meter's all the same.
            assert values(telegram) == whole, f"byte {place}"


@pytest.mark.parametrize("data", [*PROTECTED.values(), encode_plain(METER, RECORDS)])
def test_every_cut_is_refused_by_name(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(ProtocolError):
            decode_telegram(data[:size], AES, opened(KEY))
    for size in range(11, len(data)):  # and with a length that lies for it
        cut = bytes((size - 1,)) + data[1:size]
        try:
            telegram = decode_telegram(cut, AES, opened(KEY))
        except LinliError:
            continue
        assert values(telegram) in ([], [Decimal("12.345")])


@given(st.binary(min_size=1, max_size=250), st.sampled_from([None, KEY]))
def test_any_content_gives_a_telegram_or_a_named_error(content: bytes, key: bytes | None) -> None:
    with suppress(LinliError):
        decode_telegram(encode_frame(METER.sender, content[:240]), AES, lambda _: key)


@given(
    st.sampled_from(sorted({0x72, 0x78, 0x79, 0x7A, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0xA2, 0xB6})), st.binary(max_size=200)
)
def test_any_content_behind_a_known_field_too(ci: int, data: bytes) -> None:
    with suppress(LinliError):
        decode_telegram(encode_frame(METER.sender, bytes((ci,)) + data), AES, lambda _: KEY)


def test_a_text_that_only_looks_decrypted_is_refused_where_there_is_a_key() -> None:
    plain = encode_frame(METER.sender, METER.header(5 << 8 | 1 << 4) + b"\x2f\x2f" + record(1) + b"\x2f" * 8)
    assert values(decode_telegram(plain, AES)) == [Decimal("0.001")]
    with pytest.raises(KeyFault):
        decode_telegram(plain, AES, opened(KEY))


def test_fewer_blocks_than_the_header_says_are_refused() -> None:
    short = encode_frame(METER.sender, METER.header(5 << 8 | 3 << 4) + bytes(32))
    with pytest.raises(ProtocolError, match="48 bytes are encrypted, there are 32") as caught:
        decode_telegram(short, AES, opened(KEY))
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize("mode", [1, 2, 3, 4, 8, 13, 31])
def test_a_mode_that_is_not_known_gives_no_records(mode: int) -> None:
    data = encode_frame(METER.sender, METER.header(mode << 8 | 1 << 4) + record(1) + bytes(9))
    with pytest.raises(ProtocolError, match=f"security mode {mode} is not known"):
        decode_telegram(data, AES, opened(KEY))


@pytest.mark.parametrize("mode", [8, 9, 10, 13])
@pytest.mark.parametrize("low", [0x00, 0x05], ids=["no count", "a length"])
@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "a key"])
def test_a_mode_that_counts_no_blocks_gives_no_records(mode: int, low: int, key: bytes | None) -> None:
    data = encode_frame(METER.sender, METER.header(mode << 8 | low) + record(1))
    with pytest.raises(ProtocolError, match=f"security mode {mode} is not known") as caught:
        decode_telegram(data, AES, opened(key))
    assert caught.value.kind == "unsupported"
    assert protection(decode_frame(data)) == f"mode {mode}"
    handed_on = encode_frame(METER.sender, METER.header(mode << 8 | low) + b"\x2f\x2f" + record(1))
    assert values(decode_telegram(handed_on, AES)) == [Decimal("0.001")]


def test_a_message_of_mode_7_without_its_code_is_refused() -> None:
    data = PROTECTED["mode 7"]
    fields = b"\x00\x28" + data[17:22]
    bare = encode_frame(METER.sender, data[10:13] + b"\x90" + bytes((len(fields),)) + fields + data[30:])
    with pytest.raises(ProtocolError, match="without counter and code") as caught:
        decode_telegram(bare, AES, opened(KEY))
    assert caught.value.kind == "unsupported"


def test_a_compact_frame_needs_the_full_one_first() -> None:
    formats = Formats()
    full = record(12345) + record(12000, storage=1)
    later = record(12399) + record(12000, storage=1)
    compact = encode_session(METER, encode_compact(later), AES, KEY, 6)
    with pytest.raises(UnknownFormat, match="no full frame with signature"):
        decode_telegram(compact, AES, opened(KEY), formats)
    decode_telegram(encode_session(METER, b"\x78" + full, AES, KEY, 5), AES, opened(KEY), formats)
    telegram = decode_telegram(compact, AES, opened(KEY), formats)
    assert telegram.compact
    assert values(telegram) == [Decimal("12.399"), Decimal("12.000")]


def test_a_compact_frame_whose_checksum_is_wrong_gives_no_value() -> None:
    formats = Formats()
    decode_telegram(encode_plain(METER, RECORDS), AES, formats=formats)
    content = bytearray(encode_compact(RECORDS))
    for place in range(3, len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x01
        with pytest.raises(ProtocolError):
            decode_telegram(encode_frame(METER.sender, bytes(changed)), AES, formats=formats)


def test_formats_are_forgotten_when_there_are_too_many() -> None:
    formats = Formats()
    for number in range(400):
        formats.learn_headers((bytes((0x04, 0x13)), number.to_bytes(2, "little")))
    assert len(formats) == 256


def test_the_same_telegram_through_a_repeater_is_a_duplicate() -> None:
    duplicates = Duplicates()
    telegram = decode_telegram(encode_plain(METER, RECORDS), AES)
    again = decode_telegram(encode_plain(Meter(METER.identity, 0x2B), RECORDS), AES)
    assert [duplicates.is_duplicate(telegram, second * SECOND) for second in (100, 103, 109)] == [False, True, True]
    assert not duplicates.is_duplicate(again, 104 * SECOND)
    assert duplicates.seen == 2


def test_the_access_number_comes_round() -> None:
    duplicates = Duplicates()
    telegram = decode_telegram(encode_plain(METER, RECORDS), AES)
    assert not duplicates.is_duplicate(telegram, 100 * SECOND)
    assert not duplicates.is_duplicate(telegram, 110 * SECOND)
    assert not duplicates.is_duplicate(telegram, 50 * SECOND), "a clock set back hides no telegram"


def test_two_meters_may_have_the_same_access_number() -> None:
    duplicates = Duplicates()
    other = Meter(Identity("87654321", "LIN", 0x01, 0x07), access_number=0x2A)
    for meter in (METER, other):
        assert not duplicates.is_duplicate(decode_telegram(encode_plain(meter, RECORDS), AES), 100 * SECOND)
