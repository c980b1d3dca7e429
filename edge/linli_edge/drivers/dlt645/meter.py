"""One meter: its edition, its requests, answers in pieces, refusals, and who answers at its address."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.dlt645 import (
    Answer,
    Edition,
    Frame,
    Item,
    Record,
    decode_answer,
    decode_records,
    encode_frame,
    request,
)
from linli_core.codecs.dlt645.control import NO_SUCH_DATA
from linli_core.codecs.dlt645.frame import ANY, matches
from linli_core.errors import DeviceError, LinkClosed, LinkTimeout, ProtocolError
from linli_core.instant import Instant
from linli_edge.driver import UnitCounters
from linli_edge.drivers.dlt645.plan import Memory, Request
from linli_edge.drivers.dlt645.settings import DeviceSettings
from linli_edge.half_duplex import HalfDuplex

_LOG: Final = logging.getLogger(__name__)

MOST_PIECES: Final = 32
"""Frames of one answer; a meter that says there are still more is not believed."""

NUMBERS: Final = {Edition.E2007: 0x04000402, Edition.E1997: 0xC032}
"""By what each edition tells the meter number."""

_PROOFS: Final = {Edition.E2007: 0x00010000, Edition.E1997: request.SEARCH_1997}
"""What every meter of an edition has: forward active energy, the total."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one request brought.

    Attributes:
        records: The values, with what was wanted and not sent left out.
        at: When the answer came.
    """

    edition: Edition
    records: tuple[Record, ...]
    at: Instant


class Meter:
    """One meter and how it is spoken to.

    Attributes:
        settings: What the configuration says.
        memory: What was learnt.
        counters: What became of single requests.
    """

    def __init__(self, settings: DeviceSettings, memory: Memory, retries: int) -> None:
        self.settings = settings
        self.memory = memory
        self.counters = UnitCounters()
        self._retries = retries
        self._identified = False

    @property
    def edition(self) -> Edition | None:
        """The edition it speaks, as far as known."""
        return self.settings.edition or self.memory.edition

    async def find_edition(self, line: HalfDuplex[Frame], *, patient: bool) -> Edition:
        """Return the edition the meter speaks: 2007 is tried first, then 1997; the answer is remembered.

        Raises:
            LinkTimeout: It answers in neither.
        """
        if (known := self.edition) is not None:
            return known
        for edition in Edition:
            try:
                await self.read(line, edition, _PROOFS[edition], patient=patient)
            except DeviceError:
                pass  # it has no such value, and has said so in its edition
            except LinkTimeout:
                if edition is Edition.E1997:
                    raise
                continue
            self.memory.edition = edition
            _LOG.info("%s speaks %s", self.settings.device, edition.document)
            return edition
        raise AssertionError("the last edition answers or raises")

    async def identify(self, line: HalfDuplex[Frame], edition: Edition) -> None:
        """Ask once for the meter number, and notice that another meter hangs here.

        Raises:
            ProtocolError: Another meter answers than ``identity`` says (kind ``wrong_meter``).
        """
        if self._identified:
            return
        try:
            answer = await self.read(line, edition, NUMBERS[edition], patient=False)
        except LinkClosed:
            raise
        except (LinkTimeout, DeviceError, ProtocolError) as exc:
            if not self.settings.identity:
                self._identified = True
                return
            raise ProtocolError(
                f"meter {self.settings.address} does not tell its number: {exc}", kind="wrong_meter"
            ) from exc
        numbers = [record.value for record in decode_records(edition, NUMBERS[edition], answer.data)]
        told = [number for number in numbers if isinstance(number, str)]
        if self.settings.identity and not told:
            shown = answer.data.hex().upper()
            raise ProtocolError(
                f"meter {self.settings.address} does not tell its number: found {shown}", kind="wrong_meter"
            )
        for number in told:
            self._notice(number)
        self._identified = True

    async def prove(self, line: HalfDuplex[Frame], edition: Edition) -> None:
        """Ask anew for the meter number where one is demanded: since it was asked, another meter may hang here.

        Raises:
            ProtocolError: Another meter answers than ``identity`` says (kind ``wrong_meter``).
        """
        if self.settings.identity:
            self._identified = False
            await self.identify(line, edition)

    async def ask(
        self, line: HalfDuplex[Frame], edition: Edition, wanted: Request, now: Instant, *, patient: bool
    ) -> list[Record]:
        """Carry out one request and return the values that are wanted.

        Raises:
            DeviceError: The meter has no such data, or refuses for another reason; the first is remembered.
        """
        try:
            answer = await self.read(line, edition, wanted.identifier, patient=patient)
        except DeviceError as exc:
            if exc.code & NO_SUCH_DATA:
                self.memory.refuse(wanted.identifier, now)
            raise
        if wanted.parts:
            self.memory.proven.add(wanted.identifier)
        words = self.settings.profile.words(edition)
        records = decode_records(edition, wanted.identifier, answer.data, words)
        if not wanted.parts:
            return records
        return [record for record in records if record.item is None or record.item in wanted.wanted]

    async def read(self, line: HalfDuplex[Frame], edition: Edition, identifier: int, *, patient: bool) -> Answer:
        """Read one identifier, all its pieces, as often as the meter may be asked."""
        for left in range(self._retries if patient else 0, -1, -1):
            try:
                return await self._whole(line, edition, identifier)
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError):
                if not left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def exchange(self, line: HalfDuplex[Frame], frame: Frame, permit: Callable[[], None] | None = None) -> Frame:
        """Send a frame once, if ``permit`` does not stop it, and return the meter's answer to its function."""

        def accept(heard: Frame) -> bool:
            return self._is_mine(heard, frame)

        return await line.ask(frame, accept, self.counters, encode=self._encode, permit=permit)

    async def _whole(self, line: HalfDuplex[Frame], edition: Edition, identifier: int) -> Answer:
        first = await self._piece(line, request.read(self.settings.address, identifier, edition), identifier)
        data, answer, number = first.data, first, 0
        while answer.more_follow:
            number += 1
            if number >= MOST_PIECES:
                raise ProtocolError(f"more than {MOST_PIECES} pieces of one answer", kind="too_long")
            following = request.read_on(self.settings.address, identifier, number, edition)
            answer = await self._piece(line, following, identifier)
            if answer.sequence not in (None, number):
                raise ProtocolError(f"piece {answer.sequence} came where piece {number} was asked", kind="sequence")
            data += answer.data
        return Answer(first.address, edition, first.function, identifier, data)

    async def _piece(self, line: HalfDuplex[Frame], frame: Frame, identifier: int) -> Answer:
        def accept(heard: Frame) -> bool:
            if not self._is_mine(heard, frame):
                return False
            # A refusal names no identifier; an answer does, and a late one names another.
            return heard.is_refusal or _identifier_of(heard) == identifier

        heard = await line.ask(frame, accept, self.counters, encode=self._encode)
        try:
            return decode_answer(heard)
        except DeviceError:
            self.counters.refused += 1
            raise

    def _is_mine(self, heard: Frame, asked: Frame) -> bool:
        """Tell whether a frame comes from this meter and answers the function that was asked."""
        if not heard.is_reply or heard.function != asked.function:
            return False
        if matches(self.settings.address, heard.address):
            return True
        # Some meters of 1997 answer with the wildcard whatever they were asked by.
        return heard.address == ANY and self.settings.profile.wildcard_echo

    def _encode(self, frame: Frame) -> bytes:
        return encode_frame(frame, preamble=self.settings.profile.preamble)

    def _notice(self, number: str) -> None:
        wanted, memory, device = self.settings.identity, self.memory, self.settings.device
        if wanted and number != wanted:
            raise ProtocolError(f"meter number {number} answered where {wanted} was expected", kind="wrong_meter")
        if memory.number and memory.number != number:
            memory.swaps += 1
            memory.refused.clear()
            memory.proven.clear()
            _LOG.warning("%s: meter number %s answers where %s did: it was swapped", device, number, memory.number)
        memory.number = number


def _identifier_of(heard: Frame) -> int | None:
    try:
        return decode_answer(heard).identifier
    except ProtocolError:
        return None


def unanswered(wanted: Sequence[Item], records: Sequence[Record]) -> list[Item]:
    """Return the values that were wanted and that an answer does not hold."""
    told = {record.item for record in records}
    return [item for item in wanted if item not in told]
