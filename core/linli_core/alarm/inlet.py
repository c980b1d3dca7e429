"""Where the readings of one series come into a watch of several."""

from linli_core.alarm.happenings import PatternWatch
from linli_core.alarm.memory import AlarmChange, Memory
from linli_core.alarm.rule import Rule
from linli_core.alarm.together import BalanceWatch, ExpressionWatch
from linli_core.alarm.watch import Run
from linli_core.instant import Instant
from linli_core.model import Quality, Value

SharedWatch = PatternWatch | ExpressionWatch | BalanceWatch


class Inlet:
    """One of the series of a watch; to the engine a watch like any other.

    Attributes:
        watch: The watch of all of them.
    """

    __slots__ = ("_names", "_series", "watch")

    def __init__(self, watch: SharedWatch, series: str, names: tuple[str, ...]) -> None:
        self.watch = watch
        self._series = series
        self._names = names

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.watch.rule

    @property
    def memory(self) -> Memory:
        """What the watch remembers."""
        return self.watch.memory

    @property
    def calm_range(self) -> tuple[float, float]:
        """No value settles nothing."""
        return self.watch.calm_range

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written."""
        return self.watch.unwritten

    def is_at_rest(self, at: Instant) -> bool:
        """Tell that every reading is to be observed."""
        return self.watch.is_at_rest(at)

    def rest(self, run: Run, now: Instant) -> None:
        """Take a run of readings that settle nothing."""
        self.watch.rest(run, now)

    def calm(self, value: Value, quality: Quality, at: Instant, now: Instant) -> bool:
        """Leave every reading to :meth:`observe`."""
        return self.watch.calm(value, quality, at, now)

    def observe(self, value: Value, quality: Quality, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading of this series; ``False`` where it changes nothing."""
        return self.watch.take(self._series, self._names, value, quality, at, now, out)
