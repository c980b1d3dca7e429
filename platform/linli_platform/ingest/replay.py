"""Trying a quarantined message again: the same checks as when it came, by today's vocabulary and limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant
from linli_platform.ingest.admission import Admission
from linli_platform.ingest.batch import Pending
from linli_platform.ingest.decode import MessageDecoder
from linli_platform.ingest.door import again, read_aside
from linli_platform.ingest.intake import add_pack, event_row
from linli_platform.ingest.line_mapping import Rules
from linli_platform.ingest.settings import Limits
from linli_platform.store import Quarantined


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a message that was tried again.

    Attributes:
        readings: Readings stored that were not there.
        known: Readings that were there already.
        events: Events stored that were not there.
        refused: Why records are still refused; empty if none is, and the message has left the quarantine.
    """

    readings: int
    known: int
    events: int
    refused: tuple[str, ...] = ()


class Replaying:
    """Unpacks quarantined messages.

    Args:
        admission, limits: Today's.
        writers: How the lines of each writer at the second door are understood, by its name.
    """

    def __init__(self, admission: Admission, limits: Limits, writers: Mapping[str, Rules]) -> None:
        self._writers = writers
        self._admission = admission
        self._limits = limits
        self._decoder = MessageDecoder(limits)

    def unpack(self, item: Quarantined, now: Instant) -> tuple[Pending, tuple[str, ...]]:
        """Return a batch of what can be taken of a message, and why the rest cannot.

        Its marks are settled already, so the batch moves none.

        Raises:
            Refused: Nothing of it can be taken.
        """
        pending = Pending(now)
        sender = self._admission.sender(item.gateway)
        if item.payload[:1] == b"{":  # CloudEvents; a SenML pack is an array, in JSON as in CBOR
            pending.events.append(event_row(item.gateway, self._decoder.event(item.payload, item.gateway, now), now))
            return pending, ()
        aside = read_aside(item.payload)
        if aside is None:
            pack = self._decoder.telemetry(item.payload, item.gateway, now)
        else:
            rules = self._writers.get(aside.writer)
            if rules is None or rules.writes_as != item.gateway:
                raise Refused(
                    RefusalReason.FOREIGN_GATEWAY, f"no token {aside.writer!r} writes as {item.gateway!r} any more"
                )
            pack = again(aside, rules, self._limits, now)
        add_pack(pending, sender, pack, self._admission)
        pending.held = self._admission.take_held()
        if pack.refused and not len(pending.rows):
            raise pack.refused[0]
        return pending, tuple(str(refused) for refused in pack.refused)


def explained(refused: Refused) -> str:
    """Return a refusal as the reason a person reads: ``unknown_unit: record[2].u: …``."""
    return f"{refused.reason}: {refused}"
