"""Where commands arrive, from the platform and from the person at the gateway: decides, has it done, answers.

Theory of operation
    * **Off until it is switched on**, and then only what the allow-list names, within its bounds.
    * **Once at most**: an id is in the :class:`Ledger`, on the disk, before anything begins. One that comes again gets
      the answer it got, if that is still known, else ``already_run``; it does nothing.
    * **In time**: a command whose time is over is refused when it arrives, and again when its turn on the line comes.
    * **Two steps where it matters**: the first answer carries a code; a second command, ``confirm``, must bring it back
      within ``confirm_within``. A code opens one write, once, is told only at the door it was asked at, and does not
      outlive a restart. A write lives no longer than either of its two steps.
    * **On record**: each step is an event in the gateway's log: who, through which door, what, the value before, the
      value wanted, the value read back, what came of it. A write whose beginning the log does not take does not begin.
      One that a power cut broke off is told at the next start: what the device did is not known.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from linli_core.errors import LogError, WriteRefusal, WriteRefused
from linli_core.instant import DAY, Instant
from linli_core.model import Value, parse_point
from linli_core.wire.command import Command, Reply
from linli_edge.commands.ledger import Ledger
from linli_edge.commands.settings import CommandSettings
from linli_edge.driver import Clock, WriteOutcome, WriteRequest

_LOG: Final = logging.getLogger(__name__)

LONGEST: Final = DAY
"""How far ahead a command may expire: nobody remembers by then why it was sent."""

WAITING: Final = 16
"""Writes that may wait to be confirmed; the oldest gives way."""

_REMEMBERED: Final = 64
"""Answers kept for commands that come twice."""

_NO_RECORD: Final = "the gateway's log takes no record of it: see its disk"

_DURABLE_WITHIN: Final = 5.0
"""Seconds an answer waits for a disk that refuses to write."""

_STOPPED: Final = "the gateway stopped; what it did is unknown"

Record = Callable[[str, str, dict[str, object]], bool]
"""Puts an event into the gateway's log: type, subject, data; tells whether the log took it."""


class Line(Protocol):
    """What the desk needs of a link."""

    @property
    def devices(self) -> frozenset[str]:
        """Ids of the devices on it."""
        ...

    async def submit(self, request: WriteRequest) -> WriteOutcome:
        """Carry out a write."""
        ...


Durable = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    """Return: what is recorded is on disk already."""


@dataclass(frozen=True, slots=True)
class _ToConfirm:
    """A write that waits for its second step."""

    id: str
    point: str
    value: Value
    by: str
    until: Instant
    expires_at: Instant


