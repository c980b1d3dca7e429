"""The whole: a community's days, through the platform's screening and engine, judged by what was planted."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from linli_core.alarm import Absence, AlarmChange, Bound, Engine, Event, Rule, by_design
from linli_core.alarm.engine import CHINA
from linli_core.instant import DAY, SECOND, Instant, from_datetime
from linli_platform.alarms.screening import Screening
from linli_platform.ingest import Columns
from linli_platform.store import SeriesInfo
from linli_sim.truth.building import Building
from linli_sim.truth.canteen import ROOMS, Canteen
from linli_sim.truth.dwellings import Dwellings
from linli_sim.truth.faults import Fault, Faults
from linli_sim.truth.ledger import Ledger, Rows, texts_of
from linli_sim.truth.network import Network
from linli_sim.truth.supply import Supply, Transformer

START: Final = from_datetime(datetime(2026, 6, 1, tzinfo=CHINA))
STEP: Final = 20 * SECOND
"""So often the platform commits what came and looks at its clock. It does both each second."""


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        faults: What was planted.
        days: How long it lasted.
        readings: How many came.
        found: The faults that were told in time, with the delay.
        late: Those told after their time.
        missed: Those never told.
        false: Alarms that people were told of for nothing.
        because: How many alarms followed from what was planted.
        hidden: Alarms that the design itself hides: a device is silent because its gateway is.
        seconds: What it took.
    """

    faults: Sequence[Fault]
    days: int
    readings: int = 0
    found: list[tuple[Fault, AlarmChange]] = field(default_factory=list)
    late: list[tuple[Fault, AlarmChange]] = field(default_factory=list)
    missed: list[Fault] = field(default_factory=list)
    false: list[AlarmChange] = field(default_factory=list)
    because: int = 0
    hidden: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the figures that the run ends with."""
        return {
            "planted": len(self.faults),
            "found": len(self.found),
            "late": len(self.late),
            "false_per_day": round(len(self.false) / self.days, 2),
        }


def run(
    rules: Iterable[Rule],
    planted: Sequence[Fault],
    *,
    days: int,
    buildings: int,
    dwellings: int,
    seed: int,
    rooms: int = len(ROOMS),
    step: Instant = STEP,
    tell: Callable[[str], object] = lambda _: None,
) -> Outcome:
    """Live through some days.

    Args:
        rules: The rules in force.
        planted: What goes wrong.
        days: How many, from :data:`START` on.
        buildings: How many buildings.
        dwellings: In each of them.
        seed: Of everything.
        rooms: How many cold rooms, freezers and refrigerators the canteen has.
        step: So often the clock is looked at.
        tell: Hears of the progress.
    """
    began = time.perf_counter()
    faults = Faults(planted)
    community = _Community(faults, days, buildings, dwellings, seed, rooms)
    watch = _Watch(rules, community.ledger, step)
    outcome = Outcome(faults.all, days)
    for day in range(days):
        rows = community.day(day)
        outcome.readings += len(rows.series)
        watch.take(rows, START + day * DAY, START + (day + 1) * DAY)
        tell(f"day {day + 1}: {len(rows.series)} readings, {len(watch.told)} alarms so far")
    _judge(watch, outcome)
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Community:
    """Everything that measures."""

    def __init__(self, faults: Faults, days: int, buildings: int, dwellings: int, seed: int, rooms: int) -> None:
        self.ledger = ledger = Ledger()
        gateways = [f"gw-{number + 1}" for number in range(buildings)]
        self._homes = [
            Dwellings(ledger, faults, gateway, dwellings, seed + 10 * number, alone=3 if number == 0 else 0)
            for number, gateway in enumerate(gateways)
        ]
        self._supplies = [
            Supply(ledger, faults, gateway, dwellings, seed + 10 * number + 1)
            for number, gateway in enumerate(gateways)
        ]
        self._buildings = [
            Building(ledger, faults, gateway, seed + 10 * number + 2) for number, gateway in enumerate(gateways)
        ]
        self._canteen = Canteen(ledger, faults, seed + 3, rooms)
        self._transformer = Transformer(ledger, faults, "gw-centre", seed + 4)
        self._network = Network(ledger, faults, START, days, seed + 5)

    def day(self, number: int) -> Rows:
        """Return what arrives on a day."""
        start = START + number * DAY
        for homes, supply in zip(self._homes, self._supplies, strict=True):
            homes.tell(start)
            supply.tell(start, homes.power)
        for building in self._buildings:
            building.tell(start)
        self._canteen.tell(start)
        self._transformer.tell(start, np.sum([homes.power for homes in self._homes], axis=0))
        return self._network.send(self.ledger.take(), start + DAY)


class _Watch:
    """The platform's judgement, with its clock in our hands."""

    def __init__(self, rules: Iterable[Rule], ledger: Ledger, step: Instant) -> None:
        self._ledger, self._step = ledger, step
        self._engine = Engine(rules)
        self._screening = Screening(self._engine, self._bind)
        self._now = START
        self._infos: dict[int, SeriesInfo] = {}
        self._silences: dict[str, tuple[str, Instant]] = {}
        self.told: list[AlarmChange] = []
        self.hidden: list[AlarmChange] = []

    def _bind(self, info: SeriesInfo) -> Bound:
        return self._engine.bind(self._ledger.series[info.id], self._now)

    def _info(self, series: int) -> SeriesInfo:
        found = self._infos.get(series)
        if found is None:
            of = self._ledger.series[series]
            found = self._infos[series] = SeriesInfo(series, of.gateway, of.device, of.name, of.quantity)
        return found

    def take(self, rows: Rows, start: Instant, end: Instant) -> None:
        """Judge what arrives, step by step."""
        ends = np.arange(start + self._step, end + self._step, self._step)
        cuts = [0, *np.searchsorted(rows.comes, ends, "left").tolist()]
        quality = np.where(rows.bad, np.uint8(_BAD_CODE), np.uint8(0))
        for number, now in enumerate(ends.tolist()):
            self._now = now
            begin, stop = cuts[number], cuts[number + 1]
            if begin < stop:
                part = rows.pick(slice(begin, stop))
                texts = texts_of(part, self._ledger.labels)
                value = part.value
                if texts:
                    value = value.copy()
                    value[list(texts)] = np.nan
                columns = Columns(part.series, part.time, value, quality[begin:stop], texts, self._info)
                self._note(self._screening.observe(columns, now))
            self._note(self._engine.tick(now))

    def _note(self, changes: Iterable[AlarmChange]) -> None:
        for change in changes:
            rule = self._engine.rules[change.rule]
            if isinstance(rule.condition, Absence):
                if change.event is Event.RAISE:
                    self._silences[change.subject] = (change.rule, change.at)
                else:
                    self._silences.pop(change.subject, None)
            if change.event is Event.RAISE:
                is_hidden = isinstance(rule.condition, Absence) and by_design(
                    change.rule, change.subject, self._silences
                )
                (self.hidden if is_hidden else self.told).append(change)


_BAD_CODE: Final = 128


def _judge(watch: _Watch, outcome: Outcome) -> None:
    told = sorted(watch.told, key=lambda it: it.learnt_at)
    for fault in outcome.faults:
        truth = fault.truth
        first = next(
            (it for it in told if truth.is_about(it.rule, it.subject) and truth.begins <= it.at <= truth.ends), None
        )
        if first is None:
            outcome.missed.append(fault)
        elif first.learnt_at <= truth.by:
            outcome.found.append((fault, first))
        else:
            outcome.late.append((fault, first))
    for change in told:
        if any(fault.accounts_for(change.rule, change.subject, change.at) for fault in outcome.faults):
            outcome.because += 1
        else:
            outcome.false.append(change)
    outcome.hidden = len(watch.hidden)
