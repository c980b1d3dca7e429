"""The judge of wireless M-Bus: identity, each value, and what must be refused."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from linli_core.codecs.mbus import Interpreter, MeterTime, Record, decode_telegram
from linli_core.codecs.mbus import decode_frame as decode_wired_frame
from linli_core.codecs.mbus.compact_profile import expand_profiles
from linli_core.codecs.mbus.meaning import Explained
from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_core.codecs.mbus.record import parse_records
from linli_core.codecs.mbus.record_header import parse_header
from linli_core.codecs.mbus.telegram import Telegram as Application
from linli_core.codecs.wmbus import Formats, Telegram
from linli_core.codecs.wmbus import decode_telegram as decode_radio
from linli_core.codecs.wmbus.crc import crc16
from linli_core.codecs.wmbus.frame import split, strip_checksums
from linli_core.errors import ProtocolError
from linli_edge.ciphers import AES
from linli_sim.vectors.verdict import Outcome, Verdict
from linli_sim.vectors.wmbus_expectations import COUNTS, METERED, TEXTS, UNITS, Expected, expectations

LISTED: Final[Mapping[str, str]] = {
    "emerlin868__00502420__434492152024500012378C60": (
        "the stored volume is 80000000, by which a meter says that it has none; the source makes -2147483.648 m3 of it"
    ),
    "generic__12353648__374493444836351218067ac7": (
        "the telegram ends in the middle of its last record: refused whole, for each record begins where the one "
        "before ends; the source shows those before the cut"
    ),
    "generic__61243590__3E44A5119035246141047A1A": (
        "the source reads 4096868 where the digits sent are 04098668, and loses the sign of the power, F0000022; the "
        "other source of the same telegram reads them as we do"
    ),
}

_UNREAD: Final = {"rfmtx1__74737271__4644B4097172737405077AA5": "total_m3: "}
"""Recording → what of a private layout is not known, the rest being read: its register is scrambled."""

_WIRED: Final = 0x68
_MILLIONTH: Final = Decimal("0.000001")


def judge(document: Mapping[str, Any], path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    data = bytes.fromhex(document["input"]["data"])
    expected = document["expected"]
    match document["kind"]:
        case "checksum":
            found = f"{crc16(data):04x}"
            return _verdict([] if found == expected["crc16_en13757"] else [f"checksum {found}"])
        case "records":
            return _verdict(list(_records(data, expected["records_by_dif_vif_hex"])))
        case "valid_with_crc":
            return _verdict(list(_with_checksums(data, document)))
        case "negative":
            return _negative(data)
        case _:
            return _telegram(data, document, path.stem)


def _telegram(data: bytes, document: Mapping[str, Any], stem: str) -> Verdict:
    expected = document["expected"]
    key = bytes.fromhex(document["key"]) if document.get("key") else None
    try:
        application, telegram = _decode(data, key)
    except ProtocolError as exc:
        return _refused(stem, expected, exc)
    compare = _generic if stem.startswith("generic__") else _compare
    problems = list(compare(stem, application, telegram, expected))
    if problems and stem in LISTED:
        return Verdict(Outcome.LISTED, "; ".join(problems))
    if stem in _UNREAD and all(each.startswith(_UNREAD[stem]) for each in problems):
        return Verdict(Outcome.PRIVATE, "; ".join(problems))
    return _verdict(problems, private=telegram is not None and telegram.private)


def _verdict(problems: list[str], *, private: bool = False) -> Verdict:
    if private:
        return Verdict(Outcome.PRIVATE, "all of the payload is the maker's own")
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _decode(data: bytes, key: bytes | None) -> tuple[Application, Telegram | None]:
    """Return the last telegram of some bytes: one wired, or one or more by radio, of which the last may be compact."""
    if data[0] == data[3] == _WIRED:
        return decode_telegram(decode_wired_frame(data)), None
    formats = Formats()
    parts = split(data) if len(data) > data[0] + 1 else [data]
    for part in parts:
        telegram = decode_radio(part, AES, lambda _: key, formats)
    return telegram.application, telegram


def _negative(data: bytes) -> Verdict:
    """Judge a telegram that says nothing: kept raw as the maker's own, or refused by name, but without a value."""
    try:
        telegram = decode_radio(data, AES)
    except ProtocolError as exc:
        return Verdict(Outcome.REFUSED_AS_EXPECTED, f"{exc.kind}: {exc}")
    valued = [record for record in telegram.records if isinstance(record.value, Decimal)]
    if valued or not telegram.private:
        return Verdict(Outcome.WRONG, f"{len(valued)} values of a payload that is too short for any")
    return Verdict(Outcome.REFUSED_AS_EXPECTED, "no layout reads it; kept raw")


