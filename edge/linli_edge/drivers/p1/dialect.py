"""P1 for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import Keys as DlmsKeys
from linli_core.codecs.dlms.ciphering import GENERAL_GLO
from linli_core.codecs.explain import Part
from linli_core.codecs.p1 import Interpreter, SealedReader, Telegram, TelegramReader, identity_of
from linli_core.codecs.p1.explain import explain
from linli_core.codecs.p1.sealed import AUTHENTICATION_KEY
from linli_core.errors import ChecksumError, ProtocolError
from linli_edge.ciphers import AES
from linli_edge.drivers.dlms.dialect import explain_with
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys
from linli_edge.telegrams.readings import reading_objects


def decode(data: bytes, keys: Keys) -> Iterator[Outcome]:
    """Yield each telegram in some bytes, or what is wrong with it; encrypted ones are opened with ``--key``."""
    telegrams, errors = _split(data, keys)
    for telegram in telegrams:
        interpreter = Interpreter("meter")
        readings = reading_objects(interpreter.readings(telegram, 0))
        shown: dict[str, object] = {
            "protocol": "p1",
            "address": identity_of(telegram),
            "manufacturer": telegram.maker,
            "identification": telegram.identification,
            "version": telegram.version,
            "checked": telegram.crc is not None,
        }
        if interpreter.empty_slots:
            shown["empty_slots"] = interpreter.empty_slots
        yield shown | {"readings": readings}
    if telegrams:
        yield from (error for error in errors if isinstance(error, ChecksumError) or error.kind == "replayed")
    else:
        yield errors[0] if errors else ProtocolError("there is no telegram: none starts with a slash")


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are P1; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    telegrams, errors = _split(data, Keys())
    if any(telegram.crc is not None for telegram in telegrams):
        return Recognised(Certainty.CHECKED, "a slash, lines, an exclamation mark; the CRC is right")
    if telegrams or any(isinstance(error, ChecksumError) for error in errors):
        return Recognised(Certainty.SHAPED, "a slash, lines, an exclamation mark")
    return None


def _split(data: bytes, keys: Keys) -> tuple[list[Telegram], list[ProtocolError]]:
    key = keys.key()
    reader: TelegramReader | SealedReader = TelegramReader()
    if data[:1] == bytes((GENERAL_GLO,)):
        if key is None:
            return [], [ProtocolError("the telegram is encrypted: give --key", kind="no_key")]
        reader = SealedReader(DlmsKeys(key, keys.authentication_key() or AUTHENTICATION_KEY), AES)
    telegrams: list[Telegram] = []
    errors: list[ProtocolError] = []
    reader.receive(data)
    reader.end()
    while True:
        try:
            telegram = reader.next_event()
        except ProtocolError as exc:
            errors.append(exc)
            continue
        if telegram is NEED_DATA:
            return telegrams, errors
        telegrams.append(telegram)


def _explain(data: bytes, keys: Keys) -> list[Part]:
    return explain_with(data, keys, AUTHENTICATION_KEY) if data[:1] == bytes((GENERAL_GLO,)) else explain(data)


DIALECT: Final = Dialect("DSMR P1", decode, _explain, recognise)
