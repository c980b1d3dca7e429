"""Instants in a query: RFC 3339, or relative to now (``-24h``, ``-15min``, ``now``)."""

import re
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from linli_platform.api.problem import Problem

_UNITS: Final = {"s": SECOND, "min": MINUTE, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_RELATIVE: Final = re.compile(r"-(\d{1,9}) ?(s|min|m|h|d|w)", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,9}) ?(s|min|m|h|d|w)", re.ASCII)
EARLIEST: Final = 0
LATEST: Final = 4_102_444_800 * SECOND
"""2100-01-01: beyond it no reading is taken."""


def parse_time(text: str, now: Instant, where: str) -> Instant:
    """Return the instant a query means; raise :class:`Problem` if none."""
    text = text.strip()
    if text == "now":
        return now
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return max(now - int(relative[1]) * _UNITS[relative[2]], EARLIEST)
    try:
        # A '+' in a query that was not escaped arrives as a space.
        instant = from_rfc3339(re.sub(r" (\d\d:\d\d)$", r"+\1", text, flags=re.ASCII))
    except (ValueError, OverflowError):
        remedy = "write RFC 3339 with an offset (2026-11-23T08:00:00Z) or a time back from now (-24h, -15min, now)"
        raise Problem(422, "bad-time", where=where, found=f"{text[:80]!r} is no time", remedy=remedy) from None
    return min(max(instant, EARLIEST), LATEST)


def parse_step(text: str, where: str) -> Instant:
    """Return a duration in µs; raise :class:`Problem` if it is none or not positive."""
    match = _DURATION.fullmatch(text.strip())
    length = int(match[1]) * _UNITS[match[2]] if match else 0
    if length <= 0 or length > 366 * DAY:
        found = f"{text[:80]!r} is no step"
        raise Problem(
            422, "bad-step", where=where, found=found, remedy="write a duration up to 366 d: 30s, 15min, 1h, 1d"
        )
    return length


def parse_end(length: str, until: str, start: Instant, now: Instant, *, never: str) -> Instant:
    """Return when something ends that is said by its length or by its end.

    Args:
        length: How long, empty if ``until`` says it.
        until: Until when, empty if ``length`` says it.
        start: When it begins.
        now: The present instant.
        never: What holds of that which has no end, for whoever says neither or both.
    """
    if bool(length) == bool(until):
        found = "both for and until" if length else "neither for nor until"
        raise Problem(422, "bad-span", where="until", found=found, remedy=f"say one of them: {never}")
    return start + parse_step(length, "for") if length else parse_time(until, now, "until")


def check_period(start: Instant, end: Instant, longest: Instant, found: str) -> None:
    """Raise :class:`Problem` for a period that ends before it begins, or is longer than is looked at."""
    if not start < end <= start + longest:
        remedy = f"let `to` come after `from`, by {longest // DAY} days at most"
        raise Problem(422, "bad-span", where="from", found=found, remedy=remedy)