_REFUSALS: Final = {
    "generic__12345678__2e4493157856341233037a2a": "key",
    "generic__82937113__5E442D2C1371938240047ADD": "key",
}
"""Encrypted recording without a key → the kind of error; its source gives no records."""


def _refused(stem: str, expected: Mapping[str, Any], error: ProtocolError) -> Verdict:
    said = f"{error.kind}: {error}"
    if _REFUSALS.get(stem) == error.kind and not expected.get("data_records"):
        return Verdict(Outcome.REFUSED_AS_EXPECTED, said)
    return Verdict(Outcome.LISTED if stem in LISTED else Outcome.WRONG, said)


def _with_checksums(data: bytes, document: Mapping[str, Any]) -> Iterator[str]:
    expected = document["expected"]
    bare, _ = strip_checksums(data)
    wanted = expected.get("telegram_without_crcs", "")
    if wanted and bare.hex().upper() != wanted:
        yield f"without checksums {bare.hex().upper()}"
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x01
        try:
            found, checksums = strip_checksums(bytes(changed), strip_checksums(data)[1])
        except ProtocolError:
            continue
        yield f"byte {place} changed, and it passes as {checksums}: {found.hex()}"
    key = bytes.fromhex(document["key"]) if document.get("key") else None
    telegram = decode_radio(data, AES, lambda _: key)
    if "manufacturer" in expected and telegram.identity.manufacturer != expected["manufacturer"]:
        yield f"manufacturer {telegram.identity.manufacturer}"
    yield from _compare("format-b", telegram.application, telegram, expected if "total_kwh" in expected else {})


_ELEMENTS: Final = {"137F77": "volume", "6C7F77": "date"}
"""VIF and VIFE that the source gives elements of profiles → measurand."""


