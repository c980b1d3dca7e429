"""Bounds of the ingest worker: what one message may hold, what unknown senders may cost, how commits are grouped."""

from dataclasses import dataclass

from linli_core.instant import DAY, Instant


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; every one of them is against a sender gone mad, none against a sound one.

    Attributes:
        payload_bytes: Longest telemetry or event message.
        records: Most records in one pack.
        ahead: How far in the future a reading may lie (clocks differ).
        earliest: Nothing is older than this: 2000-01-01, long before any device's clock was first set right.
        pending_gateways: Gateways held as pending at once.
        pending_devices: Pending devices held for one gateway.
        pending_series: Series of one pending gateway.
        series: Series of one gateway that was accepted.
    """

    payload_bytes: int = 256 * 1024
    records: int = 10_000
    ahead: int = DAY
    earliest: Instant = 946_684_800_000_000
    pending_gateways: int = 1_000
    pending_devices: int = 500
    pending_series: int = 5_000
    series: int = 50_000


@dataclass(frozen=True, slots=True)
class Grouping:
    """How messages become commits.

    Attributes:
        linger_s: A commit waits at most this long for company.
        readings: A commit of this many waits no longer.
        queued_readings: With so many waiting, the broker is not read from until a commit is done.
        ack_every_s: Acks of one gateway are at least this far apart.
        under_way: Messages of all backlogs together that may be on their way here, what an alarm waits behind: to
            begin with, for how many are worked off in a moment is measured.
    """

    linger_s: float = 0.05
    readings: int = 20_000
    queued_readings: int = 100_000
    ack_every_s: float = 0.1
    under_way: int = 800
