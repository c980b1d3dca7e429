"""``store.*``: what a reading costs on disk."""

import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_platform.ingest.admission import Admission
from linli_platform.ingest.batch import Pending
from linli_platform.ingest.decode import MessageDecoder
from linli_platform.ingest.intake import add_pack
from linli_platform.ingest.settings import Limits
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, Result, bench
from linli_sim.community import GATEWAYS
from linli_sim.community_hours import Sent, played
from linli_sim.loadcurve import Household

_START: Final = 1_767_225_600 * SECOND

# The demo's community

_STRETCHES: Final = ((6, 4), (12, 2), (19, 2))
"""At which hour the community begins on each day, and for how many hours it runs."""

_OUTAGE: Final = (30 * MINUTE, 40 * MINUTE)
"""From when to when on each day, from its beginning, a gateway is cut off; what it read comes two days later."""

_CUT_OFF: Final = "gw-electric"
_MESSAGES_IN_COMMIT: Final = 120

# Billing meters

_METERS: Final = 20
_MOMENTS: Final = 8_640 // 2
_INTERVAL: Final = 10 * SECOND
_LATENESS: Final = 20_000
"""A poll is up to this many µs after its time, another every time: times do not compress as a grid's would."""

_PHASES: Final = ("l1", "l2", "l3")
_POINTS: Final = (
    *(f"voltage.{phase}" for phase in _PHASES),
    *(f"current.{phase}" for phase in _PHASES),
    *(f"active_power.{phase}" for phase in _PHASES),
    "active_power",
    "power_factor",
    "energy_import",
)
_MOMENTS_IN_COMMIT: Final = 40
READINGS: Final = _METERS * _MOMENTS * len(_POINTS)


