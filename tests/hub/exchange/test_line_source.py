"""The fast way through line protocol gives what the parser gives, whatever the lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linli_core.wire.line_protocol import Precision
from linli_platform.exchange import line_source
from linli_platform.exchange.canonical_lines import read
from linli_platform.exchange.line_source import LineSource, _Reader
from linli_platform.exchange.portions import Place, Portion
from linli_platform.ingest.line_mapping import FieldMap, Rules
from linli_platform.store.duckdb import DuckDBStore

NOW = 1_795_000_000_000_000
AT = NOW * 1_000
RULES = Rules("gw-x", (FieldMap("modbus", "t", "air_temperature", device_tag="name"),))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path_factory.mktemp("lines") / "store.duckdb") as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "some.lp"
    path.write_bytes(b"")
    return path


def told(portion: Portion) -> tuple[list[tuple[object, ...]], list[tuple[int, str]]]:
    columns = zip(
        portion.series.tolist(),
        portion.times.tolist(),
        map(repr, portion.values.tolist()),
        portion.quality.tolist(),
        strict=True,
    )
    readings: list[tuple[object, ...]] = [(*each, portion.texts.get(row)) for row, each in enumerate(columns)]
    return readings, [(line, str(refused)) for line, refused in portion.refused]


def both(store: DuckDBStore, file: Path, block: bytes, precision: Precision = Precision.NANOSECOND) -> Portion:
    """Read a block both ways, hold them against each other, and return what they say."""
    source = LineSource(file, store, precision, RULES, NOW)
    quick = _Reader(source).portion(block, Place())
    slow = _Reader(source)._slowly(block, None, 0).portion
    assert told(quick) == told(slow)
    assert quick.unnamed == slow.unnamed
    return quick


GOOD = f"energy_import,device=m1,gateway=gw-a,point=m1/energy_import value=1.5,quality=0i {AT}".encode()


def test_our_own_form_is_read_without_the_parser() -> None:
    found = read(GOOD + b"\n" + GOOD.replace(b",quality=0i", b"") + b"\n", lambda _head: 7)
    assert found is not None
    assert not len(found.others)
    assert found.ids.tolist() == [7, 7]
    assert found.stamps.tolist() == [AT, AT]
    assert found.values.tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0", "1", "-1", "1.5", "-1.5", ".5", "5.", "0.1", "123456789012345", "0.12345678901234", "1e5", "1E-7"),
        *(
            "123456789012345678",
            "21.299999237060547",
            "0.30000000000000004",
            "1.7976931348623157e308",
            "5e-324",
            "00.10",
        ),
        *(
            "+1",
            "-.5",
            "12i",
            "12u",
            "t",
            "nan",
            "inf",
            "-inf",
            "1e999",
            "1_000",
            "0x10",
            "",
            "-",
            ".",
            "1.2.3",
            "--1",
            "1-2",
        ),
    ],
)
def test_numbers_are_the_same_to_the_last_bit(store: DuckDBStore, file: Path, number: str) -> None:
    for quality in ("", ",quality=0i", ",quality=64i", ",quality=00i", ",quality=5"):
        both(store, file, GOOD.replace(b"value=1.5,quality=0i", f"value={number}{quality}".encode()) + b"\n")


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 9))
def test_any_float_as_we_write_it_comes_back(store: DuckDBStore, file: Path, value: float, decimals: int) -> None:
    for number in (repr(value), f"{value % 1e6:.{decimals}f}"):
        found = both(store, file, GOOD.replace(b"1.5", number.encode()) + b"\n")
        assert [repr(each) for each in found.values.tolist()] == [repr(float(number))]


LINES = [
    GOOD,
    GOOD.replace(b"quality=0i", b"quality=64i"),
    GOOD.replace(b"quality=0i", b"quality=128i"),
    GOOD.replace(b"value", b"raw").replace(b"quality=0i", b"quality=137i"),
    GOOD.replace(b"value=1.5,", b"").replace(b"quality=0i", b"quality=129i"),
    GOOD.replace(b"gw-a", b"gw-b"),
    GOOD.replace(b",gateway=gw-a", b""),
    GOOD.replace(b"gw-a", b"No Id"),
    GOOD[:-3],
    GOOD[:-20],
    GOOD.replace(b" 17", b" -17"),
    GOOD + b"\r",
    GOOD.replace(b" ", b"  "),
    b"  " + GOOD,
    b"",
    b"# value=1 5",
    b"#comment value=1 1795000000000000000",
    f"modbus,name=room-1 t=5.5 {AT}".encode(),
    f"modbus,name=Room\\ 1 t=5.5 {AT}".encode(),
    f"cpu,host=a value=1 {AT}".encode(),
    f'meter_identity,device=m1 text="SN\\"1",quality=0i {AT}'.encode(),
    f'meter_identity,device=m1 text="a {GOOD.decode()}" {AT}'.encode(),
    f'meter_identity,device=m1 text="two\nlines" {AT}'.encode(),
    f'meter_identity,device=m1 text="\n{GOOD.decode()}\n" {AT}'.encode(),
    b'meter_identity,device=m1 text="no end',
    b"nonsense",
    b"\xff\xfe value=1 1795000000000000000",
    b"door_open,device=d value=1 1795000000000000000",
    b"energy_import,device=m1 value=1,quality=0i 9999999999999999999",
    b"energy_import,device=m1 value=1,quality=0i 1999999999999999999",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(LINES) | st.binary(max_size=12), min_size=1, max_size=12))
def test_any_lines_are_read_alike_both_ways(store: DuckDBStore, file: Path, lines: list[bytes]) -> None:
    both(store, file, b"\n".join(lines) + b"\n")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_byte_changed_anywhere_is_judged_alike_both_ways(
    store: DuckDBStore, file: Path, place: int, byte: int
) -> None:
    damaged = bytearray(GOOD)
    damaged[place] = byte
    both(store, file, GOOD + b"\n" + bytes(damaged) + b"\n" + GOOD + b"\n")


@pytest.mark.parametrize(
    ("precision", "stamp"), [("us", NOW), ("ms", NOW // 1_000), ("s", NOW // 10**6), ("h", 498_611)]
)
def test_timestamps_of_each_precision_are_alike(store: DuckDBStore, file: Path, precision: str, stamp: int) -> None:
    found = both(store, file, GOOD.replace(str(AT).encode(), str(stamp).encode()) + b"\n", Precision(precision))
    assert len(found) == 1
    assert NOW - found.times[0] < 3_600_000_000
    assert len(both(store, file, GOOD + b"\n", Precision(precision)).refused) == 1


def test_blocks_cut_no_text_in_two(store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "texts.lp"
    line = f'meter_identity,device=m%d text="first\nsecond\n%d",quality=0i {AT}\n'
    path.write_bytes("".join(line % (number, number) for number in range(50)).encode() + GOOD)
    source = LineSource(path, store, Precision.NANOSECOND, RULES, NOW)
    for size in (1, 7, 50, 64, 100, 10_000):
        monkeypatch.setattr(line_source, "BLOCK", size)
        portions = list(source.portions(Place()))
        assert sum(map(len, portions)) == 51
        assert not any(portion.refused for portion in portions)
        assert portions[-1].until == Place(path.stat().st_size, 151)
        # From each place on the rest is the same as it was.
        middle = len(portions) // 2
        rest = list(source.portions(portions[middle].until))
        assert sum(map(len, rest)) == sum(map(len, portions[middle + 1 :]))
