"""DLMS/COSEM for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import (
    DataNotification,
    Framing,
    Interpreter,
    Opener,
    PushReader,
    Received,
    decode_apdu,
    decode_hdlc,
    decode_wrapper,
    identity_of,
    values_of,
)
from linli_core.codecs.dlms import Keys as DlmsKeys
from linli_core.codecs.dlms.ciphering import GENERAL_GLO, parse_sealed
from linli_core.codecs.dlms.explain import explain
from linli_core.codecs.dlms.hdlc import FLAG, LLC_COMMAND, LLC_RESPONSE, without_llc
from linli_core.codecs.explain import Part
from linli_core.errors import ProtocolError
from linli_edge.ciphers import AES
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys
from linli_edge.telegrams.readings import reading_objects

_LLC: Final = (LLC_RESPONSE, LLC_COMMAND)


def decode(data: bytes, keys: Keys) -> Iterator[Outcome]:
    """Yield each notification in some bytes, or what is wrong: HDLC frames, wrapped messages, or a bare APDU."""
    opener = Opener(_keys_of(b"", keys, None), AES, by_title=_by_title(keys))
    found, errors = _received(data, opener)
    for received in found:
        notification = received.notification
        shown: dict[str, object] = {"protocol": "dlms", "address": received.title.hex().upper()}
        if isinstance(notification, DataNotification):
            shown["address"] = identity_of(values_of(notification.body)) or shown["address"]
        if received.title:
            shown["system_title"] = received.title.hex().upper()
        if notification.time is not None:
            shown["time"] = str(notification.time)
        yield shown | {"readings": reading_objects(Interpreter("meter").readings(notification, 0))}
    yield from errors if not found else (error for error in errors if error.kind != "malformed")
    if not found and not errors:
        yield ProtocolError("there is no notification")


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are DLMS/COSEM; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    if data[:1] == bytes((FLAG,)):
        try:
            decode_hdlc(data)
        except ProtocolError:
            shaped = len(data) > 2 and data[1] & 0xF0 == 0xA0
            return Recognised(Certainty.SHAPED, "7E and a frame format of type 3") if shaped else None
        return Recognised(Certainty.CHECKED, "7E, frame format of type 3; the FCS is right")
    try:
        reason = _shape(data)
    except ProtocolError:
        return None
    return Recognised(Certainty.SHAPED, reason) if reason else None


def _shape(data: bytes) -> str:
    """Return by what a message without a checksum is known; empty if by nothing."""
    if data[:2] == b"\0\1" and decode_wrapper(data):
        return "0001, two ports, and a length that is right"
    if data[:1] == bytes((GENERAL_GLO,)) and (sealed := parse_sealed(data)) and sealed.size == len(data):
        return "DB, a system title, and a length that is right"
    return "an LLC header and an APDU" if data[:3] in _LLC and decode_apdu(data[3:]) else ""


def _received(data: bytes, opener: Opener) -> tuple[list[Received], list[ProtocolError]]:
    if data[:1] != bytes((FLAG,)) and data[:2] != b"\0\1":
        try:
            received = opener.open(without_llc(data), 0)
        except ProtocolError as exc:
            return [], [exc]
        return ([received] if received is not None else []), []
    reader = PushReader(Framing.HDLC if data[0] == FLAG else Framing.WRAPPER, opener)
    reader.receive(data)
    reader.end()
    found: list[Received] = []
    errors: list[ProtocolError] = []
    while True:
        try:
            event = reader.next_event()
        except ProtocolError as exc:
            errors.append(exc)
            continue
        if event is NEED_DATA:
            return found, errors
        found.append(event)


def _by_title(keys: Keys) -> dict[bytes, DlmsKeys]:
    titles = {}
    for name in keys.encryption:
        try:
            title = bytes.fromhex(name)
        except ValueError:
            continue
        if title and (found := _keys_of(title, keys, None)) is not None:
            titles[title] = found
    return titles


def _keys_of(title: bytes, keys: Keys, usual: bytes | None) -> DlmsKeys | None:
    name = title.hex().upper()
    key = keys.key(name)
    return DlmsKeys(key, keys.authentication_key(name) or usual) if key is not None else None


def explain_with(data: bytes, keys: Keys, usual: bytes | None) -> list[Part]:
    """Return the parts of a message, opened with the keys there are; ``usual``: all others' authentication key."""
    return explain(data, lambda title: _keys_of(title, keys, usual), AES)


def _explain(data: bytes, keys: Keys) -> list[Part]:
    return explain_with(data, keys, None)


DIALECT: Final = Dialect("DLMS/COSEM", decode, _explain, recognise)
