"""IEC 62056-21 for the commands that look at recorded telegrams."""

from collections.abc import Iterator
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.explain import Part
from linli_core.codecs.iec62056 import DataMessage, Frame, FrameReader, Identification, Interpreter, SignOn, parse_data
from linli_core.codecs.iec62056.explain import explain
from linli_core.codecs.iec62056.meaning import identity_of
from linli_core.errors import ChecksumError, ProtocolError
from linli_edge.telegrams.dialect import Certainty, Dialect, Outcome, Recognised
from linli_edge.telegrams.keys import Keys
from linli_edge.telegrams.readings import reading_objects


def decode(data: bytes, _keys: Keys) -> Iterator[Outcome]:
    """Yield each data message in some bytes, or what is wrong with it; requests and identifications are passed over."""
    frames, errors = _split(data)
    messages = [frame for frame in frames if isinstance(frame, DataMessage)]
    meter = next((frame for frame in frames if isinstance(frame, Identification)), None)
    for message in messages:
        try:
            datasets = parse_data(message.data)
        except ProtocolError as exc:
            yield exc
            continue
        shown: dict[str, object] = {"protocol": "iec62056-21", "address": identity_of(datasets)}
        if meter is not None:
            shown |= {"manufacturer": meter.maker, "model": meter.text}
        yield shown | {"readings": reading_objects(Interpreter("meter").readings(datasets, 0))}
    if messages:
        yield from (error for error in errors if isinstance(error, ChecksumError))
    else:
        yield errors[0] if errors else ProtocolError("there is no data message: none starts with STX")


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are IEC 62056-21; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    frames, errors = _split(data)
    if any(isinstance(frame, DataMessage) for frame in frames):
        return Recognised(Certainty.CHECKED, "STX, ETX, and a block check character that is right")
    # An empty line behind the first one is P1's.
    if (
        data[:1] in {b"/", b"\x02"}
        and b"\r\n\r\n" not in data[:80]
        and (
            any(isinstance(frame, SignOn | Identification) for frame in frames)
            or any(isinstance(error, ChecksumError) for error in errors)
        )
    ):
        return Recognised(Certainty.SHAPED, "a request or an identification, or data between STX and ETX")
    return None


def _split(data: bytes) -> tuple[list[Frame], list[ProtocolError]]:
    reader = FrameReader()
    reader.receive(data)
    reader.end()
    frames: list[Frame] = []
    errors: list[ProtocolError] = []
    while True:
        try:
            frame = reader.next_event()
        except ProtocolError as exc:
            errors.append(exc)
            continue
        if frame is NEED_DATA:
            return frames, errors
        frames.append(frame)


def _explain(data: bytes, _keys: Keys) -> list[Part]:
    return explain(data)


DIALECT: Final = Dialect("IEC 62056-21", decode, _explain, recognise)
