"""What each stage of a reading's way costs, for ``/metrics``: how often it ran, on how much, for how long, what waits.

Plain numbers, brought into Prometheus' form when somebody asks: a labelled counter for each message would cost as much
as decoding one.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

DECODE: Final = "decode"
ADMIT: Final = "admit"
COMMIT: Final = "commit"
RULES: Final = "rules"
LIVE: Final = "live"
COMPLETENESS: Final = "completeness"


class Stage:
    """One stage's counts.

    Attributes:
        runs: How often it ran: for a message, or for a commit.
        rows: Readings that went through it.
        seconds: Time it took, by the clock on the wall.
    """

    __slots__ = ("rows", "runs", "seconds")

    def __init__(self) -> None:
        self.runs = 0
        self.rows = 0
        self.seconds = 0.0

    def count(self, rows: int, seconds: float) -> None:
        """Count one run."""
        self.runs += 1
        self.rows += rows
        self.seconds += seconds


class Stages(Collector):
    """The stages, by name: decode, admit, commit, and whoever is told of a commit (rules, live, completeness)."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._waiting: dict[str, Callable[[], float]] = {}

    def stage(self, name: str) -> Stage:
        """Return a stage, made if new."""
        return self._stages.setdefault(name, Stage())

    def waiting(self, name: str, look: Callable[[], float]) -> None:
        """Say how to find out how much waits for a stage."""
        self._waiting[name] = look

    def collect(self) -> Iterator[Metric]:
        """Yield the counts."""
        labels = ["stage"]
        runs = CounterMetricFamily("linli_stage_runs", "Messages or commits that went through a stage.", labels=labels)
        rows = CounterMetricFamily("linli_stage_rows", "Readings that went through a stage.", labels=labels)
        seconds = CounterMetricFamily("linli_stage_seconds", "Time spent in a stage.", labels=labels)
        waiting = GaugeMetricFamily(
            "linli_stage_waiting", "What waits for a stage: readings; for rules changes to be written.", labels=labels
        )
        for name, stage in self._stages.items():
            runs.add_metric([name], stage.runs)
            rows.add_metric([name], stage.rows)
            seconds.add_metric([name], stage.seconds)
        for name, look in self._waiting.items():
            waiting.add_metric([name], look())
        yield from (runs, rows, seconds, waiting)
