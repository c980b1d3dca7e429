"""Telling people of alarms: taken in as they are written, put in a queue that outlives the process, handed over."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from types import TracebackType
from typing import Final, Literal, Self

from sqlalchemy.exc import OperationalError

from linli_core.alarm import Hiding
from linli_core.errors import LinliError
from linli_core.instant import DAY, HOUR, SECOND, Instant
from linli_platform.alarms import AlarmRow
from linli_platform.clock import Clock
from linli_platform.notify.book import NoticeBook, Wanted
from linli_platform.notify.judge import Places, Scene, Silence
from linli_platform.notify.records import NoticeRecords, Work
from linli_platform.notify.routes import Routes
from linli_platform.notify.rows import Notice, Outgoing, TargetState
from linli_platform.notify.sending import Outcome, Sender
from linli_platform.notify.wording import Writer
from linli_platform.registry import Registry
from linli_platform.whole import whole

_log = logging.getLogger(__name__)

LONGEST_SILENCE: Final = 30 * DAY
SLOW: Final = 30 * SECOND
"""A hand-over that takes longer is told of on the page; it is waited for all the same."""

_NAP_S: Final = 1.0
_RETRY_S: Final = 1.0
_LOOK_EVERY: Final = 5 * SECOND
_GRACE_S: Final = 10.0
_FAILING: Final = 3


class SilenceRefused(LinliError):
    """Nothing is silenced like that; the text says why."""


@dataclass(frozen=True, slots=True)
class _Underway:
    """A hand-over that is under way: which message, since when, and how it will end."""

    message: Outgoing
    since: Instant
    task: "asyncio.Task[None]"


class NotifyService:
    """Tells people of alarms.

    ``async with NotifyService(...)`` reads secrets and takes up the queue; :meth:`run` then tells until :meth:`stop`.

    Args:
        registry: Open; the queue is in its database.
        routes: Who is told of what.
        sender: Hands messages over.
        writer: Writes them.
        clock, zone: The community's.
        hiding: Says what hides an alarm now: nobody is told of what is hidden.

    Attributes:
        delivered, refused, given_up, write_errors: Counts since this process began.
    """

    def __init__(
        self,
        registry: Registry,
        routes: Routes,
        sender: Sender,
        writer: Writer,
        clock: Clock,
        zone: tzinfo,
        hiding: Callable[[str, str, Instant], Hiding | None],
    ) -> None:
        self.routes = routes
        self.delivered = 0
        self.refused = 0
        self.given_up = 0
        self.write_errors = 0
        self._registry = registry
        self._sender = sender
        self._writer = writer
        self._clock = clock
        self._zone = zone
        self._hiding = hiding
        self._languages = {target.id: target.lang for target in routes.targets}
        self._places = Places()
        self._wake = asyncio.Event()
        self._stopping = False
        self._underway: dict[str, _Underway] = {}
        self._states: dict[str, TargetState] = {}
        self._failure: BaseException | None = None
        self._looked_at: Instant | None = None
        self._forgot_at: Instant | None = None

    async def __aenter__(self) -> Self:
        """Read secrets and take up the queue; raise :class:`ConfigError` where a target's address cannot be used."""
        await asyncio.to_thread(self._sender.open)
        self._records = NoticeRecords(self._registry.sessions, self.routes)
        self._book = NoticeBook(self._registry.sessions, self._languages)
        interrupted = await asyncio.to_thread(self._records.begin, self._clock())
        if interrupted:
            _log.warning("%d messages were being handed over when the platform ended: they go again", interrupted)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let go of connections; what is not handed over waits in the database."""
        await asyncio.to_thread(self._sender.close)

    def on_alarm(self, _row: AlarmRow) -> None:
        """Learn that alarms changed; what changed is in their record."""
        self._wake.set()

    def stop(self) -> None:
        """Let :meth:`run` finish once what is under way was handed over."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Tell people until :meth:`stop`; where there is nobody to tell, return."""
        if not self.is_configured:
            return
        while not self._stopping:
            more = await whole(self.once())
            if self._failure is not None:
                raise self._failure
            if not more:
                await self._nap()
        if self._underway:
            await asyncio.wait([item.task for item in self._underway.values()], timeout=_GRACE_S)

    async def _nap(self) -> None:
        try:
            async with asyncio.timeout(_NAP_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def once(self) -> bool:
        """Take in what changed and begin to hand over what is due; tell whether more waits to be taken in."""
        now = self._clock()
        # A clock set back looks again as well.
        look = self._looked_at is None or not 0 <= now - self._looked_at < _LOOK_EVERY
        try:
            work = await asyncio.to_thread(self._work, now, look)
        except OperationalError:
            # Busy or full: nothing was taken in, and nothing is lost.
            self.write_errors += 1
            await asyncio.sleep(_RETRY_S)
            return True
        if look:
            self._looked_at = now
        for message in work.messages:
            task = asyncio.create_task(self._deliver(message), name=f"notify-{message.target}")
            task.add_done_callback(self._ended)
            self._underway[message.target] = _Underway(message, now, task)
        return work.more

    def _work(self, now: Instant, look: bool) -> Work:
        if look:
            self._places = _places(self._registry)
            self._states = {state.id: state for state in self._book.targets()}
            if self._forgot_at is None or not 0 <= now - self._forgot_at < HOUR:
                self._forgot_at = now if not self._book.forget(now - self.routes.keep_days * DAY) else None
        scene = Scene(
            now=now,
            zone=self._zone,
            places=self._places,
            inhibitions=self.routes.inhibitions,
            hiding=self._hiding,
        )
        idle = [target for target in self._languages if target not in self._underway and not self._stopping]
        return self._records.work(scene, idle, look=look)

    # Handing over

    async def _deliver(self, message: Outgoing) -> None:
        target = message.target
        try:
            outcome = await _in_thread(f"notify-{target}", lambda: self._hand_over(message))
            await self._note(message, outcome)
        finally:
            self._underway.pop(target, None)
            self._wake.set()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Keep an error that nobody foresaw: :meth:`run` ends with it, as every part does."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error

    def _hand_over(self, message: Outgoing) -> Outcome:
        """Write a message and hand it over; blocks."""
        target = message.target
        try:
            title, body = self._writer.write(message, self._languages[target], self._sender.limit(target))
        except OperationalError as exc:
            self.write_errors += 1
            return Outcome(f"it could not be written: {exc.orig}")  # nothing was sent: it goes again
        return self._sender.send(target, title, body)

    async def _note(self, message: Outgoing, outcome: Outcome) -> None:
        """Write down what became of an attempt, however long the database refuses: it must not be made again."""
        while True:
            now = self._clock()
            try:
                if not outcome.error:
                    await asyncio.to_thread(self._records.delivered, message.id, now)
                    self.delivered += 1
                    self._states.pop(message.target, None)
                    return
                given_up = await asyncio.to_thread(
                    self._records.refused, message.id, now, outcome.error, doubtful=outcome.doubtful
                )
            except OperationalError:
                self.write_errors += 1
                await asyncio.sleep(_RETRY_S)
                continue
            self.refused += 1
            self.given_up += given_up
            if message.attempt in {1, _FAILING} or given_up:
                _log.warning(
                    "message %d to %s: %s%s",
                    message.id,
                    message.target,
                    outcome.error,
                    "; given up" if given_up else "",
                )
            return

    async def settled(self) -> None:
        """Take in all that changed and wait for what can be handed over now; for audits and tests."""
        while True:
            more = await self.once()
            underway = [item.task for item in self._underway.values()]
            if underway:
                await asyncio.wait(underway)
            elif not more:
                return

    # People

    @property
    def is_configured(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.routes.targets)

    def health(self, now: Instant) -> tuple[Literal["ok", "degraded"], str]:
        """Return how targets fare, and a sentence for an operator where one does not."""
        for item in self._underway.values():
            if now - item.since > SLOW:
                return "degraded", f"{item.message.target} has taken {(now - item.since) // SECOND} s for a message"
        for state in self._states.values():
            if state.attempts >= _FAILING:
                return "degraded", f"{state.id} cannot be reached: {state.error}"
        return "ok", ""

    async def find(self, wanted: Wanted, limit: int = 100) -> list[Notice]:
        """Return lines of the log, newest first."""
        return await asyncio.to_thread(self._book.find, wanted, limit)

    async def targets(self) -> list[TargetState]:
        """Return how each target fares."""
        return await asyncio.to_thread(self._book.targets)

    async def silences(self) -> list[Silence]:
        """Return silences that are, or are to be."""
        return await asyncio.to_thread(self._book.silences, self._clock())

    async def silence(self, wanted: Silence) -> Silence:
        """Silence something for a while, in writing; raise :class:`SilenceRefused` where that cannot be."""
        if not wanted.reason.strip():
            raise SilenceRefused("a reason is missing: whoever wonders why nobody was told must find it")
        now = self._clock()
        if not max(now, wanted.starts_at) < wanted.until <= wanted.starts_at + LONGEST_SILENCE:
            raise SilenceRefused(f"it must end after it begins and after now, by {LONGEST_SILENCE // DAY} days at most")
        made = await asyncio.to_thread(self._book.silence, wanted)
        self._look_soon()
        return made

    async def end_silence(self, number: int, *, actor: str) -> Silence:
        """End a silence before its time, in writing; raise :class:`SilenceRefused` if it is over or never was."""
        ended = await asyncio.to_thread(self._book.end_silence, number, self._clock(), actor)
        if ended is None:
            raise SilenceRefused(f"there is no silence {number}: it is over, or never was")
        self._look_soon()
        return ended

    def _look_soon(self) -> None:
        self._looked_at = None
        self._wake.set()


def _places(registry: Registry) -> Places:
    return Places(
        parents={area.id: area.parent for area in registry.areas()},
        devices={(item.gateway, item.id): item.area for item in registry.devices() if item.area is not None},
        gateways={item.id: item.area for item in registry.gateways() if item.area is not None},
    )


async def _in_thread(name: str, work: Callable[[], Outcome]) -> Outcome:
    """Do work in a thread of its own: a target that hangs holds up neither another one nor the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Outcome] = loop.create_future()

    def finish(outcome: Outcome | None, error: BaseException | None) -> None:
        if done.done():
            return
        if outcome is None:
            assert error is not None
            done.set_exception(error)
        else:
            done.set_result(outcome)

    def body() -> None:
        outcome, error = None, None
        try:
            outcome = work()
        except BaseException as exc:  # noqa: BLE001  (raised again where it is awaited)
            error = exc
        try:
            loop.call_soon_threadsafe(finish, outcome, error)
        except RuntimeError:
            return  # the loop is closed: the message stays as it was, and goes again

    threading.Thread(target=body, name=name, daemon=True).start()
    return await done
