"""What late readings tell of an earlier time: pieces on one side of a limit, and the alarms that lie in them. Pure.

A value holds until the next reading says otherwise, late or not. So a piece lasts until the next one or, where no more
comes late, until the reading that ended the silence it lies in.
"""

from bisect import bisect_right
from collections.abc import Sequence
from sys import maxsize
from typing import Final, NamedTuple

from linli_core.alarm.memory import Piece, Side
from linli_core.instant import Instant

MOST_PIECES: Final = 64
"""Pieces of one run that are kept: of a run with more the oldest were judged."""

UNKNOWN: Final = -1
"""Where a silence begins of which nobody knows what came in it."""

FOREVER: Final = maxsize
"""Later than any instant, and longer than any time."""

Silence = tuple[Instant, Instant]


class Episode(NamedTuple):
    """One alarm of the past.

    Attributes:
        begun: Since when the readings lie beyond.
        raised_at: When that had lasted for the on-delay.
        over_at: When it was over, ``None`` while nothing says so.
        value: What the newest reading beyond said when it was raised.
    """

    begun: Instant
    raised_at: Instant
    over_at: Instant | None
    value: bool | float | str | None


def silence_around(silences: Sequence[Silence], at: Instant) -> Silence | None:
    """Return the silence an instant lies in; ``None`` where readings came closely.

    What is older than the silences that are kept is one that begins at :data:`UNKNOWN`.
    """
    if not silences or at < silences[0][0]:
        return UNKNOWN, silences[0][0] if silences else FOREVER
    place = bisect_right(silences, at, key=lambda it: it[0]) - 1
    begins, ends = silences[place]
    return (begins, ends) if begins < at < ends else None


def put(pieces: list[Piece], piece: Piece, around: Silence, told_upto: Instant = UNKNOWN) -> bool:
    """Put a reading, a piece of its own, where it belongs; ``False`` where it says nothing new.

    Args:
        pieces: What others said, in order of event time.
        piece: The reading.
        around: The silence it lies in.
        told_upto: Until when people know what was so: what it says does not go on from before that.
    """
    at, side = piece.first, piece.side
    place = bisect_right(pieces, at, key=lambda it: it.first)
    before = pieces[place - 1] if place else None
    # Where nobody knows what came in between, an earlier reading does not last until a later one.
    after = pieces[place] if place < len(pieces) and around[0] != UNKNOWN else None
    if before is not None and at <= before.last:
        if before.side == side or at in {before.first, before.last}:
            return False
        # It parts what seemed to be one: what was said before it held until then, what was said after it holds again.
        pieces[place:place] = [piece, Piece(at + 1, before.last, before.side, before.value)]
        before.last = at - 1
    elif before is not None and before.side == side and before.first > max(around[0], told_upto):
        before.last, before.value = at, piece.value
        if after is not None and after.side == side and after.last < around[1]:
            before.last, before.value = after.last, after.value
            del pieces[place]
    elif after is not None and after.side == side and after.last < around[1]:
        after.first = at
    else:
        pieces.insert(place, piece)
    del pieces[:-MOST_PIECES]
    return True


class Around(NamedTuple):
    """What came in time around late readings.

    Attributes:
        silences: Where late readings may lie.
        excursions: From when to when readings in time lay beyond, too shortly for an alarm.
    """

    silences: Sequence[Silence] = ()
    excursions: Sequence[Silence] = ()


def episodes(
    pieces: Sequence[Piece], known: Around, on_delay: Instant, off_delay: Instant, *, is_over: bool
) -> list[Episode]:
    """Return the alarms that pieces tell of, oldest first.

    Args:
        pieces: What the late readings say, in order of event time.
        known: What came in time around them.
        on_delay: How long they must lie beyond.
        off_delay: How long they must lie back until an alarm is over.
        is_over: Whether no more is waited for: the last piece then lasts until the reading that ended its silence.
    """
    teller = _Teller(on_delay, off_delay)
    around: Silence | None = None
    for piece in pieces:
        found = silence_around(known.silences, piece.first)
        if found != around and around is not None:
            teller.close(around, known.excursions)
        around = found
        teller.take(piece)
    if is_over and around is not None:
        teller.close(around, known.excursions)
    return teller.told()


class _Teller:
    """Goes through pieces in order of time."""

    def __init__(self, on_delay: Instant, off_delay: Instant) -> None:
        self._on = on_delay
        self._off = off_delay
        self._found: list[Episode] = []
        self._since: Instant | None = None
        self._back: Instant | None = None
        self._open: Episode | None = None
        self._last: Piece | None = None

    def take(self, piece: Piece) -> None:
        """Take the next piece."""
        is_beyond = piece.side is Side.BEYOND
        self._return(piece.first)
        if is_beyond and not self._on and self._last is not None:
            self._end(self._last.last + self._off)  # without an on-delay each counts by itself
        if self._open is None:
            if is_beyond and self._since is None:
                self._since = piece.first
            self._reach(piece.last if is_beyond else piece.first, piece if is_beyond else self._last)
            if not is_beyond:
                self._since = None
        if self._open is not None:
            if piece.side is not Side.BACK:
                self._back = None
            elif self._back is None:
                self._back = piece.first
            self._return(piece.last)
        self._last = piece

    def close(self, around: Silence, excursions: Sequence[Silence]) -> None:
        """End what was told within a silence; what lay beyond until its end may have gone on."""
        if self._last is None:
            return
        end = self._last.last if around[0] == UNKNOWN else around[1]
        end = next((until for begun, until in excursions if begun == end), end)
        if self._open is None:
            self._reach(end, self._last)
        if self._open is not None:
            self._end((end if self._back is None else self._back) + self._off)
        self._since = None

    def _reach(self, until: Instant, piece: Piece | None) -> None:
        if self._since is not None and until - self._since >= self._on:
            value = None if piece is None else piece.value
            self._open = Episode(self._since, self._since + self._on, None, value)

    def _return(self, until: Instant) -> None:
        if self._back is not None and until - self._back >= self._off:
            self._end(self._back + self._off)

    def _end(self, at: Instant) -> None:
        if self._open is not None:
            self._found.append(self._open._replace(over_at=max(at, self._open.raised_at)))
        self._open = self._since = self._back = None

    def told(self) -> list[Episode]:
        """Return what was found; the last may still stand."""
        return [*self._found, *([] if self._open is None else [self._open])]
