"""Reading TOML tables: what is right comes back typed, what is wrong is named with its place and its remedy."""

import tomllib
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_edge.config.file import load_toml
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.config.units import parse_duration, parse_size, show_duration, show_size


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def table(text: str) -> Table:
    return Table(tomllib.loads(text), "links[0]")


def mistakes(read: Table) -> list[str]:
    return [str(error) for error in read.mistakes()]


class TestRight:
    def test_values_come_back_typed(self) -> None:
        read = table("""
            name = "x"
            id = "meter-1"
            on = true
            count = 3
            ratio = 2
            wait = "1.5 s"
            room = "2 MiB"
            colour = "blue"
            numbers = [1, 2]
            words = ["a", "b"]
            [inner]
            deep = 1
            [[items]]
            number = 1
            [[items]]
            number = 2
        """)
        assert read.text("name", pattern="[a-z]") == "x"
        assert read.ident() == "meter-1"
        assert read.boolean("on") is True
        assert read.integer("count", minimum=3, maximum=3) == 3
        assert read.number("ratio") == 2.0
        assert read.duration("wait") == 1_500_000
        assert read.size("room") == 2 * 1024**2
        assert read.choice("colour", ("red", "blue")) == "blue"
        assert read.member("colour", Colour) is Colour.BLUE
        assert read.integers("numbers", minimum=1) == (1, 2)
        assert read.texts("words") == ("a", "b")
        assert read.table("inner").integer("deep") == 1
        assert [item.integer("number") for item in read.tables("items")] == [1, 2]
        assert [item.where for item in read.tables("items")] == ["links[0].items[0]", "links[0].items[1]"]
        assert mistakes(read) == []

    def test_absent_keys_take_their_default(self) -> None:
        read = table("")
        assert read.text("a", None) is None
        assert read.ident("b", "x") == "x"
        assert read.boolean("c", default=True) is True
        assert read.integer("d", 7) == 7
        assert read.number("e", None) is None
        assert read.duration("f", SECOND) == SECOND
        assert read.size("g", 5) == 5
        assert read.choice("h", ("x", "y"), "y") == "y"
        assert read.member("i", Colour, None) is None
        assert read.integers("j", ()) == ()
        assert read.texts("k", None) is None
        assert read.tables("l") == []
        assert read.table("m").integer("n", 1) == 1
        assert "o" not in read
        assert mistakes(read) == []


