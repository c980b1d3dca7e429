"""Points in time as whole microseconds since 1970-01-01T00:00:00Z.

An :data:`Instant` is an ``int``: exact, ordered, cheap to store in columns and the same number on every machine.
A float of seconds is not exact enough to be half of a reading's identity (series, time); a ``datetime`` costs ten
times as much in the hot path. People see RFC 3339 (:func:`to_rfc3339`).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

Instant = int
"""Microseconds since the epoch, UTC."""

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_datetime(moment: datetime) -> Instant:
    """Return the instant of an aware datetime; refuse a naive one (``ValueError``)."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime names no instant; give it a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: Instant) -> datetime:
    """Return the aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def to_rfc3339(instant: Instant) -> str:
    """Return ``2026-11-23T03:28:44.5Z``: as many decimals as the instant needs, none if it is whole."""
    text = to_datetime(instant).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def from_rfc3339(text: str) -> Instant:
    """Return the instant of an RFC 3339 text; ``ValueError`` if it is none or has no offset."""
    return from_datetime(datetime.fromisoformat(text))


def from_seconds(seconds: float) -> Instant:
    """Return the instant nearest to seconds since 1970 (SenML's time); exact to the microsecond until 2106 (2^32 s)."""
    return round(seconds * SECOND)


def to_seconds(instant: Instant) -> float:
    """Return seconds since the epoch; :func:`from_seconds` brings back the same instant."""
    return instant / SECOND
