"""Line protocol: there and back, wrong by its line's number, never an exception whatever the bytes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason
from linli_core.wire.line_protocol import LineLimits, Precision, escaped, line, parse

NS = 1_795_000_000_123_456_789
WHOLE = rb"""# a comment, then an empty line

weather,location=us-midwest,season=summer temperature=82 1795000000123456789
air\ quality\,indoor,room\=no=1\ a,site=c\,d pm\ 2.5=3.5e1,ok=t,count=-5i,big=18446744073709551615u 1795000000123456789
note text="a \"quoted\" word, a \\ and a = sign",more="" 1795000000123456789
bare value=.5
back\slash,t=a\b f="c\d" 1795000000123456789
"""


def test_lines_become_points() -> None:
    parsed = parse(WHOLE)
    assert not parsed.bad
    told = [(p.number, p.measurement, dict(p.tags), dict(p.fields), p.time) for p in parsed.points]
    at = NS // 1_000
    assert told == [
        (3, "weather", {"location": "us-midwest", "season": "summer"}, {"temperature": 82.0}, at),
        (
            4,
            "air quality,indoor",
            {"room=no": "1 a", "site": "c,d"},
            {"pm 2.5": 35.0, "ok": True, "count": -5, "big": 18446744073709551615},
            at,
        ),
        (5, "note", {}, {"text": 'a "quoted" word, a \\ and a = sign', "more": ""}, at),
        (6, "bare", {}, {"value": 0.5}, None),
        (7, "back\\slash", {"t": "a\\b"}, {"f": "c\\d"}, at),
    ]


def test_a_number_with_i_is_whole_and_one_without_is_not() -> None:
    (point,) = parse(b"m a=1i,b=1,c=1u 1").points
    assert [type(value) for value in point.fields.values()] == [int, float, int]


@pytest.mark.parametrize(
    ("written", "stamp", "instant"),
    [
        ("ns", 1_999, 1),
        ("n", -1, -1),
        ("u", 5, 5),
        ("us", 5, 5),
        ("µ", 5, 5),
        ("ms", 5, 5_000),
        ("s", 5, 5_000_000),
        ("m", 5, 300_000_000),
        ("h", 5, 18_000_000_000),
    ],
)
def test_a_timestamp_means_what_the_precision_says(written: str, stamp: int, instant: int) -> None:
    (point,) = parse(b"m v=1 %d" % stamp, Precision.of(written)).points
    assert point.time == instant


def test_an_unknown_precision_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="no precision is called 'fortnight'; known: ns, us, ms, s, m, h, n, u, µ"):
        Precision.of("fortnight")


BAD = [
    (b"m", "line 1: no field: a space and field=value are wanted after measurement and tags: found 'm'"),
    (b",a=b v=1", "line 1: an empty measurement: found ''"),
    (b"m,a v=1", "line 1: a tag is key=value: found 'a'"),
    (b"m,a=b=c v=1", "line 1: a tag is key=value: found 'a=b=c'"),
    (b"m,=b v=1", "line 1: an empty tag's key: found ''"),
    (b"m,a= v=1", "line 1: an empty value of tag 'a': found ''"),
    (b"m,a=1,a=2 v=1", "line 1: a tag that stands twice: found 'a'"),
    (b"m v", "line 1: a field is key=value: found 'v'"),
    (b"m v=1 x=2", "line 1: a timestamp is a whole number of 64 bits: found 'x=2'"),
    (b"m v=1, 5", "line 1: a field is key=value: found ' 5'"),
    (b"m v=1,v=2", "line 1: a field that stands twice: found 'v'"),
    (b"m =1", "line 1: an empty field's key: found ''"),
    (b"m v=", "line 1: field 'v' has no value that can be read: found ''"),
    (b"m v=abc", "line 1: field 'v' has no value that can be read: found 'abc'"),
    (b"m v=0x1F", "line 1: field 'v' has no value that can be read: found '0x1F'"),
    (b"m v=1_000", "line 1: field 'v' has no value that can be read: found '1_000'"),
    (b"m v=NaN", "line 1: field 'v': 'NaN' is no number that fits"),
    (b"m v=-Inf", "line 1: field 'v': '-Inf' is no number that fits"),
    (b"m v=1e999", "line 1: field 'v': '1e999' is no number that fits"),
    (b"m v=9223372036854775808i", "line 1: field 'v': '9223372036854775808i' is no number that fits"),
    (b"m v=-1u", "line 1: field 'v': '-1u' is no number that fits"),
    (b'm v="abc', "line 1: the text of field 'v' has no end"),
    (b'm v="abc"d', "line 1: after the text of field 'v': found 'd'"),
    (b"m v=1 1.5", "line 1: a timestamp is a whole number of 64 bits: found '1.5'"),
    (b"m v=1 9223372036854775808", "line 1: a timestamp is a whole number of 64 bits: found '9223372036854775808'"),
    (b"m v=\xff", "line 1: no UTF-8 at byte 4"),
    (b"m " + b"v" * 70_000, "line 1: 70002 bytes; a line has 65536 at most"),
    (b"m" * 513 + b" v=1", "line 1: measurement: 513 characters; 512 at most"),
    (b'm v="' + b"x" * 4_097 + b'"', "line 1: the text of field 'v' has 4097 characters; 4096 at most"),
    (b"m" + b"".join(b",t%d=x" % n for n in range(65)) + b" v=1", "line 1: 65 tags; a line has 64 at most"),
    (b"m " + b",".join(b"f%d=1" % n for n in range(1_025)), "line 1: more fields than the 1024 of one line"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[said[8:40] for _, said in BAD])
def test_a_bad_line_says_where_and_what(text: bytes, said: str) -> None:
    parsed = parse(text)
    assert not parsed.points
    (bad,) = parsed.bad
    assert str(bad.refused) == said
    assert (bad.number, bad.line) == (1, text)


def test_one_bad_line_among_ten_thousand_costs_itself_only() -> None:
    lines = [b"m,i=%d v=%d %d" % (number, number, number) for number in range(10_000)]
    lines[6_789] = b"m,i=6789 v=oops 6789"
    parsed = parse(b"\n".join(lines))
    assert len(parsed.points) == 9_999
    assert [(bad.number, bad.refused.reason) for bad in parsed.bad] == [(6_790, RefusalReason.MALFORMED)]
    assert parsed.points[6_789].number == 6_791


def test_a_text_may_hold_line_breaks_and_numbers_go_on_behind_it() -> None:
    parsed = parse(b'm v="one\ntwo\nthree" 1\nn v=2 2\nbad')
    assert [(p.number, p.fields["v"]) for p in parsed.points] == [(1, "one\ntwo\nthree"), (4, 2.0)]
    assert [bad.number for bad in parsed.bad] == [5]


@pytest.mark.parametrize("behind", [b"n v=2 2", b'n v="x" 2'])
def test_a_text_without_an_end_costs_its_own_line_only(behind: bytes) -> None:
    parsed = parse(b'a v=1 1\nm v="abc 1\n' + behind)
    assert [p.number for p in parsed.points] == [1, 3]
    assert [bad.number for bad in parsed.bad] == [2]


def test_what_stands_in_the_text_of_a_bad_line_is_no_line_of_its_own() -> None:
    parsed = parse(b'm v="said\nenergy_import v=1 1\nand" nonsense\nn v=2 2')
    assert [p.measurement for p in parsed.points] == ["n"]
    assert [bad.number for bad in parsed.bad] == [1]


def test_a_body_of_nothing_but_beginnings_is_not_looked_at_for_ever() -> None:
    parsed = parse(b'a b="x\n' * 100_000)
    assert len(parsed.bad) + parsed.unnamed > 90_000
    assert len(parsed.bad) <= 1_000


def test_bad_lines_beyond_the_bound_are_counted() -> None:
    parsed = parse(b"bad\n" * 7, limits=LineLimits(bad=3))
    assert ([bad.number for bad in parsed.bad], parsed.unnamed) == ([1, 2, 3], 4)


def test_the_ends_of_lines_may_be_windows_own() -> None:
    assert [dict(p.fields) for p in parse(b'm v="a" 1\r\nm v=2 2\r\n').points] == [{"v": "a"}, {"v": 2.0}]


@given(st.integers(0, len(WHOLE)))
def test_a_body_cut_anywhere_keeps_the_lines_before_the_cut(cut: int) -> None:
    whole, parsed = parse(WHOLE).points, parse(WHOLE[:cut])
    complete = [p for p in whole if WHOLE[:cut].count(b"\n") >= p.number]
    assert parsed.points[: len(complete)] == complete
    assert len(parsed.points) + len(parsed.bad) <= len(complete) + 1


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_byte_flipped_anywhere_raises_nothing(place: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    parse(bytes(damaged))


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing(body: bytes) -> None:
    parse(body)


def sayable(name: str) -> bool:
    try:
        escaped(name)
    except ValueError:
        return False
    return not name.startswith("#") and "\r" not in name


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1, max_size=20).filter(
    sayable
)
VALUES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
)


@given(
    NAMES,
    st.dictionaries(NAMES, NAMES, max_size=4),
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_what_is_written_is_read(
    measurement: str, tags: dict[str, str], fields: dict[str, float | str | bool], stamp: int
) -> None:
    text = line(measurement, tags, fields, stamp)
    parsed = parse(f"a v=1 1\n{text}\nb v=1 1".encode())
    assert not parsed.bad
    point = parsed.points[1]
    assert (point.measurement, dict(point.tags), dict(point.fields)) == (measurement, tags, fields)
    assert point.time == stamp // 1_000


@pytest.mark.parametrize("name", ["", "a\nb", "a\\", "a\\,b"])
def test_a_name_that_the_form_cannot_carry_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be said in line protocol"):
        escaped(name)


def test_a_line_without_a_field_or_with_a_number_that_is_none_is_not_written() -> None:
    with pytest.raises(ValueError, match="has no field"):
        line("m", {}, {}, 1)
    with pytest.raises(ValueError, match="nan cannot be said"):
        line("m", {}, {"v": math.nan}, 1)
