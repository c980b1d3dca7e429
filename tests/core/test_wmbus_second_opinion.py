"""`pymbusparser` beside ours over the recorded radio telegrams: every difference is named here with its reason.

It takes no telegram that is in plain under a header that says it is encrypted, so headers and protection are compared
over whole telegrams, and records over the plain data that ours makes of them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymbusparser
import pytest

from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import Record, parse_records
from linli_core.codecs.mbus.values import MeterTime
from linli_core.codecs.mbus.vif import NUMBERS, Measurand
from linli_core.codecs.wmbus import Formats, Telegram, decode_telegram
from linli_core.codecs.wmbus.encode import Meter, encode_cbc, encode_plain
from linli_core.codecs.wmbus.layers import MANUFACTURER_CI
from linli_core.errors import LinliError
from linli_edge.ciphers import AES

pytestmark = pytest.mark.vectors

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Units that it keeps and we turn into seconds."""


@dataclass
class KeyOfAll:
    key: bytes | None

    def __call__(self, _: Identity) -> bytes | None:
        return self.key


@dataclass
class Decoded:
    name: str
    data: bytes
    key: bytes | None
    telegram: Telegram


@pytest.fixture(scope="module")
def decoded(vectors: Path) -> list[Decoded]:
    return list(_decoded(vectors / "wmbus"))


def _decoded(folder: Path) -> Iterator[Decoded]:
    formats = Formats()
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = bytes.fromhex(document["input"]["data"])
        key = bytes.fromhex(document["key"]) if document.get("key") else None
        if document["kind"] in {"checksum", "records"} or data[3] == 0x68:
            continue
        try:
            yield Decoded(path.stem, data, key, decode_telegram(data, AES, KeyOfAll(key), formats))
        except LinliError:
            continue


def theirs(decoded: Decoded) -> dict[str, Any] | None:
    try:
        return dict(pymbusparser.parse(decoded.data, key=decoded.key))
    except pymbusparser.MbusParserError:
        return None


@pytest.mark.parametrize("module", [None, Identity("00000042", "MOD", 3, 0x37)], ids=["short header", "long header"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "mode 5"])
def test_it_reads_what_we_encode(module: Identity | None, encrypted: bool) -> None:
    key = bytes(range(16))
    meter = Meter(Identity("12345678", "KAM", 1, 7), 0x2A, module=module)
    records = encode_dib(0x4) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0x4, 12345)
    data = encode_cbc(meter, records, AES, key) if encrypted else encode_plain(meter, records)
    found = pymbusparser.parse(data, key=key if encrypted else None)
    assert found["meter"]["identity"]["id"] == "12345678"
    assert [record["value"]["value"] for record in found["records"]] == ["12.345"]


def test_headers_agree(decoded: list[Decoded]) -> None:
    compared = 0
    for each in decoded:
        found = theirs(each)
        if found is None or each.telegram.header is None or each.telegram.identity != each.telegram.frame.sender:
            continue
        compared += 1
        identity = each.telegram.identity
        meter = found["meter"]["identity"]
        assert (meter["id"], meter["version"]) == (identity.number, identity.version), each.name
    assert compared > 60


def test_records_agree(decoded: list[Decoded]) -> None:
    compared, wrong = 0, []
    for each in decoded:
        if each.telegram.application.ci in MANUFACTURER_CI or each.telegram.layout:
            continue
        try:
            others = pymbusparser.parse_records(each.telegram.plain)
        except pymbusparser.MbusParserError:
            continue
        by_header: dict[str, list[dict[str, Any]]] = {}
        for other in others:
            by_header.setdefault(other["header_hex"], []).append(other)
        for record in parse_records(each.telegram.plain)[0]:
            head = (record.header.dib + record.header.vib).hex(" ").upper()
            row = by_header.get(head)
            if record.header.measurand is Measurand.MANUFACTURER_DATA or not row:
                # It tells neither manufacturer data nor what is behind an error of its own.
                continue
            compared += 1
            if why := difference(record, row.pop(0)):
                wrong.append(f"{each.name}: {head}: {why}")
    assert compared > 1000
    assert wrong == []


def difference(record: Record, other: dict[str, Any]) -> str:
    """Return how a record differs from theirs; empty if it does not, or by what is theirs and named here."""
    header, value = record.header, other["value"]
    if (header.storage, header.tariff, header.subunit) != (other["storage_number"], other["tariff"], other["subunit"]):
        return "another place"
    told = value.get("value")
    if isinstance(record.value, Decimal):
        number = Decimal(str(told)) * _scale(record, other)
        if header.measurand in NUMBERS and number < 0:
            number += 256 ** len(record.data)  # theirs: codes and bit fields with a sign
        close = abs(number - record.value) <= abs(record.value) / 1_000_000
        return "" if close else f"{record.value} {header.unit}, theirs {told} {other.get('unit')}"
    if isinstance(record.value, MeterTime):
        if isinstance(told, dict) and record.value.date is not None and record.value.date[2] == 31:
            return ""  # theirs: in a date with time the 31st is "every day"
        return "" if str(record.value) == str(told) else f"{record.value}, theirs {told}"
    if record.value is None:
        return _nothing(record, value)
    return "" if isinstance(record.value, bytes) or record.value == told else f"{record.value}, theirs {told}"


def _scale(record: Record, other: dict[str, Any]) -> int:
    """Return how their unit stands to ours: they keep minutes, hours and days, and name no unit behind FD."""
    return UNITS.get(other.get("unit", ""), record.header.multiplier)


def _nothing(record: Record, value: dict[str, Any]) -> str:
    """Return why a record may have no value where theirs has one."""
    header, told = record.header, value.get("value")
    if header.error:
        return ""  # theirs: the VIFE by which the meter says that the record is in error is told beside the value
    if isinstance(told, dict):
        return ""  # theirs: day, month and year of a date that there is not
    if header.measurand is Measurand.DATE_TIME and record.data[0] & 0x80:
        return ""  # theirs: the bit by which the meter says that its time is invalid
    if record.data == b"\x00\x00\x00\x80":
        return ""  # theirs: the lowest integer, by which the meter says that there is no value
    return "" if value["kind"] in {"missing", "invalid", "none", "empty"} or told is None else f"none, theirs {told}"