def _records(data: bytes, expected: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare records by their headers; elements of profiles, which have none of their own, by storage and kind."""
    found = expand_profiles(parse_records(data)[0])
    for header, wanted in expected.items():
        dib, vib = _split_header(header)
        if vib in _ELEMENTS:
            storage = parse_header(bytes.fromhex(dib + "13")).storage
            matching = [
                record
                for record in found
                if record.header.storage == storage and record.header.measurand == _ELEMENTS[vib]
            ]
        else:
            matching = [record for record in found if (record.header.dib + record.header.vib).hex().upper() == header]
        if wanted.get("absent"):
            if matching:
                yield f"{header}: {matching[0].value!s}, expected none"
        elif not any(_same_record(record, wanted) for record in matching):
            yield f"{header}: {[str(record.value) for record in matching]}, expected {dict(wanted)}"


def _split_header(header: str) -> tuple[str, str]:
    data = bytes.fromhex(header)
    end = 1
    while data[end - 1] & 0x80:
        end += 1
    return data[:end].hex().upper(), data[end:].hex().upper()


def _same_record(record: Record, wanted: Mapping[str, Any]) -> bool:
    value = record.value
    if "value" in wanted:
        return isinstance(value, Decimal) and value == Decimal(str(wanted["value"]))
    if "hexstring" in wanted:
        # The source keeps the order of the wire; ours is the order in which text is read.
        return isinstance(value, str) and value.encode("latin-1")[::-1].hex() == wanted["hexstring"]
    return isinstance(value, MeterTime) and _same_time(value, wanted["date"])


def _generic(_: str, application: Application, telegram: Telegram | None, expected: Mapping[str, Any]) -> Iterator[str]:
    """Compare with the parser that knows no drivers: header, and of each record value, unit and storage number."""
    identity = application.identity
    if identity is None or identity.number.lstrip("0") != str(expected["identification_number"]):
        yield f"identity {identity}"
    elif identity.manufacturer != expected["manufacturer"] and identity.manufacturer not in ("APT", "APA"):
        yield f"manufacturer {identity.manufacturer}"
    if telegram is not None and telegram.header is not None and application.access_number != expected["access_number"]:
        yield f"access number {application.access_number}"
    for record in expected["data_records"]:
        unit, factor = _GENERIC_UNITS[record["unit"]]
        value = Decimal(record["value"]).scaleb(record["exponent"]) * factor
        if not any(
            found.header.storage == record["storage_number"]
            and found.header.unit in unit
            and isinstance(found.value, Decimal)
            and _close(found.value * (Decimal(3600) ** -1 if found.header.unit == "J" else 1), value)
            for found in application.records
        ):
            yield f"no record {value} {record['unit']} of storage {record['storage_number']}"


_GENERIC_UNITS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = {
    # Its exponents are those of kWh and kW, under the names Wh and W too.
    "Wh": (("Wh", "J"), 1000),
    "kWh": (("Wh",), 1000),
    "W": (("W",), 1000),
    "V": (("V",), 1),
    "m^3": (("m3",), 1),
    "m^3/h": (("m3/h",), 1),
    "\u00b0C": (("Cel",), 1),
    "K": (("K",), 1),
    "HCA": (("1",), 1),
}


def _compare(stem: str, application: Application, _: Telegram | None, expected: Mapping[str, Any]) -> Iterator[str]:
    """Compare with what a driver of wmbusmeters made of the telegram."""
    identity = application.identity
    if "id" in expected and identity is not None and identity.number != expected["id"].upper():
        yield f"number {identity.number}, expected {expected['id']}"
    explained = Interpreter("meter").explain(application, 0)
    named = METERED.get(identity.medium, frozenset()) if identity is not None else frozenset()
    for item in explained:
        header = item.record.header
        if item.reading.point.quantity == UNMAPPED and header.measurand in named and not header.modifiers:
            yield f"a {header.measurand} without a name"
    for each in expectations(stem, expected):
        if why := _difference(each, explained):
            yield f"{each.name}: {why}"


def _difference(expected: Expected, explained: list[Explained]) -> str:
    """Return why no record has an expected value; empty if one does."""
    if expected.value is None:
        return ""
    candidates = [each for each in explained if _is_of(each, expected)]
    if any(_agrees(each, expected) for each in candidates):
        return ""
    shown = ", ".join(f"{each.record.value!s} {each.record.header.unit}" for each in candidates[:6])
    return f"expected {expected.value}, found {shown or 'nothing'}"


def _is_of(each: Explained, expected: Expected) -> bool:
    header = each.record.header
    if expected.unit == "date":
        return isinstance(each.record.value, MeterTime)
    if (unit := UNITS.get(expected.unit)) is not None:
        if header.measurand not in unit.measurands or header.unit not in unit.to:
            return False
        point = each.reading.point
        if point.quantity not in unit.quantities | {UNMAPPED} and point.channel is None:
            return False  # in sub-units some makers send reactive power and energy under the codes of active
        return expected.earlier or not header.storage
    measurands = TEXTS.get(expected.name) or COUNTS.get(expected.unit)
    return measurands is not None and header.measurand in measurands


def _agrees(each: Explained, expected: Expected) -> bool:
    value, wanted = each.record.value, expected.value
    if isinstance(value, MeterTime):
        return isinstance(wanted, str) and _same_time(value, wanted)
    if expected.name in TEXTS:
        return str(wanted).lstrip("0").strip() in _texts(each.record)
    if not isinstance(value, Decimal) or not isinstance(wanted, Decimal):
        return False
    unit = UNITS.get(expected.unit)
    return _close(value, wanted * (unit.to[each.record.header.unit] if unit else 1), wanted)


def _texts(record: Record) -> set[str]:
    """Return a number or text in each way that the drivers write those: decimal, hexadecimal, characters."""
    highest_first = record.data[::-1]
    written = {str(record.value), highest_first.hex().upper(), highest_first.decode("latin-1")}
    return {each.lstrip("0").strip() for each in written}


def _close(value: Decimal, wanted: Decimal, written: Decimal | None = None) -> bool:
    """Tell whether two numbers are the same to the six places that the source writes, or to a millionth."""
    exact = _MILLIONTH * max(abs(wanted), Decimal(1))
    if written:
        exact = max(exact, _MILLIONTH * abs(wanted / written))
    return abs(value - wanted) <= exact


def _same_time(value: MeterTime, wanted: str) -> bool:
    """Compare to the precision that is written; a date and its midnight are the same."""
    ours = str(value).replace("T", " ")
    return ours.startswith(wanted) or f"{ours} 00:00:00".startswith(wanted)