@bench("store.bytes_per_reading", unit="B", target=3)
def bytes_per_reading() -> Result:
    """Three days of the demo's community, its late readings too, taken in as the platform does, moved to history.

    5.4 million readings of its 25 devices (simulated M-Bus meters), by the gateways' own drivers: four hours of the
    first day, two of each other day, the electricity meters every second, the others every 5 or 10. A full day takes
    less for each reading: what is there once for each day and block is shared by more. On each day a gateway is cut off
    for ten minutes and tells of them two days later, when that day has been moved. Counted is what is in use of the
    file: readings, times, texts, rollups, devices' own times, series, marks, notes of what came late, and what of
    blocks is left empty; not the room that moving left free, which the next days fill (the file's own length is told
    beside). The peer holds the same rows in one table whose key is series and time.
    """
    ingest = _Ingest()
    with _Measured() as measured:
        held: list[list[Sent]] = []
        for number, (begin, hours) in enumerate(_STRETCHES):
            start = _START + number * DAY + begin * HOUR
            sent = played(start, hours * HOUR // SECOND)
            if len(held) > 1:
                sent += held.pop(0)
            cut, through = _parted(sent, start)
            held.append(cut)
            measured.take(ingest.batches(measured.store, through, start + DAY // 2))
            measured.store.compact(start + DAY)
        for late in held:
            measured.take(ingest.batches(measured.store, late, start + DAY))
        return measured.result(start + 2 * DAY)


@bench("store.bytes_per_billing_reading", unit="B", target=3)
def bytes_per_billing_reading() -> Result:
    """A million readings: 20 meters of 12 points, every 10 s for 12 h, committed as they come, then moved to history.

    Values follow households' load curves, rounded as billing meters round them (0.1 V, 1 mA, 0.1 W, 10 Wh).
    """
    with _Measured() as measured:
        names = [f"meter-{meter}/{point}" for meter in range(_METERS) for point in _POINTS]
        ids = [measured.store.series("gw-1", name).id for name in names]
        measured.take(_batches(np.array(ids, dtype=np.int32)))
        return measured.result(_START + 2 * DAY)


def _parted(sent: Sequence[Sent], start: Instant) -> tuple[list[Sent], list[Sent]]:
    """Return what is cut off on a day, and what comes through."""
    parts: tuple[list[Sent], list[Sent]] = ([], [])
    for one in sent:
        is_cut = one.gateway == _CUT_OFF and _OUTAGE[0] <= one.at - start < _OUTAGE[1]
        parts[0 if is_cut else 1].append(one)
    return parts


class _Measured:
    """A store and its peer, filled alike."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._taken = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-bench-")))
            self.store = stack.enter_context(DuckDBStore(self._folder / "store.duckdb"))
            self._peer = stack.enter_context(closing(sqlite3.connect(self._folder / "peer.sqlite")))
            self._peer.execute("PRAGMA synchronous = OFF")  # its size is asked for, not its speed
            self._peer.execute(
                "CREATE TABLE reading (series INTEGER, time INTEGER, value, quality INTEGER,"
                " PRIMARY KEY (series, time)) WITHOUT ROWID"
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def take(self, batches: Iterable[Batch]) -> None:
        """Commit batches to both."""
        for batch in batches:
            self._taken += len(self.store.append(batch, {"gw-1": b"mark"}).new)
            values = batch.value.tolist()
            for row, text in batch.texts.items():
                values[row] = text
            rows = zip(batch.series.tolist(), batch.time.tolist(), values, batch.quality.tolist(), strict=True)
            self._peer.executemany("INSERT INTO reading VALUES (?, ?, ?, ?)", rows)
            self._peer.commit()

    def result(self, now: Instant) -> Result:
        """Return bytes for each reading once all is moved."""
        self.store.compact(now)
        self.store.checkpoint()
        if not self.store.count() == self._taken:
            raise CannotRun(f"the figure is void: {self._taken} appended, {self.store.count()} in the store")
        ours = self.store.bytes_in_use() / self._taken
        length = self.store.size_bytes() / self._taken
        detail = f"  {self._taken} readings; with the room for the next days the file has {length:.2f} B for each"
        print(detail, file=sys.stderr)  # noqa: T201 - the bench's detail
        theirs = (self._folder / "peer.sqlite").stat().st_size / self._taken
        return Result(ours, f"SQLite {sqlite3.sqlite_version}, WITHOUT ROWID (series, time)", theirs)


class _Ingest:
    """From messages to batches, by the platform's own decoder and admission."""

    def __init__(self) -> None:
        self._limits = Limits()
        self._decoders = {gateway: MessageDecoder(self._limits) for gateway in GATEWAYS}
        self._admission: Admission | None = None

    def batches(self, store: DuckDBStore, sent: Sequence[Sent], now: Instant) -> Iterator[Batch]:
        """Yield what is committed of messages."""
        if self._admission is None:
            self._admission = Admission(store, self._limits)
        for first in range(0, len(sent), _MESSAGES_IN_COMMIT):
            pending = Pending(now)
            for one in sent[first : first + _MESSAGES_IN_COMMIT]:
                pack = self._decoders[one.gateway].telemetry(one.payload, one.gateway, now)
                add_pack(pending, self._admission.sender(one.gateway), pack, self._admission)
            yield pending.columns()


def _batches(ids: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Iterator[Batch]:
    lateness = random.Random(1)  # noqa: S311 - a repeatable day, no secret
    households = [Household(meter) for meter in range(_METERS)]
    times: list[int] = []
    values: list[float] = []
    for moment in range(_MOMENTS):
        due = _START + moment * _INTERVAL
        for household in households:
            household.step(_INTERVAL / SECOND, due % DAY / HOUR)
            times += [due + lateness.randrange(_LATENESS)] * len(_POINTS)
            values += _shown(household)
        if (moment + 1) % _MOMENTS_IN_COMMIT == 0:
            yield Batch(
                series=np.tile(ids, _MOMENTS_IN_COMMIT),
                time=np.array(times, dtype=np.int64),
                value=np.array(values, dtype=np.float64),
                quality=np.zeros(len(values), dtype=np.uint8),
                received_at=due + _INTERVAL,
            )
            times, values = [], []


def _shown(household: Household) -> list[float]:
    """Return what a billing meter shows, in the order of the points and the vocabulary's units."""
    phases = household.phases
    return [
        *(round(phase.voltage, 1) for phase in phases),
        *(round(phase.current, 3) for phase in phases),
        *(round(phase.power, 1) for phase in phases),
        round(household.power, 1),
        round(household.power / household.apparent, 3),
        round(household.energy / 10) * 10.0,
    ]
