"""A line in simulated time: devices that answer, are slow, silent or fickle, and a clock that jumps. Pure.

The scheduler's test bench: what takes a line days takes the bench milliseconds, and every figure is exact. It carries
out what :class:`linli_edge.scheduler.Scheduler` says, and writes down what happened.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from linli_core.instant import Instant
from linli_edge.driver import PlannedPoll
from linli_edge.scheduler import Miss, Rest, Run, Scheduler, ScheduleSettings, Transition, Why


@dataclass
class VirtualDevice:
    """What one device does when it is asked; times in microseconds.

    Attributes:
        cost: How long a poll of it takes when it answers.
        timeout: How long one attempt takes when it does not.
        retries: How often an attempt is repeated where the scheduler allows it.
        answers: Whether it answers its ``n``-th poll; a dead device never does.
    """

    cost: int
    timeout: int = 1_000_000
    retries: int = 0
    answers: Callable[[int], bool] = lambda _number: True


@dataclass(frozen=True, slots=True)
class Carried:
    """One poll that was carried out: ``steady`` by a clock that is never set, ``at`` by the line's."""

    run: Run
    at: Instant
    steady: int
    cost: int
    answered: bool


@dataclass
class VirtualLine:
    """A line, its devices and its clock.

    Attributes:
        devices: By id.
        now: The present instant by the line's clock, which may be set.
        steady: Microseconds since the start, which only grow.
        carried: What was carried out, in order.
        misses: What could not be, with the moment.
        transitions: Devices that fell silent or came back.
    """

    polls: Sequence[PlannedPoll]
    devices: dict[str, VirtualDevice]
    now: Instant
    settings: ScheduleSettings = field(default_factory=ScheduleSettings)
    steady: int = 0
    carried: list[Carried] = field(default_factory=list)
    misses: list[tuple[Instant, Miss]] = field(default_factory=list)
    transitions: list[tuple[int, Transition]] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.polls, self.settings, self.now)

    def run(self, microseconds: int) -> None:
        """Let time pass; a poll that has begun is carried to its end."""
        end = self.steady + microseconds
        while self.steady < end:
            action = self.scheduler.next(self.now)
            if isinstance(action, Rest):
                if action.until <= self.now:
                    raise AssertionError("a rest must lead forward")
                self._pass(min(end - self.steady, action.until - self.now))
            elif isinstance(action, Miss):
                self.misses.append((self.now, action))
            else:
                self._carry_out(action)

    def set_clock(self, by: int) -> None:
        """Set the line's clock forward, or back."""
        self.now += by

    def starts(self, key: str) -> list[int]:
        """Return when the answered polls of a key began, by the clock that is never set."""
        return [one.steady for one in self.carried if one.run.planned.key == key and one.answered]

    def longest_gap(self, key: str, since: int = 0) -> int:
        """Return the longest time from one answered poll's start to the next one's, or to now."""
        starts = [start for start in self.starts(key) if start >= since]
        return max(
            (later - earlier for earlier, later in pairwise([*starts, self.steady])), default=self.steady - since
        )

    def lost(self, device: str | None = None, since: int = 0) -> int:
        """Return the line time that failed polls took: of one device, or of all."""
        return sum(
            one.cost
            for one in self.carried
            if not one.answered and one.steady >= since and device in {None, one.run.planned.device}
        )

    def use(self, since: int = 0) -> float:
        """Return the share of the line that answered polls took."""
        busy = sum(one.cost for one in self.carried if one.answered and one.steady >= since)
        return busy / (self.steady - since)

    def dues(self) -> dict[str, list[Instant]]:
        """Return the due times of each key that were run or reported as missed, in order."""
        dues: dict[str, list[Instant]] = defaultdict(list)
        moments = [(one.at, one.run.planned.key, one.run.due) for one in self.carried if one.run.why is Why.DUE]
        moments += [(at, miss.planned.key, miss.due) for at, miss in self.misses]
        for _, key, due in sorted(moments):
            dues[key].append(due)
        return dues

    def _carry_out(self, run: Run) -> None:
        device = self.devices[run.planned.device]
        number = self._asked[run.planned.device]
        self._asked[run.planned.device] += 1
        answered = device.answers(number)
        attempts = 1 + (device.retries if run.planned.patient else 0)
        cost = device.cost if answered else device.timeout * attempts
        self.carried.append(Carried(run, self.now, self.steady, cost, answered))
        self._pass(cost)
        if transition := self.scheduler.finished(self.now, cost, answered=answered):
            self.transitions.append((self.steady, transition))

    def _pass(self, microseconds: int) -> None:
        self.now += microseconds
        self.steady += microseconds
