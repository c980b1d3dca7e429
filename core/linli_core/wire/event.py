"""Events as CloudEvents 1.0 in structured JSON, with ``epoch`` and ``seq`` as extension attributes."""

from typing import Final, cast

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant, from_rfc3339, to_rfc3339

MAX_BYTES: Final = 1 << 16
"""Longest event: it tells that something happened, it carries no bulk."""
_MAX_TEXT: Final = 256


class Event(msgspec.Struct, frozen=True):
    """Something that happened.

    Attributes:
        id: Unique for its source; the same event sent twice has the same id.
        type: ``linli.device.silent``…
        source: ``linli/{gateway}``.
        time: When it happened.
        subject: What it happened to, within the source (a device, a link).
        data: Details; JSON values only.
    """

    id: str
    type: str
    source: str
    time: Instant
    subject: str = ""
    data: dict[str, object] = {}


class _Envelope(msgspec.Struct, omit_defaults=True):
    specversion: str
    id: str
    type: str
    source: str
    time: str
    subject: str = ""
    datacontenttype: str = "application/json"
    data: dict[str, object] = {}
    epoch: str = ""
    seq: int = 0


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(_Envelope)


def encode(event: Event) -> bytes:
    """Return an event as JSON, without its place in the log."""
    return _encoder.encode(
        _Envelope("1.0", event.id, event.type, event.source, to_rfc3339(event.time), event.subject, data=event.data)
    )


def stamp(body: bytes, epoch: str, seq: int) -> bytes:
    """Return an encoded event with its place in the gateway's log."""
    return b'{"epoch":"%b","seq":%d,%b' % (epoch.encode(), seq, body[1:])


def decode(payload: bytes) -> tuple[Event, str, int]:
    """Return an event and its place in the gateway's log, ``(event, epoch, seq)``.

    Raises:
        Refused: It is no CloudEvent 1.0, too large, or without ``epoch`` and ``seq``.
    """
    if len(payload) > MAX_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"{len(payload)} bytes; an event has {MAX_BYTES} at most")
    try:
        found = _decoder.decode(payload)
        time = from_rfc3339(found.time)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"event: {exc}") from exc
    except (ValueError, OverflowError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"event: {exc}", where="time") from exc
    if found.specversion != "1.0":
        raise Refused(RefusalReason.VERSION, f"CloudEvents {found.specversion[:20]!r}; known: 1.0", where="specversion")
    for name in ("id", "type", "source", "subject"):
        text = cast("str", getattr(found, name))
        if len(text) > _MAX_TEXT or (not text and name != "subject"):
            raise Refused(RefusalReason.WRONG_TYPE, f"{len(text)} characters; 1 to {_MAX_TEXT}", where=name)
    if not found.epoch or found.seq < 1:
        raise Refused(RefusalReason.NO_SEQUENCE, "an event without epoch and seq")
    return Event(found.id, found.type, found.source, time, found.subject, found.data), found.epoch, found.seq
