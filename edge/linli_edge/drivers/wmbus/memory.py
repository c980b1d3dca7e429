"""What a receiver has heard, kept while the line is opened again: meters, when each spoke last, formats, duplicates."""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.codecs.mbus import Identity
from linli_core.codecs.wmbus import Formats
from linli_core.codecs.wmbus.duplicates import Duplicates
from linli_core.errors import ProtocolError
from linli_core.instant import Instant
from linli_core.model import Point, Reading
from linli_edge.driver import UnitCounters
from linli_edge.drivers.wmbus.replay import ReplayGuard

FIRST_WAIT: Final = 20.0
"""Seconds: most meters that are read by radio send within them."""

MOST_HEARD: Final = 2000
"""Meters that are remembered: some hundred are in reach of one receiver; the one unheard longest is forgotten."""


@dataclass(slots=True)
class HeardMeter:
    """A meter whose telegrams came in, wanted or not.

    Attributes:
        identity: Its own.
        count: Telegrams.
        last: When the last one came.
        rssi: Its signal strength in dBm, if the receiver tells.
        protection: How its data are protected: empty for plain.
        key_errors: Telegrams that its key did not open, or that needed one that is not given.
        layout: Private layout by which it was read; empty for none.
        private: All it says is its maker's own, and no layout is known.
    """

    identity: Identity
    count: int = 0
    last: Instant = 0
    rssi: float | None = None
    protection: str = ""
    key_errors: int = 0
    layout: str = ""
    private: bool = False


@dataclass(slots=True)
class MeterState:
    """What came from a wanted meter since the link last collected it.

    Attributes:
        fresh: The latest reading of each point.
        points: Every point it ever gave, in the order they came.
        heard_at: When its last good telegram came; before the first when waiting began.
        fault: Why the last telegram gave no readings.
        formats: Of its compact frames.
        messages: The latest message counter of security mode 7, by the meter's number: a new meter begins at its own.
        replays: Knows again what its key opened.
        counters: What became of its telegrams.
    """

    fresh: dict[Point, Reading] = field(default_factory=dict)
    points: dict[Point, None] = field(default_factory=dict)
    heard_at: Instant | None = None
    fault: ProtocolError | None = None
    formats: Formats = field(default_factory=Formats)
    messages: dict[str, int] = field(default_factory=dict)
    replays: ReplayGuard = field(default_factory=ReplayGuard)
    counters: UnitCounters = field(default_factory=UnitCounters)


class Memory:
    """What a receiver has heard.

    Attributes:
        duplicates: Telegrams of the last seconds.
        meters: What came from wanted meters, by device id.
        totals: Lines by what became of them.
        replayed: The file of a replay was read to its end.
        first_wait: Seconds for which meters that were never heard are still waited for.
    """

    def __init__(self) -> None:
        self.duplicates = Duplicates()
        self.meters: dict[str, MeterState] = {}
        self.totals: Counter[str] = Counter()
        self.replayed = False
        self.first_wait = FIRST_WAIT
        self._heard: OrderedDict[bytes, HeardMeter] = OrderedDict()

    @property
    def heard(self) -> Mapping[bytes, HeardMeter]:
        """The meters heard, by the bytes of their identity, the one heard last at the end."""
        return self._heard

    def note(self, identity: Identity, rssi: float | None, now: Instant) -> HeardMeter:
        """Count a telegram of a meter and return what is known of it."""
        key = identity.encode()
        meter = self._heard.setdefault(key, HeardMeter(identity))
        self._heard.move_to_end(key)
        meter.count += 1
        meter.last = now
        meter.rssi = rssi if rssi is not None else meter.rssi
        if len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)
        return meter
