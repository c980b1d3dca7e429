"""The judge of DLMS/COSEM: frames, wrappers, APDUs, ciphering, buffers, and pushed lists beside amshan's values."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import (
    DataNotification,
    Framing,
    HdlcReader,
    Interpreter,
    Keys,
    Opener,
    PushReader,
    decode_apdu,
    decode_hdlc,
    decode_whole,
    decode_wrapper,
)
from linli_core.codecs.dlms.apdu import (
    ACCESS_RESULTS,
    ASSOCIATION_RESULTS,
    DIAGNOSTICS,
    Association,
    Attribute,
    GetRequest,
    GetResponse,
)
from linli_core.codecs.dlms.axdr import NAMES, Item
from linli_core.codecs.dlms.buffer import CLOCK, Column, rows_of
from linli_core.codecs.dlms.ciphering import Sealed, open_sealed, parse_sealed
from linli_core.codecs.dlms.hdlc import SEGMENTED, Address, HdlcFrame, crc16, without_llc
from linli_core.codecs.dlms.layout import layouts
from linli_core.errors import ProtocolError
from linli_core.instant import SECOND
from linli_core.model import Reading
from linli_core.obis import parse
from linli_edge.ciphers import AES
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final[Mapping[str, str]] = {}

_AMSHAN: Final = {
    "active_power_import": "active_power_import",
    "active_power_export": "active_power_export",
    "reactive_power_import": "reactive_power",
    "reactive_power_export": "reactive_power_export",
    "active_power_import_total": "energy_import",
    "active_power_export_total": "energy_export",
    "reactive_power_import_total": "reactive_energy_import",
    "reactive_power_export_total": "reactive_energy_export",
    "meter_id": "serial_number",
    "meter_type": "meter_model",
    **{f"voltage_l{phase}": f"voltage.l{phase}" for phase in (1, 2, 3)},
    **{f"current_l{phase}": f"current.l{phase}" for phase in (1, 2, 3)},
}

Problems = Iterator[str]


def judge(document: Mapping[str, Any], path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    expected = dict(document["expected"])
    if document["kind"] == "negative":
        return _refused(bytes.fromhex(document["input"]["data"]), expected)
    check = next(check for prefix, check in _CHECKS.items() if path.stem.startswith(prefix))
    problems = [problem for problem in check(document, expected) if problem]
    if expected:
        problems.append(f"expectations nobody compared: {sorted(expected)}")
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _refused(data: bytes, expected: dict[str, Any]) -> Verdict:
    wanted = expected["apdu_as_get_request"].partition(": ")[2]
    try:
        decode_apdu(data)
    except ProtocolError as exc:
        agrees = wanted in str(exc)
        return Verdict(Outcome.REFUSED_AS_EXPECTED if agrees else Outcome.WRONG, str(exc))
    return Verdict(Outcome.WRONG, "decoded, and should have been refused")


def _data(document: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(document["input"]["data"])


def _same(name: str, ours: object, theirs: object) -> str:
    return "" if ours == theirs else f"{name}: {ours}, expected {theirs}"


# --- pushed lists


def _push(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    named = dict(expected.pop("named"))
    notification = decode_apdu(without_llc(_data(document)))
    assert isinstance(notification, DataNotification)
    # A Kaifa's first list is a single number: nothing in it says whose it is.
    layout = layouts()["kaifa"] if named.pop("meter_manufacturer") == "Kaifa" else None
    readings = {item.point.local_name: item for item in Interpreter("meter", layout=layout).readings(notification, 0)}
    yield from _named(readings, notification, named)


def _named(readings: dict[str, Reading], notification: DataNotification, named: dict[str, Any]) -> Problems:
    for name, value in named.items():
        if name == "meter_datetime":
            found = {str(item.value) for key, item in readings.items() if key.startswith("meter_time")}
            found.add(str(notification.time))
            if value.removesuffix("+00:00") not in found:
                yield f"meter_datetime: {found}, expected {value}"
        elif name == "list_ver_id":
            raw = [item.value for key, item in readings.items() if key.startswith("obis_record")]
            if not any(value in str(text) for text in raw):
                yield f"list_ver_id: {raw}, expected {value}"
        else:
            reading = readings.pop(_AMSHAN[name])
            wanted = value if isinstance(value, str) else Decimal(value)
            yield _same(name, reading.value, wanted)
    extra = {key for key in readings if not key.startswith(("obis_record", "meter_time"))}
    yield _same("readings without an expectation", extra, set())


# --- HDLC


def _hdlc(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    frame = decode_hdlc(_data(document))
    ours: dict[str, object] = {
        "frame_type": frame.kind,
        "send_seq": frame.send_sequence,
        "receive_seq": frame.receive_sequence,
        "final": frame.final,
        "segmented": frame.segmented,
        "payload": frame.information.hex().upper(),
        "information": frame.information.hex().upper(),
    }
    for name in ("destination", "source"):
        yield from _address(name, getattr(frame, name), expected.pop(name))
    for name, value in ours.items():
        if name in expected:
            yield _same(name, value, expected.pop(name))
    yield from _parameters(frame, expected)


def _parameters(frame: HdlcFrame, expected: dict[str, Any]) -> Problems:
    """Compare what a UA negotiates: 81 80 length, then parameter, length, value."""
    names = {5: "max_info_tx", 6: "max_info_rx", 7: "window_tx", 8: "window_rx"}
    information = frame.information
    if information[:2] != b"\x81\x80":
        return
    at = 3
    while at < len(information):
        size = information[at + 1]
        name = names[information[at]]
        yield _same(name, int.from_bytes(information[at + 2 : at + 2 + size]), expected.pop(name))
        at += 2 + size


def _address(name: str, ours: Address, theirs: Mapping[str, Any]) -> Problems:
    yield _same(f"{name} logical", ours.logical, theirs["logical"])
    if "physical" in theirs:
        yield _same(f"{name} physical", ours.physical, theirs["physical"])


def _crc(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    expected.pop("parameters")
    yield _same("FCS", crc16(_data(document)).to_bytes(2, "little").hex(), expected.pop("fcs16_bytes_on_wire"))


def _format(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    data = _data(document)
    yield _same("length", (data[0] & 0x07) << 8 | data[1], expected.pop("length"))
    yield _same("segmented", bool(data[0] & SEGMENTED), expected.pop("segmented"))


def _stream(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    reader = HdlcReader(stuffed=document["input"]["octet_stuffing"])
    reader.receive(_data(document))
    frames = []
    while (frame := reader.next_event()) is not NEED_DATA:
        frames.append(frame)
    yield _same("frames", len(frames), expected.pop("frames"))
    yield _same("FCS", True, expected.pop("fcs_ok"))
    yield _same("payload", frames[0].information.hex(), expected.pop("payload"))


# --- APDUs


def _apdu(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    found = decode_apdu(_data(document))
    name = expected.pop("apdu")
    if isinstance(found, Association):
        yield from _association(found, expected)
    elif isinstance(found, GetRequest):
        yield from _get_request(found, name, expected)
    elif isinstance(found, GetResponse):
        yield _same("apdu", "get-response-normal", name)
        (result,) = found.results
        if isinstance(result, Item):
            yield _same("data", {"type": NAMES[result.tag], "value": result.value}, expected.pop("data"))
        else:
            yield _same("error", f"{ACCESS_RESULTS[result]} ({result})", expected.pop("error"))


def _association(found: Association, expected: dict[str, Any]) -> Problems:
    mechanism = {5: "HLS-GMAC (5)"}
    ours: dict[str, object] = {
        "ciphered": found.ciphered,
        "result": ASSOCIATION_RESULTS[found.result],
        "diagnostic": DIAGNOSTICS[found.diagnostic],
        "server_max_receive_pdu_size": found.largest_pdu,
        "dlms_version": found.version,
        "authentication": mechanism.get(found.mechanism or 0),
        "challenge": found.challenge.hex().upper(),
    }
    for name in list(expected):
        yield _same(name, ours[name], expected.pop(name))


def _get_request(found: GetRequest, name: str, expected: dict[str, Any]) -> Problems:
    yield _same("apdu", "get-request-with-list" if found.with_list else "get-request-normal", name)
    if found.with_list:
        theirs = expected.pop("attributes")
    else:
        theirs = [{name: expected.pop(name) for name in ("class", "obis", "attribute")}]
        yield _same("invoke id", found.invoke & 0x0F, expected.pop("invoke_id"))
        yield _same("confirmed", bool(found.invoke & 0x40), expected.pop("confirmed"))
        yield _same("priority", bool(found.invoke & 0x80), expected.pop("high_priority"))
    wanted = tuple(Attribute(item["class"], _code(item["obis"]), item["attribute"]) for item in theirs)
    yield _same("attributes", found.attributes, wanted)


def _code(text: str) -> Any:
    return parse(text)


def _notification(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    data = _data(document)
    found = decode_apdu(data)
    assert isinstance(found, DataNotification)
    yield _same("invoke", f"{found.invoke:08x}", expected.pop("long_invoke_id_and_priority"))
    yield _same("time", found.time, expected.pop("date_time"))
    yield _same("body", data[found.body.offset :].hex(), expected.pop("body"))
    yield _same("type", found.body.name, expected.pop("body_type"))
    assert isinstance(found.body.value, bytes)
    yield _same("length", len(found.body.value), expected.pop("body_length"))


# --- ciphering


def _ciphered(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    keys = _keys(document["key"])
    wrapped = decode_wrapper(_data(document))
    wrapper = expected.pop("wrapper")
    ours = {
        "version": 1,
        "source_wport": wrapped.source,
        "destination_wport": wrapped.destination,
        "length": len(wrapped.apdu),
    }
    yield _same("wrapper", ours, wrapper)
    sealed = parse_sealed(wrapped.apdu)
    assert sealed is not None
    yield _same("apdu", "general-glo-ciphering", expected.pop("apdu"))
    yield _same("title", sealed.title.hex(), expected.pop("system_title"))
    yield _same("security control", f"{sealed.control:02x}", expected.pop("security_control"))
    yield _same("counter", sealed.counter, expected.pop("invocation_counter"))
    reader = PushReader(Framing.WRAPPER, Opener(keys, AES))
    reader.receive(_data(document))
    received = reader.next_event()
    assert received is not NEED_DATA
    yield _same("tag", True, expected.pop("tag_verifies_with_source_key"))
    yield _same("plain text", received.plain.hex(), expected.pop("plaintext"))


def _keys(key: Mapping[str, str]) -> Keys:
    return Keys(key["encryption_key_ascii"].encode(), key["authentication_key_ascii"].encode())


def _gmac(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    given = {name: bytes.fromhex(value) for name, value in document["input"].items()}
    tag = bytes.fromhex(expected["gmac12"])
    sealed = Sealed(
        given["system_title"],
        given["security_control"][0],
        int.from_bytes(given["invocation_counter"]),
        given["challenge"] + tag,
        0,
    )
    keys = Keys(given["encryption_key"], given["authentication_key"])
    yield _same("authenticated", open_sealed(sealed, keys, AES), given["challenge"])
    iv = given["system_title"] + given["invocation_counter"]
    aad = given["security_control"] + given["authentication_key"] + given["challenge"]
    yield _same("aad", aad.hex().upper(), expected.pop("aad"))
    yield _same(
        "gmac", AES.gcm_encrypt(given["encryption_key"], iv, b"", aad, 12)[1].hex().upper(), expected.pop("gmac12")
    )


# --- buffers


def _buffer(document: Mapping[str, Any], expected: dict[str, Any]) -> Problems:
    given = document["input"]
    columns = []
    for text in given["capture_objects"]:
        kind, _, code = text.partition(" ")
        columns.append(Column({"clock": CLOCK, "data": 1, "register": 3}[kind], parse(code)))
    body = decode_whole(_data(document))
    rows = rows_of(body, tuple(columns), given["capture_period_minutes"] * 60)
    yield _same("rows", len(rows), expected.pop("rows"))
    yield _same("columns", len(rows[0].items) + 1, expected.pop("columns"))
    instants = [row.instant for row in rows if row.instant is not None]
    steps = {(later - earlier) // SECOND for earlier, later in pairwise(instants)}
    yield _same("interval", steps, {expected.pop("row_interval_seconds")})
    first = [item.value if item is not None else None for item in rows[0].items]
    yield _same("first row", first, list(expected.pop("first_row").values()))


_CHECKS: Final[dict[str, Callable[[Mapping[str, Any], dict[str, Any]], Problems]]] = {
    "amshan__": _push,
    "dc21_hdlc_crc": _crc,
    "dc21_hdlc_format": _format,
    "dc21_hdlc": _hdlc,
    "hdlc_": _stream,
    "dc21_apdu": _apdu,
    "dc21_data_notification": _notification,
    "dc21_udp_push": _ciphered,
    "dc21_gmac": _gmac,
    "dc21_profile_generic": _buffer,
}
"""Beginning of a recording's name → what compares it."""
