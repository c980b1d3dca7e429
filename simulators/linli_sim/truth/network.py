"""How readings arrive: a little late, now and then much, some twice, some never, and none while a gateway is away."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.truth.faults import Faults
from linli_sim.truth.ledger import NOTHING, Ledger, Rows, joined

_RADIO: Final = ("-water/", "-gas/")
"""Meters that are heard by radio: their telegrams are lost now and then."""


class Away(NamedTuple):
    """A time in which nothing of a gateway arrives.

    Attributes:
        begins: Its begin.
        ends: Its end.
        keeps: Whether what it measured meanwhile comes afterwards; a gateway without power measures nothing.
    """

    begins: Instant
    ends: Instant
    keeps: bool


class Network:
    """All gateways' ways to the platform.

    Args:
        ledger: Whose series they are.
        faults: What goes wrong.
        start: When everything begins.
        days: How long it lasts.
        seed: Of its chance.
    """

    def __init__(self, ledger: Ledger, faults: Faults, start: Instant, days: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._ledger = ledger
        self._start, self._days = start, days
        self._faults = faults
        self._away: Mapping[str, tuple[Away, ...]] | None = None
        self._later = NOTHING

    def away(self) -> Mapping[str, tuple[Away, ...]]:
        """Return by gateway when it is away: restarts of a minute, an uplink that fails for longer, what is planted."""
        if self._away is None:
            found = {}
            for gateway in dict.fromkeys(series.gateway for series in self._ledger.series):
                spans = []
                for day in range(self._days):
                    if self._random.random() < 0.12:
                        at = self._start + day * DAY + int(self._random.uniform(0, 23) * HOUR)
                        spans.append(Away(at, at + int(self._random.uniform(25, 58)) * SECOND, keeps=False))
                    if day and self._random.random() < 0.06:
                        at = self._start + day * DAY + int(self._random.uniform(0, 22) * HOUR)
                        spans.append(Away(at, at + int(self._random.uniform(2, 35)) * MINUTE, keeps=True))
                spans += [Away(*span, keeps=True) for span in self._faults.spans("gateway", f"{gateway}/feeder")]
                found[gateway] = tuple(sorted(spans))
            self._away = found
        return self._away

    def send(self, rows: Rows, until: Instant) -> Rows:
        """Return what arrives until an instant, in order of arrival; the rest is kept for the next time."""
        random = self._random
        count = len(rows.series)
        comes = rows.time + (random.exponential(0.4, count) * SECOND).astype(np.int64) + SECOND // 5
        slow = random.random(count) < 0.004
        comes = np.where(slow, comes + (random.uniform(1, 120, count) * SECOND).astype(np.int64), comes)
        radio = np.array([any(part in series.name for part in _RADIO) for series in self._ledger.series])
        # One in forty of their telegrams is lost; of one meter in thirty, behind a steel door, every fourth.
        badly = np.arange(len(radio)) % 30 == 7
        lost = radio[rows.series] & (random.random(count) < np.where(badly[rows.series], 0.25, 0.025))
        gateways = list(self.away())
        places = np.array([gateways.index(series.gateway) for series in self._ledger.series])[rows.series]
        for place, gateway in enumerate(gateways):
            mine = places == place
            for away in self.away()[gateway]:
                held = mine & (rows.time < away.ends) & (comes >= away.begins)
                if away.keeps:
                    # Its log is sent as fast as the line can: an hour's readings in seconds.
                    comes = np.where(held, away.ends + SECOND + (rows.time - away.begins) // 600, comes)
                else:
                    lost |= held
        sent = rows._replace(comes=comes).pick(~lost)
        again = sent.pick(random.random(len(sent.series)) < 0.002)
        again = again._replace(
            comes=again.comes + (random.uniform(0.1, 60.0, len(again.series)) * SECOND).astype(np.int64)
        )
        everything = joined([self._later, sent, again])
        now = everything.comes < until
        self._later = everything.pick(~now)
        return everything.pick(now).ordered()
