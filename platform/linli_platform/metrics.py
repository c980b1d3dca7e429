"""What the platform counts of itself, in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from linli_platform.lines import LineCollector
from linli_platform.stages import Stages


class Metrics:
    """Counters of each stage, in a collector registry of their own (so that two platforms fit in one test).

    Attributes:
        content_type: The HTTP content type of :meth:`render`.
        lines: How the gateways' lines fare.
        stages: What each stage of a reading's way costs.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.messages = Counter(
            "linli_messages_received", "Messages from the broker, by channel.", ["channel"], registry=registry
        )
        self.readings = Counter("linli_readings_received", "Readings decoded and checked.", registry=registry)
        self.stored = Counter("linli_readings_stored", "Readings committed that were new.", registry=registry)
        self.events = Counter("linli_events_stored", "Events committed that were new.", registry=registry)
        self.duplicates = Counter(
            "linli_duplicates",
            "What was there already: messages by the marks, readings by the store.",
            ["stage"],
            registry=registry,
        )
        self.conflicts = Counter(
            "linli_conflicts", "Readings whose identity was there with another value.", registry=registry
        )
        self.refused = Counter(
            "linli_refused", "Messages and records refused, by reason.", ["reason"], registry=registry
        )
        self.deferred = Counter(
            "linli_messages_deferred",
            "Messages dropped because their log was not announced yet; the gateway sends them again.",
            registry=registry,
        )
        self.lost = Counter("linli_losses_booked", "Entries made in the loss ledger.", registry=registry)
        self.acks = Counter("linli_acks_published", "Acknowledgements handed to the broker.", registry=registry)
        self.commit_failures = Counter(
            "linli_commit_failures", "Commits that failed and are retried.", registry=registry
        )
        self.commit_seconds = Histogram(
            "linli_commit_seconds",
            "Time of one commit, ledger, data and marks.",
            registry=registry,
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
        )
        self.batch_readings = Histogram(
            "linli_batch_readings",
            "Readings in one commit.",
            registry=registry,
            buckets=(1, 10, 100, 1_000, 10_000, 100_000),
        )
        self.queued = Gauge("linli_queued_readings", "Readings waiting for a commit.", registry=registry)
        self.paused = Gauge("linli_reading_paused", "1 while the broker is not read from.", registry=registry)
        self.compacted = Counter(
            "linli_readings_compacted", "Readings moved to where they take little room.", registry=registry
        )
        self.expired = Counter(
            "linli_readings_expired", "Readings taken out because their time was over.", registry=registry
        )
        self.upkeep_failures = Counter(
            "linli_upkeep_failures", "Upkeep of the store that failed and is tried again.", registry=registry
        )
        self.upkeep_seconds = Histogram(
            "linli_upkeep_seconds",
            "Time of one upkeep of the store, beside all else.",
            registry=registry,
            buckets=(0.1, 0.5, 1, 5, 10, 60, 600, 3_600),
        )
        self.lines = LineCollector()
        registry.register(self.lines)
        self.stages = Stages()
        registry.register(self.stages)
        self.connected = Gauge("linli_broker_connected", "1 while the subscription stands.", registry=registry)

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self._registry)
