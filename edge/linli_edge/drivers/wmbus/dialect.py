"""Wireless M-Bus for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from typing import Any, Final

from linli_core.codecs.explain import Part
from linli_core.codecs.mbus import Identity, Interpreter
from linli_core.codecs.wmbus import (
    Checksums,
    Formats,
    KeyFault,
    Telegram,
    decode_frame,
    identify,
    protection,
    read_telegram,
)
from linli_core.codecs.wmbus.explain import explain
from linli_core.codecs.wmbus.frame import CONTROLS, split, strip_checksums
from linli_core.errors import DeviceError, ProtocolError
from linli_edge.ciphers import AES
from linli_edge.drivers.mbus.telegram_json import given, reading_object
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys

_DEVICE: Final = "meter"


def decode(data: bytes, keys: Keys) -> Iterator[Outcome]:
    """Yield each telegram in some bytes, or what is wrong with it; later ones may be compact frames of earlier ones."""
    formats = Formats()
    for part in _parts(data):
        try:
            frame = decode_frame(part)
            yield _object(read_telegram(frame, AES, _key_of(keys), formats))
        except (ProtocolError, DeviceError) as exc:
            yield exc


def _parts(data: bytes) -> list[bytes]:
    """Return the telegrams that stand one behind the other in some bytes; all of them as one if they do not."""
    if data and len(data) > data[0] + 1:
        try:
            strip_checksums(data)
        except ProtocolError:
            try:
                return split(data)
            except ProtocolError:
                return [data]
    return [data]


def _key_of(keys: Keys) -> Any:
    def key_of(identity: Identity) -> bytes | None:
        key = keys.key(identity.number)
        if key is not None and len(key) != 16:
            raise KeyFault(f"the key has {len(key)} bytes; radio meters' have 16")
        return key

    return key_of


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are wireless M-Bus; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    if len(data) < 11 or data[1] not in CONTROLS or data[:1] == b"\x68" == data[3:4]:
        return None
    try:
        _, checksums = strip_checksums(data)
    except ProtocolError:
        return None
    if checksums in (Checksums.A, Checksums.B):
        return Recognised(Certainty.CHECKED, f"its block checksums in format {checksums.value} are right")
    return Recognised(Certainty.SHAPED, "as long as its first byte says; a meter's C field behind it")


def _object(telegram: Telegram) -> dict[str, Any]:
    identity, application = telegram.identity, telegram.application
    shown: dict[str, Any] = {
        "protocol": "wmbus",
        "address": identity.number,
        "manufacturer": identity.manufacturer,
        "version": identity.version,
        "medium": identity.medium_name,
    }
    if telegram.frame.sender != identity and identify(telegram.frame) == identity:
        shown["sender"] = str(telegram.frame.sender)
    shown |= given(access_number=telegram.access_number, status=application.status)
    shown |= given(protection=protection(telegram.frame) or None, layout=telegram.layout or None)
    if telegram.opened:
        shown["opened"] = True
    if telegram.compact:
        shown["compact"] = True
    if telegram.private:
        shown["private"] = True
    shown["readings"] = [reading_object(each) for each in Interpreter(_DEVICE).explain(application, 0)]
    return shown


def _explain(data: bytes, keys: Keys) -> list[Part]:
    return explain(data, AES, _key_of(keys))


DIALECT: Final = Dialect("wireless M-Bus (EN 13757-4, OMS)", decode, _explain, recognise)
