"""The readout of one meter: sign on, agree on a speed, then all data at once or register by register."""

import logging
import re
from typing import Final

from linli_core.codecs.iec62056 import (
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    DataSet,
    Identification,
    SignOn,
    parse_data,
)
from linli_core.codecs.iec62056.meaning import identity_of
from linli_core.codecs.iec62056.request import BREAK, PROGRAMMING, READOUT, WAKE_UP, password, read_register
from linli_core.errors import DeviceError, LinkClosed, LinkTimeout, ProtocolError
from linli_edge.driver import UnitCounters
from linli_edge.drivers.iec62056.conversation import Conversation
from linli_edge.drivers.iec62056.settings import DeviceSettings, LinkSettings

_LOG: Final = logging.getLogger(__name__)

_ERROR: Final = re.compile(r"ER\w*|ERROR.*", re.ASCII | re.IGNORECASE)

REFUSED: Final = "refused"


class Readout:
    """One meter and what is known of it between two polls.

    Attributes:
        swaps: How often another meter answered than the time before.
        refused: Registers that the meter refused in the last readout, and its words.
        counters: What came of the requests to it.
    """

    def __init__(self, settings: DeviceSettings, link: LinkSettings) -> None:
        self.settings = settings
        self.swaps = 0
        self.refused: dict[str, str] = {}
        self.counters = UnitCounters()
        self._link = link

    async def read(self, line: Conversation, *, patient: bool = True) -> list[DataSet]:
        """Return the data sets of one readout.

        Raises:
            LinkError: The meter did not answer.
            ProtocolError: What answered is not this meter, or no message.
            DeviceError: The meter refused everything.
        """
        for left in range(self._link.retries if patient else 0, -1, -1):
            try:
                return await self._attempt(line)
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError) as exc:
                self._count(exc)
                if not left or (isinstance(exc, ProtocolError) and exc.kind == "wrong_meter"):
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, line: Conversation) -> list[DataSet]:
        self.counters.requests += 1
        await line.begin()
        try:
            identification = await self._sign_on(line)
            datasets = await self._data(line, identification)
        finally:
            await line.switch(None)
        self.counters.answers += 1
        self._notice(identity_of(datasets) or f"{identification.maker} {identification.text}")
        return datasets

    async def _sign_on(self, line: Conversation) -> Identification:
        request = SignOn(self.settings.address)
        await line.send(request, before=WAKE_UP if self.settings.wake_up else b"")
        answer = await line.answer(request)
        if not isinstance(answer, Identification):
            raise ProtocolError(f"{type(answer).__name__} came where the meter should say who it is", kind="unexpected")
        return answer

    async def _data(self, line: Conversation, meter: Identification) -> list[DataSet]:
        registers = self.settings.registers
        if not meter.acknowledged:
            if registers:
                raise ProtocolError(
                    "the meter has no programming mode (its identification offers none)", kind="no_mode"
                )
            if self._link.switch:
                await line.switch(meter.baud)
            return self._parsed(await line.answer())
        speed = meter.speed if self._link.switch else self._link.speed
        choice = Acknowledgement("0", speed, PROGRAMMING if registers else READOUT)
        await line.send(choice)
        if self._link.switch:
            await line.switch(meter.baud)
        if not registers:
            return self._parsed(await line.answer(choice))
        return await self._registers(line, choice)

    def _parsed(self, frame: object) -> list[DataSet]:
        if not isinstance(frame, DataMessage):
            raise ProtocolError(f"{type(frame).__name__} came where data should", kind="unexpected")
        datasets = parse_data(frame.data)
        wanted, found = self.settings.identity, identity_of(datasets)
        if wanted and found != wanted:
            raise ProtocolError(
                f"meter {found or '(no number)'} answered where {wanted} was expected", kind="wrong_meter"
            )
        return datasets

    async def _registers(self, line: Conversation, choice: Acknowledgement) -> list[DataSet]:
        """Read registers one by one; end with a break, whatever happens."""
        greeting = await line.answer(choice)
        if not isinstance(greeting, Command) or greeting.name != "P0":
            raise ProtocolError("the meter did not enter programming mode", kind="no_mode")
        try:
            if self.settings.password:
                await self._give_password(line)
            self.refused = {}
            datasets: list[DataSet] = []
            for register in self.settings.registers:
                datasets += await self._register(line, register)
        finally:
            await line.send(BREAK)
        if not datasets:
            words = next(iter(self.refused.values()), "")
            raise DeviceError(f"the meter refuses every register: {words}", code=0, kind=REFUSED)
        found, wanted = identity_of(datasets), self.settings.identity
        if wanted and found and found != wanted:
            raise ProtocolError(f"meter {found} answered where {wanted} was expected", kind="wrong_meter")
        return datasets

    async def _give_password(self, line: Conversation) -> None:
        request = password(self.settings.password)
        await line.send(request)
        answer = await line.answer(request)
        if not isinstance(answer, Ack):
            raise DeviceError("the meter refuses the password", code=0, kind=REFUSED)

    async def _register(self, line: Conversation, register: str) -> list[DataSet]:
        request = read_register(register)
        self.counters.requests += 1
        await line.send(request)
        answer = await line.answer(request)
        if not isinstance(answer, DataMessage):
            raise ProtocolError(f"{type(answer).__name__} came where register {register} should", kind="unexpected")
        self.counters.answers += 1
        found = parse_data(answer.data)
        named = []
        for dataset in found:
            if dataset.values and _ERROR.fullmatch(dataset.values[0].strip()):
                self.counters.refused += 1
                self.refused[register] = f"{register}: {dataset.values[0].strip()}"
                continue
            if dataset.identifier and dataset.identifier != register:
                raise ProtocolError(f"register {dataset.identifier} came where {register} was asked for", kind="stray")
            # Many meters answer with the value alone.
            named.append(DataSet(register, dataset.values, dataset.offset, dataset.size))
        return named

    def _count(self, error: LinkTimeout | ProtocolError) -> None:
        if isinstance(error, LinkTimeout):
            self.counters.timeouts += 1
        elif error.kind in {"checksum", "parity"}:
            self.counters.checksum += 1
        elif error.kind in {"wrong_meter", "stray"}:
            self.counters.foreign += 1
        else:
            self.counters.malformed += 1

    def _notice(self, identity: str) -> None:
        device, known = self.settings.device, self._link.known
        before = known.get(device)
        if before is not None and before != identity:
            self.swaps += 1
            _LOG.warning("%s: meter %s answers where %s did: it was swapped", device, identity, before)
        known[device] = identity
