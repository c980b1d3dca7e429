"""One poll of one meter: blocks, what becomes of a refusal or a silence, and what was told in the end."""

import logging
from collections.abc import Sequence
from typing import Final

from linli_core.codecs.dlt645 import Edition, Frame, Item, Record
from linli_core.errors import DeviceError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.model import Reason
from linli_edge.driver import Clock
from linli_edge.drivers.dlt645.meter import Meter, Told, unanswered
from linli_edge.drivers.dlt645.plan import ReadPlan, Request
from linli_edge.half_duplex import HalfDuplex

_LOG: Final = logging.getLogger(__name__)


class Poll:
    """One poll under way.

    Attributes:
        told: What the meter has said.
        missing: What it has not, and why.
    """

    def __init__(
        self, meter: Meter, line: HalfDuplex[Frame], edition: Edition, plan: ReadPlan, clock: Clock, *, patient: bool
    ) -> None:
        self.told: list[Told] = []
        self.missing: list[tuple[Item, Reason]] = []
        self._meter = meter
        self._line = line
        self._edition = edition
        self._plan = plan
        self._clock = clock
        self._patient = patient
        self._answered = False

    async def run(self) -> None:
        """Carry out the requests; raise what is wrong if nothing at all was answered."""
        malformed: ProtocolError | None = None
        queue = list(reversed(self._plan.requests(self._meter.memory)))
        while queue:
            wanted = queue.pop()
            try:
                queue.extend(reversed(await self._carry_out(wanted)))
            except LinkClosed:
                raise
            except LinkTimeout as exc:
                if not self._answered:
                    raise
                _LOG.info("%s: %s; %d requests left out", self._meter.settings.device, exc, len(queue) + 1)
                for left in (wanted, *queue):
                    self._miss(left.wanted, Reason.NO_COMMUNICATION)
                return
            except ProtocolError as exc:
                malformed = exc
                self._miss(wanted.wanted, Reason.MALFORMED_ANSWER)
        if malformed is not None and not self._answered:
            raise malformed

    async def _carry_out(self, wanted: Request) -> Sequence[Request]:
        """Carry out one request; return what to ask for instead where the meter has not what was asked."""
        try:
            records = await self._ask(wanted, patient=self._patient)
        except LinkTimeout:
            if parts := await self._without_block(wanted):
                return parts
            if wanted.identifier in self._meter.memory.refused:
                return ()
            raise
        except DeviceError as exc:
            self._answered = True
            return self._refused(wanted, exc)
        self._answered = True
        self._take(wanted, records)
        return ()

    async def _ask(self, wanted: Request, *, patient: bool) -> list[Record]:
        return await self._meter.ask(self._line, self._edition, wanted, self._clock(), patient=patient)

    def _take(self, wanted: Request, records: list[Record]) -> None:
        self.told.append(Told(self._edition, tuple(records), self._clock()))
        if any(record.item is None for record in records):
            # It was not what the tables say: kept raw, and none of the values is known.
            self._miss(wanted.wanted, Reason.MALFORMED_ANSWER)
        else:
            self._miss(unanswered(wanted.wanted, records), Reason.NOT_IMPLEMENTED)

    def _refused(self, wanted: Request, error: DeviceError) -> list[Request]:
        """Return what to ask for instead."""
        if wanted.identifier not in self._meter.memory.refused:
            # A refusal for another reason (no authority, busy) is of this time only.
            self._miss(wanted.wanted, Reason.REFUSED_BY_DEVICE)
            return []
        if not wanted.parts:
            _LOG.warning("%s: %s; not asked again for an hour", self._meter.settings.device, error)
            return []
        return self._plan.singles(wanted.wanted, self._meter.memory)

    async def _without_block(self, wanted: Request) -> list[Request]:
        """Return the single requests for a block that only this meter leaves unanswered; none if it is silent."""
        memory = self._meter.memory
        if not wanted.parts or wanted.identifier in memory.proven:
            return []
        single, *rest = self._plan.singles(wanted.wanted, memory)
        try:
            records = await self._ask(single, patient=False)
        except LinkClosed:
            raise
        except LinkError:
            return []
        except (DeviceError, ProtocolError):
            rest = [single, *rest]
        else:
            self._take(single, records)
        self._answered = True
        memory.refuse(wanted.identifier, self._clock())
        return rest

    def _miss(self, items: Sequence[Item], reason: Reason) -> None:
        self.missing += [(item, reason) for item in items]
