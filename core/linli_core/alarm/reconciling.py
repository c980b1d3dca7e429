"""What people were told held against what is known now: what was not so, what is over, what is news. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from linli_core.alarm.memory import Span
from linli_core.alarm.states import Event, Note
from linli_core.instant import Instant
from linli_core.model import Value

MOST_TOLD: Final = 32
"""Alarms of one identity that are remembered as told; what is older than all of so many is no news."""

MOST_UNTOLD: Final = 8
"""Alarms of the past that wait until the one that stands is over."""

_FOREVER: Final = 2**62

Move = tuple[Event | Note, Instant, Value]
"""What is to be told: ``RAISE`` and ``RETURN`` with when it was so, ``DISPROVE`` of what was told to have begun."""


class Reconciled(NamedTuple):
    """What comes of it.

    Attributes:
        moves: What is to be told now, in this order.
        told: The alarms that people know of then.
        untold: Those that they are told of when the one that stands is over.
    """

    moves: list[Move]
    told: list[Span]
    untold: list[Span]


def reconcile(found: Sequence[Span], told: Sequence[Span], untold: Sequence[Span], since: Instant) -> Reconciled:
    """Return what is to be told so that people know what was found.

    An alarm that was told and overlaps one that was found is that one, though it began or ended a little otherwise;
    only that it is over, or is not, is worth a word. While an alarm stands another of the past is not told: it waits.

    Args:
        found: When the condition held, in order, from ``since`` on; the last may hold now.
        told: What people were told of, in order; the last may stand now.
        untold: What waits to be told.
        since: What was over by then is as it was.
    """
    moves, known = _held_against(found, told, since)
    stands = any(span.over is None for span in known)
    forgotten = told[0].begun if len(told) >= MOST_TOLD else None
    waiting = [span for span in untold if _end(span) <= since]
    for it in found:
        near = [span for span in known if _overlap(it, span)]
        if it.over is not None:
            if not near and (forgotten is None or it.over >= forgotten):
                waiting.append(it)
        elif not stands:
            # What people were told was over goes on: they are told again, and from when on.
            begun = max((_end(span) for span in near), default=it.begun)
            moves += [*_told_of(waiting), (Event.RAISE, begun, it.value)]
            known += [*waiting, Span(begun, None, it.value)]
            waiting, stands = [], True
    if not stands:
        moves += _told_of(waiting)
        known += waiting
        waiting = []
    known.sort(key=lambda span: span.begun)
    return Reconciled(moves, known[-MOST_TOLD:], waiting[-MOST_UNTOLD:])


def _held_against(found: Sequence[Span], told: Sequence[Span], since: Instant) -> tuple[list[Move], list[Span]]:
    """Return what is to be said of alarms that were told, and those that were none and are so still."""
    moves: list[Move] = []
    known: list[Span] = []
    for span in told:
        if span.over is not None and span.over <= since:
            known.append(span)
            continue
        same = [it for it in found if _overlap(it, span)]
        if not same:
            moves.append((Note.DISPROVE, span.said_at, None))
            if span.over is None:
                moves.append((Event.RETURN, span.said_at, None))
            continue
        # From now on it is what was found, so that it is not taken for another one when more comes late.
        begun, over = min(span.begun, same[0].begun) if span.begun < since else same[0].begun, span.over
        if over is None and same[0].over is not None:
            over = same[0].over
            moves.append((Event.RETURN, max(over, span.said_at), None))
        elif over is not None:
            over = same[-1].over or over
        known.append(Span(begun, over, span.value, span.said_at))
    return moves, known


def _told_of(spans: Sequence[Span]) -> list[Move]:
    return [
        move for span in spans for move in ((Event.RAISE, span.begun, span.value), (Event.RETURN, _end(span), None))
    ]


def _end(span: Span) -> Instant:
    return _FOREVER if span.over is None else span.over


def _overlap(one: Span, other: Span) -> bool:
    """Tell whether there is a time at which both held; one that was over at once held when it was raised."""
    begun, over = max(one.begun, other.begun), min(_end(one), _end(other))
    return begun < over or (begun == over and over in {_end(it) for it in (one, other) if it.begun == _end(it)})
