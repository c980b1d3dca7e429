"""`pymeterbus` beside ours over the recorded wired telegrams: every difference is named here with its reason."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import meterbus
import pytest

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import FrameReader, MeterTime, Record, decode_telegram
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import LongFrame, encode_frame
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_sim.bench.mbus import telegram

pytestmark = pytest.mark.vectors

NO_DATE = "month 0 and day 0: a date that is not there, which it writes as text and we leave out"
INVALID = "the meter says that its clock is wrong (IV bit): no time"
NO_DIGITS = "BCD with digits above 9: it makes a number of them, we do not (EN 13757-3, type A)"
LVAR = "sixteen binary bytes behind an LVAR: it takes them apart, libmbus and we keep them whole"

DIFFERENCES = {
    ("ACW_Itron-BM-plus-m", 2): NO_DATE,
    ("itron_bm_+m", 2): NO_DATE,
    ("REL-Relay-Padpuls2", 1): INVALID,
    ("abb_f95", 2): NO_DIGITS,
    ("abb_f95", 3): NO_DIGITS,
    ("example_binary16_lvar", 0): LVAR,
}
"""Recording and place of the record → why the two differ; none of them is ours to mend."""


def ours(data: bytes) -> list[Record]:
    reader = FrameReader()
    reader.receive(data)
    frame = reader.next_event()
    assert frame is not NEED_DATA
    return list(decode_telegram(frame).records) if isinstance(frame, LongFrame) else []


def shown(record: Record) -> Any:
    """Return a value as pymeterbus shows it."""
    value = record.value
    if isinstance(value, MeterTime):
        assert value.date is not None
        day = "{:04}-{:02}-{:02}".format(*value.date)
        return day if value.time is None else f"{day}T{value.time[0]:02}:{value.time[1]:02}"
    return value


def agree(mine: Any, other: Any) -> bool:
    if isinstance(mine, Decimal | int | float) and isinstance(other, Decimal | int | float):
        # It calculates in floating point.
        return abs(Decimal(other) - Decimal(mine)) <= abs(Decimal(mine)) * Decimal("1e-6")
    return bool(mine == other)


def compared(vectors: Path) -> Iterator[tuple[str, list[Record], list[Any]]]:
    for path in sorted((vectors / "mbus").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = bytes.fromhex(document["input"]["data"])
        if document["kind"] != "valid":
            continue
        try:
            theirs = list(meterbus.load(data).records)
        except meterbus.MBusFrameDecodeError:
            # The fixed structure, which it does not read.
            assert data[6] in {0x73, 0x77}
            continue
        yield path.stem.removeprefix("test-frames__"), ours(data), theirs


def test_every_difference_over_the_recordings_is_known(vectors: Path) -> None:
    found, records = set(), 0
    for name, mine, theirs in compared(vectors):
        for place, (record, other) in enumerate(zip(mine, theirs, strict=name != "example_binary16_lvar")):
            if record.header.measurand is Measurand.MANUFACTURER_DATA:
                continue
            records += 1
            if not agree(shown(record), other.parsed_value):
                found.add((name, place))
    assert found == DIFFERENCES.keys()
    assert records >= 390


def test_it_reads_what_we_encode() -> None:
    data = telegram()
    for record, other in zip(ours(data), meterbus.load(data).records, strict=True):
        assert agree(shown(record), other.parsed_value)
    empty = encode_frame(encode_answer(Identity("00000042", "LNL", 1, 7), [], address=1))
    assert list(meterbus.load(empty).records) == ours(empty) == []