class CommandDesk:
    """Takes commands of one gateway."""

    def __init__(
        self,
        settings: CommandSettings,
        ledger: Ledger,
        lines: Sequence[Line],
        record: Record,
        clock: Clock,
        durable: Durable = _at_once,
    ) -> None:
        """Store.

        Args:
            settings: What is allowed.
            ledger: Which ids have run.
            lines: The links.
            record: Where each step goes.
            clock: Tells the time.
            durable: Returns once everything recorded is on disk.
        """
        self._settings = settings
        self._ledger = ledger
        self._lines = lines
        self._record = record
        self._clock = clock
        self._durable = durable
        self._to_confirm: OrderedDict[str, _ToConfirm] = OrderedDict()
        self._answers: OrderedDict[tuple[str, str], Reply] = OrderedDict()
        self._running: set[str] = set()

    async def handle(self, name: str, command: Command, via: str) -> Reply | None:
        """Carry out a command and return the answer.

        Args:
            name: Its id.
            command: What is asked for.
            via: The door it came through: ``platform`` or ``local``.

        Returns:
            The answer; ``None`` where the same command is being carried out already: its answer will come from there.
        """
        if name in self._running:
            return None
        if (known := self._answers.get((via, name))) is not None:
            return known
        self._running.add(name)
        try:
            reply = await self._handle(name, command, via)
        finally:
            self._running.discard(name)
        self._answers[via, name] = reply
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return reply

    async def _handle(self, name: str, command: Command, via: str) -> Reply:
        by = command.by or "unknown"
        point = str(command.args.get("point", ""))
        about: dict[str, object] = {"id": name, "command": command.name, "by": by, "via": via}
        if "value" in command.args:
            about["wanted"] = command.args["value"]
        try:
            await self._admit(name, command, via)
            if command.name == "confirm":
                asked = self._confirmed(str(command.args.get("code", "")))
                point, about["wanted"], about["asked_by"] = asked.point, asked.value, asked.by
                until = min(asked.expires_at, command.expires_at)
                return await self._write(WriteRequest(asked.id, point, asked.value, until, by), about)
            value = command.args.get("value")
            allowed = self._settings.allowed(point)
            self._check(point, value)
            allowed.check(point, value)
            request = WriteRequest(name, point, value, command.expires_at, by)
            return self._ask_back(request, about) if allowed.confirm else await self._write(request, about)
        except WriteRefused as exc:
            self._tell("refused", point, about | {"reason": exc.reason.value, "error": str(exc)})
            return Reply(ok=False, result={"state": "refused", "reason": exc.reason.value}, error=str(exc))

    async def _admit(self, name: str, command: Command, via: str) -> None:
        """Raise ``WriteRefused`` unless a command may be looked at; from then on its id has run."""
        settings, now = self._settings, self._clock()
        if not settings.enabled or (via == "platform" and not settings.remote):
            raise WriteRefused(WriteRefusal.DISABLED, "commands are switched off in this gateway's configuration")
        if name in self._ledger:
            raise WriteRefused(WriteRefusal.ALREADY_RUN, f"command {name} has been here before; it runs once only")
        if now > command.expires_at:
            raise WriteRefused(WriteRefusal.EXPIRED, "it came too late, or the gateway's clock is wrong")
        if command.expires_at > now + LONGEST:
            raise WriteRefused(WriteRefusal.BAD_VALUE, "it expires more than a day ahead; send it when it is due")
        if command.name not in {"write", "confirm"}:
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"no command is called {command.name!r}; known: write, confirm")
        try:
            await asyncio.to_thread(self._ledger.take_up, name, command.expires_at)
        except LogError as exc:
            raise WriteRefused(WriteRefusal.TOO_MANY, str(exc)) from exc

    def _check(self, point: str, value: Value) -> None:
        try:
            parse_point(point)
        except ValueError as exc:
            raise WriteRefused(WriteRefusal.UNKNOWN_POINT, str(exc)) from exc
        if value is None:
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"{point}: no value is given")

    def _ask_back(self, request: WriteRequest, about: dict[str, object]) -> Reply:
        """Answer the first of two steps: with a code that opens the second."""
        self._line_of(request.device)
        code = f"{secrets.randbelow(1_000_000):06d}-{secrets.token_hex(4)}"
        until = min(self._clock() + self._settings.confirm_within, request.expires_at)
        if not self._tell("asked", request.point_name, about):
            raise WriteRefused(WriteRefusal.TOO_MANY, _NO_RECORD)
        self._to_confirm[code] = _ToConfirm(
            request.id, request.point_name, request.value, request.by, until, request.expires_at
        )
        while len(self._to_confirm) > WAITING:
            self._to_confirm.popitem(last=False)
        return Reply(ok=True, result={"state": "to_be_confirmed", "code": code, "expires_at": until})

    def _confirmed(self, code: str) -> _ToConfirm:
        now = self._clock()
        known = next((known for known in self._to_confirm if secrets.compare_digest(known.encode(), code.encode())), "")
        asked = self._to_confirm.pop(known, None)
        if asked is None or now > asked.until:
            raise WriteRefused(WriteRefusal.NOT_CONFIRMED, "the code is not known, used up or too old; begin again")
        return asked

    def _line_of(self, device: str) -> Line:
        for line in self._lines:
            if device in line.devices:
                return line
        raise WriteRefused(WriteRefusal.UNKNOWN_POINT, f"no link of this gateway has a device called {device!r}")

    async def _write(self, request: WriteRequest, about: dict[str, object]) -> Reply:
        line = self._line_of(request.device)
        noted = {"point": request.point_name, **about}
        try:
            await asyncio.to_thread(self._ledger.begin, request.id, request.expires_at, noted)
        except LogError as exc:
            raise WriteRefused(WriteRefusal.TOO_MANY, str(exc)) from exc
        try:
            reply = await self._begun(line, request, about)
        except asyncio.CancelledError:
            self._tell("failed", request.point_name, about | {"error": _STOPPED})
            self._end(request.id)
            raise
        except WriteRefused:
            self._end(request.id)
            raise
        await self._ended(request.id)
        return reply

    async def _begun(self, line: Line, request: WriteRequest, about: dict[str, object]) -> Reply:
        if not self._tell("begun", request.point_name, about):
            raise WriteRefused(WriteRefusal.TOO_MANY, _NO_RECORD)
        outcome = await line.submit(request)
        found = {"before": _plain(outcome.before), "after": _plain(outcome.after)}
        state = "done" if outcome.ok else "failed"
        record: dict[str, object] = {**about, **found}
        if outcome.error:
            record["error"] = outcome.error
        self._tell(state, request.point_name, record)
        return Reply(outcome.ok, {"state": state, **found}, outcome.error)

    def tell_unfinished(self) -> None:
        """Put on record what the gateway was stopped in the middle of, as by a power cut; once, at its start."""
        for name, noted in self._ledger.begun.items():
            about = {key: value for key, value in noted.items() if key != "point"}
            if self._tell("failed", str(noted.get("point", "")), about | {"error": _STOPPED}):
                self._end(name)

    async def _ended(self, name: str) -> None:
        """Note an end once it is on the disk: told a second time at the next start is better than not at all."""
        try:
            async with asyncio.timeout(_DURABLE_WITHIN):
                await self._durable()
        except TimeoutError:
            _LOG.error("command %s: the disk does not take the record of its end", name)
        else:
            self._end(name)

    def _end(self, name: str) -> None:
        try:
            self._ledger.end(name)
        except LogError as exc:
            _LOG.error("command %s: %s", name, exc)

    def _tell(self, step: str, point: str, about: Mapping[str, object]) -> bool:
        _LOG.warning("command %s: %s %s", step, point or "(no point)", dict(about))
        return self._record(f"linli.command.{step}", point[:_LONGEST_SUBJECT], dict(about))


_LONGEST_SUBJECT: Final = 200


def _plain(value: Value) -> str | bool | int | float | None:
    return float(value) if isinstance(value, Decimal) else value
