"""`pymbusparser` beside ours over the recorded wired telegrams: every difference is named here with its reason."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pymbusparser
import pytest

from linli_core.codecs.mbus import LongFrame, Record, decode_frame, decode_telegram
from linli_core.codecs.mbus.vif import NUMBERS, Measurand
from linli_core.errors import LinliError
from linli_sim.bench.mbus import telegram
from linli_sim.vectors.mbus_recordings import load

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Units that it keeps and we turn into seconds."""

NO_DATE = "month 0 and day 0: a date that is not there"
INVALID = "the meter says that its clock is wrong (IV bit): no time"
PLAIN_TEXT = "a unit in plain text before its VIFE, as these meters have sent it since the first M-Bus: it stops there"
BCD_ERROR = "BCD with digits above 9, sent while the meter has an error: it stops there"
LETTERS = "an identification number with letters: it reads no record then"
SIGNATURE = "a signature that is no way of encryption: it takes the records for encrypted"
FIXED = "the fixed structure: it knows no counters"

ALL = -1
DIFFERENCES = {
    ("ACW_Itron-BM-plus-m", 2): NO_DATE,
    ("itron_bm_+m", 2): NO_DATE,
    ("REL-Relay-Padpuls2", 1): INVALID,
    ("ELV-Elvaco-CMa10", ALL): PLAIN_TEXT,
    ("THI_cma10", ALL): PLAIN_TEXT,
    ("abb_f95", ALL): BCD_ERROR,
    ("electricity-meter-2", ALL): LETTERS,
    ("example_data_01", ALL): SIGNATURE,
    ("example_data_02", ALL): SIGNATURE,
    ("manual_frame2", ALL): FIXED,
}
"""Recording and place of the record (``ALL``: it has fewer) → why the two differ; none of them is ours to mend."""


def ours(data: bytes) -> list[Record]:
    frame = decode_frame(data)
    return list(decode_telegram(frame).records) if isinstance(frame, LongFrame) else []


def differs(record: Record, other: dict[str, Any]) -> str:
    """Return how a record differs from theirs; empty if it does not."""
    header, told = record.header, other["value"].get("value")
    if header.measurand is Measurand.MANUFACTURER_DATA or isinstance(record.value, bytes):
        return ""
    if (header.storage, header.tariff, header.subunit) != (other["storage_number"], other["tariff"], other["subunit"]):
        return "another place"
    if isinstance(record.value, Decimal):
        if told is None:
            return f"{record.value}, theirs none"
        number = Decimal(str(told)) * UNITS.get(other.get("unit", ""), header.multiplier)
        if header.measurand in NUMBERS and number < 0:
            number += 256 ** len(record.data)  # theirs: codes and bit fields with a sign
        close = abs(number - record.value) <= abs(record.value) / 1_000_000
        return "" if close else f"{record.value} {header.unit}, theirs {told} {other.get('unit')}"
    same = told is None if record.value is None else str(record.value) == str(told)
    return "" if same else f"{record.value}, theirs {told}"


@pytest.mark.vectors
def test_every_difference_over_the_recordings_is_known(vectors: Path) -> None:
    found, records = {}, 0
    for recorded in load(vectors / "mbus"):
        if recorded.kind != "valid":
            continue
        theirs = pymbusparser.parse(recorded.frame)["records"]
        mine = ours(recorded.frame)
        name = recorded.name.removeprefix("test-frames__")
        if len(theirs) != len(mine):
            found[name, ALL] = f"{len(mine)} records, theirs {len(theirs)}"
        for place, (record, other) in enumerate(zip(mine, theirs, strict=False)):
            records += 1
            if why := differs(record, other):
                found[name, place] = why
    assert found.keys() == DIFFERENCES.keys(), found
    assert records >= 330


def test_it_reads_what_we_encode() -> None:
    data = telegram()
    theirs = pymbusparser.parse(data)["records"]
    assert len(theirs) == 20
    assert [differs(record, other) for record, other in zip(ours(data), theirs, strict=True)] == [""] * 20


@pytest.mark.vectors
def test_what_we_refuse_it_gives_no_records_of(vectors: Path) -> None:
    """Where it finds records that we refuse, the telegram is cut: ours are whole or none."""
    for recorded in load(vectors / "mbus"):
        if recorded.kind in {"malformed", "error_reply", "unsupported"}:
            with pytest.raises(LinliError):
                ours(recorded.frame)
            try:
                found = pymbusparser.parse(recorded.frame)
            except pymbusparser.MbusParserError:
                continue
            assert found["decode_state"] != "complete" or not found["records"], recorded.name