class TestWrong:
    @pytest.mark.parametrize(
        ("value", "ask", "text"),
        [
            ("5", lambda t: t.text("k"), "links[0].k: found 5; write a text in quotes"),
            ('""', lambda t: t.text("k"), 'links[0].k: found ""; write a text in quotes'),
            ('"b"', lambda t: t.text("k", pattern="a+"), 'links[0].k: found "b"; write a text that matches a+'),
            (
                '"Zähler 1"',
                lambda t: t.ident("k"),
                (
                    'links[0].k: found "Zähler 1"; write lower case letters, digits and hyphens, 63 at most, '
                    'such as "meter-1"'
                ),
            ),
            ('"yes"', lambda t: t.boolean("k"), 'links[0].k: found "yes"; write true or false, without quotes'),
            ('"5"', lambda t: t.integer("k"), 'links[0].k: found "5"; write a whole number'),
            ("true", lambda t: t.integer("k"), "links[0].k: found true; write a whole number"),
            ("0", lambda t: t.integer("k", minimum=1), "links[0].k: found 0; write a whole number of 1 or more"),
            ("9", lambda t: t.integer("k", maximum=8), "links[0].k: found 9; write a whole number of 8 or less"),
            (
                "300",
                lambda t: t.integer("k", minimum=1, maximum=247),
                "links[0].k: found 300; write a whole number from 1 to 247",
            ),
            ("nan", lambda t: t.number("k"), "links[0].k: found NaN; write a number"),
            ("false", lambda t: t.number("k"), "links[0].k: found false; write a number"),
            ("-1", lambda t: t.number("k", minimum=0), "links[0].k: found -1; write a number of 0 or more"),
            (
                '"5 sek"',
                lambda t: t.duration("k"),
                (
                    'links[0].k: found "5 sek"; write a duration with its unit, such as "200 ms", "1 s", "15 min", '
                    '"24 h" or "7 d"'
                ),
            ),
            (
                "5",
                lambda t: t.duration("k"),
                (
                    'links[0].k: found 5; write a duration with its unit, such as "200 ms", "1 s", "15 min", "24 h" '
                    'or "7 d"'
                ),
            ),
            (
                '"1 ms"',
                lambda t: t.duration("k", minimum=SECOND, maximum=HOUR),
                'links[0].k: found "1 ms"; write one from 1 s to 1 h',
            ),
            (
                '"1 GB/s"',
                lambda t: t.size("k"),
                'links[0].k: found "1 GB/s"; write a size with its unit, such as "512 KiB", "64 MiB" or "1 GiB"',
            ),
            ('"1 B"', lambda t: t.size("k", minimum=1024), 'links[0].k: found "1 B"; write one of 1 KiB or more'),
            (
                '"evn"',
                lambda t: t.choice("k", ("none", "even", "odd")),
                'links[0].k: found "evn"; did you mean "even"?',
            ),
            ("5", lambda t: t.choice("k", ("none", "even")), "links[0].k: found 5; choose one of none, even"),
            ('"green"', lambda t: t.member("k", Colour), 'links[0].k: found "green"; choose one of red, blue'),
            (
                '[1, "2"]',
                lambda t: t.integers("k"),
                'links[0].k[1]: found "2"; write a list of whole numbers, such as [1, 2]',
            ),
            ("1", lambda t: t.integers("k"), "links[0].k: found 1; write a list of whole numbers, such as [1, 2]"),
            ("[1]", lambda t: t.texts("k"), 'links[0].k[0]: found 1; write a list of texts, such as ["a", "b"]'),
            ("1", lambda t: t.texts("k"), 'links[0].k: found 1; write a list of texts, such as ["a", "b"]'),
            ("1", lambda t: t.table("k"), "links[0].k: found 1; write a table that starts with [links.k]"),
            ("1", lambda t: t.tables("k"), "links[0].k: found 1; write one table for each, starting with [[links.k]]"),
            (
                "[]",
                lambda t: t.tables("k", required=True),
                "links[0].k: found []; write one table for each, starting with [[links.k]]",
            ),
        ],
    )
    def test_a_wrong_value_is_named(self, value: str, ask: object, text: str) -> None:
        read = table(f"k = {value}")
        assert callable(ask)
        ask(read)
        assert mistakes(read) == [text]

    def test_a_missing_key_is_named(self) -> None:
        read = table("")
        assert read.text("host") == ""
        read.table("inner", required=True).text("below")
        assert read.tables("devices", required=True) == []
        assert mistakes(read) == [
            "links[0].host: missing; write a text in quotes",
            "links[0].inner: missing; write a table that starts with [links.inner]",
            "links[0].devices: missing; write one table for each, starting with [[links.devices]]",
        ]

    def test_a_misspelt_key_is_one_mistake(self) -> None:
        read = table('hots = "x"')
        read.text("host")
        assert mistakes(read) == ['links[0].hots: unknown key; did you mean "host"?']

    def test_an_unknown_key_without_a_neighbour_lists_what_is_known(self) -> None:
        read = table("zzz = 1")
        read.integer("port", 1)
        assert mistakes(read) == ["links[0].zzz: unknown key; known here: port"]
        assert mistakes(table("zzz = 1")) == ["links[0].zzz: unknown key; known here: nothing"]

    def test_a_long_value_is_shortened(self) -> None:
        read = table(f'k = "{"x" * 500}"')
        read.integer("k")
        assert len(mistakes(read)[0]) < 120

    def test_all_mistakes_come_at_once(self) -> None:
        def parse() -> None:
            with reading({"port": "x", "prot": 1, "in": {"a": 1}}, "links[0]") as link:
                link.integer("port")
                link.table("in")
                link.problem("", "two things wrong", "choose")
                raise ConfigError("links[0].unit", "found 0", "write 1")

        with pytest.raises(ConfigErrors) as caught:
            parse()
        assert str(caught.value).splitlines() == [
            'links[0].port: found "x"; write a whole number',
            "links[0]: two things wrong; choose",
            'links[0].prot: unknown key; did you mean "port"?',
            "links[0].in.a: unknown key; known here: nothing",
            "links[0].unit: found 0; write 1",
        ]

    def test_a_table_without_mistakes_raises_nothing(self) -> None:
        with reading({"id": "x", "driver": "modbus", "schedule": {}}, "links[0]") as link:
            assert link.ident() == "x"


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "microseconds"),
        [("1 s", SECOND), ("200ms", 200_000), ("15 min", 15 * MINUTE), ("24 h", 24 * HOUR), ("0.5 s", 500_000)],
    )
    def test_durations(self, text: str, microseconds: int) -> None:
        assert parse_duration(text) == microseconds

    @pytest.mark.parametrize("text", ["", "1", "s", "-1 s", "1  s", "1 S", "1 sec", "١ s", "1e3 s", "1 s "])
    def test_no_durations(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^"):
            parse_duration(text)

    @given(st.integers(0, 10**15))
    def test_a_shown_duration_reads_back(self, microseconds: int) -> None:
        assert parse_duration(show_duration(microseconds)) == microseconds

    @given(st.integers(0, 10**15 - 1))
    def test_a_shown_size_reads_back(self, size: int) -> None:
        assert parse_size(show_size(size)) == size


class TestFile:
    def test_a_file_comes_back_as_tables(self, tmp_path: Path) -> None:
        path = tmp_path / "gw.toml"
        path.write_bytes(b"\xef\xbb\xbf[gateway]\r\nid = 'x'\r\n")
        assert load_toml(path) == {"gateway": {"id": "x"}}

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gw\.toml: no such file; check the path$"):
            load_toml(tmp_path / "gw.toml")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r": found a folder; name the file in it$"):
            load_toml(tmp_path)

    @pytest.mark.parametrize(
        ("content", "place"),
        [
            (b"a = 1\nb = \n", r":2: no TOML: invalid value; correct this line or the one before it$"),
            (b"a = 1\n\n[links\n", r":3: no TOML: expected "),
            (b"a = 1\nb = [1,\n", r":\d: no TOML: "),
            (b"a = 1\nb = '\xff'\n", r":2: found bytes that are no UTF-8; save the file as UTF-8$"),
        ],
    )
    def test_a_broken_file_names_the_line(self, tmp_path: Path, content: bytes, place: str) -> None:
        path = tmp_path / "gw.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=place):
            load_toml(path)
