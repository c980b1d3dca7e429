"""What time it is, and how far that can be believed.

A board counts milliseconds from anywhere (2000-01-01, or its start), and goes on through deep sleep; a power cut sets
it back. What it counts between two power cuts is an *era*. The gateway's time makes an *anchor*: at this count it was
that time. Records are kept with era and count, and get their time when they are sent: between two anchors by
proportion, outside them by the nearest, and of an era that nobody ever anchored the moment it must have ended, marked
as doubtful.
"""

import json

from micropython import const

from linli_node.errors import FlashError

_ERAS = const(8)
_DRIFT = const(20)
"""A board's sleep clock may be wrong by a twentieth (the RC oscillator of an ESP32-C3)."""
_DOUBT_MS = const(60_000)
_APART_MS = const(600_000)
"""Anchors nearer to each other than this say nothing about how fast the count runs."""
_NEGLIGIBLE_MS = const(200)


class Clock:
    """The time of one node.

    Args:
        counting: Returns the board's milliseconds.
        saved: Where eras and anchors are kept on flash.
    """

    def __init__(self, counting, saved):
        self._counting = counting
        self._saved = saved
        self._eras = []
        self.era = 0

    def open(self, *, goes_on):
        """Begin; ``goes_on``: the board's count has not been interrupted since the last start."""
        content = self._saved.load()
        # Era, earlier anchor (count, time), later anchor (count, time); counts of -1: there is none.
        self._eras = json.loads(content) if content else []
        if self._eras and goes_on and self._counting() >= self._eras[-1][3]:
            self.era = self._eras[-1][0]
            return
        self.era = self._eras[-1][0] + 1 if self._eras else 1
        self._eras.append([self.era, -1, 0, -1, 0])
        self._keep()

    def stamp(self):
        """Return era and count of now, for a record."""
        return self.era, self._counting()

    def set(self, now):
        """Take the gateway's time, in milliseconds since 1970."""
        count, era = self._counting(), self._eras[-1]
        if era[1] < 0:
            era[1], era[2] = count, now
        elif count - era[3] < _APART_MS:
            if abs(_between(era, count)[0] - now) < _NEGLIGIBLE_MS:
                return
        else:
            # What was counted since the last anchor, through a long outage too, is put right by both.
            era[1], era[2] = era[3], era[4]
        era[3], era[4] = count, now
        self._keep()

    def time_of(self, era, count):
        """Return a record's time and whether it is doubtful; ``None`` while nothing can be said."""
        following = None
        for each in reversed(self._eras):
            if each[0] < era:
                break
            if each[1] < 0:
                continue
            if each[0] == era:
                return _between(each, count)
            following = each
        if following is None:
            return None, True
        # It was before the era that followed began, at the latest.
        return following[2] - following[1], True

    def _keep(self):
        del self._eras[:-_ERAS]
        try:
            self._saved.save(json.dumps(self._eras).encode())
        except FlashError:
            # Known as long as there is power; the log, on the same flash, says that it is at its end.
            return


def _between(era, count):
    _, first, at_first, last, at_last = era
    if first <= count <= last and last > first and at_last > at_first:
        # By proportion, in whole numbers: a float of 32 bits cannot hold a time.
        return at_first + (count - first) * (at_last - at_first) // (last - first), False
    if count < first:
        return at_first - (first - count), (first - count) // _DRIFT > _DOUBT_MS
    return at_last + (count - last), (count - last) // _DRIFT > _DOUBT_MS
