import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.mbus import Ack, Identity, MbusCodec, ShortFrame
from linli_core.codecs.mbus.request import (
    Secondary,
    application_reset,
    decode_selection,
    parse_secondary,
    request_data,
    reset,
    select,
)

METER = Identity("11490378", "ACW", 14, 0x16)

SECONDARIES = st.builds(
    Secondary,
    st.from_regex(r"[0-9F]{8}", fullmatch=True),
    st.one_of(st.just(""), st.from_regex(r"[A-Z]{3}", fullmatch=True)),
    st.one_of(st.none(), st.integers(0, 254)),
    st.one_of(st.none(), st.integers(0, 254)),
)


def wire(request: object) -> str:
    return MbusCodec().encode(request).hex(" ").upper()  # type: ignore[arg-type]


def test_requests_on_the_wire() -> None:
    assert wire(reset(1)) == "10 40 01 41 16"
    assert wire(request_data(1, frame_count=True)) == "10 7B 01 7C 16"
    assert wire(request_data(1, frame_count=False)) == "10 5B 01 5C 16"
    assert wire(application_reset(1)) == "68 03 03 68 53 01 50 A4 16"
    assert wire(select(Secondary("11490378"))) == "68 0B 0B 68 53 FD 52 78 03 49 11 FF FF FF FF 73 16"


def test_the_codec_finds_the_answers() -> None:
    codec = MbusCodec()
    codec.receive(b"\xe5\x10\x5b")
    assert codec.next_event() == Ack()
    codec.receive(b"\x01\x5c\x16")
    assert codec.next_event() == ShortFrame(0x5B, 1)


@given(SECONDARIES)
def test_a_selection_comes_back(secondary: Secondary) -> None:
    assert decode_selection(select(secondary).data) == secondary


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("11490378", True),
        ("1149037877040E16", True),
        ("FFFFFFFFFFFFFFFF", True),
        ("114903FF", True),
        ("11490379", False),
        ("1149037877040E07", False),
        ("11490378FFFF0F16", False),
        ("114903782D2C0E16", False),
    ],
)
def test_who_may_answer_a_selection(text: str, fits: bool) -> None:
    assert parse_secondary(text).matches(METER) is fits


@pytest.mark.parametrize("text", ["", "1149037", "114903781", "1149037G", "1149037877040E1"])
def test_what_is_no_secondary_address(text: str) -> None:
    with pytest.raises(ValueError, match="8 or 16 hexadecimal digits"):
        parse_secondary(text)
