"""The engine at work on the platform: fed by every commit, its conclusions written down before anyone hears of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import (
    CONDITION_HOLDS,
    Absence,
    AlarmChange,
    Bound,
    Engine,
    Event,
    Hiding,
    Key,
    Memory,
    Note,
    Rule,
    State,
    SubjectKind,
    Suppression,
)
from linli_core.alarm.health import Health, health
from linli_core.alarm.scope import lies_in
from linli_core.alarm.watch import AHEAD
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import MINUTE, SECOND, Instant
from linli_platform.alarms.hiding import HidingDesk, HidingRefused
from linli_platform.alarms.history import chunks
from linli_platform.alarms.places import NOWHERE, places_of
from linli_platform.alarms.records import AlarmRecords, Filter, encode_memory
from linli_platform.alarms.rows import AlarmRow, ChangeRow
from linli_platform.alarms.rulebook import EVERYWHERE, Revision, RuleBook, Setting
from linli_platform.alarms.screening import QUALITY, Screening
from linli_platform.clock import Clock
from linli_platform.ingest import Committed
from linli_platform.registry import Registry
from linli_platform.store import SeriesInfo, Store
from linli_platform.whole import whole

Written = TypeVar("Written")
"""What a write comes to."""

AlarmListener = Callable[[AlarmRow], None]
"""Called on the event loop with each changed alarm after it was written; must not block and must not raise."""

PENDING_LIMIT: Final = 50_000
"""Changes waiting to be written. Beyond it readings are not judged until the backlog of changes is written; then the
newest of each series is judged again, so that a flood costs detail, never an alarm that still stands."""

JUDGED: Final = 200_000
"""Transitions that figures are made of at one time."""

_RETRY_S: Final = 1.0
_LONGEST_NAP_S: Final = 1.0
_FLUSH_S: Final = 5.0
_BATCH: Final = 2_000

_COMES_WITHIN: Final = 15 * MINUTE
"""So late most readings come at the latest: what came later just before a kill is in the record of readings only."""


class NoSuchAlarm(LinliError):
    """There is no alarm with this number."""


class NothingToAcknowledge(LinliError):
    """The alarm was acknowledged already, or is settled."""


class TooMuchToJudge(LinliError):
    """More happened than figures are made of at one time."""


class ActionMissing(LinliError):
    """The alarm is acknowledged only with a word of what was done about it."""


class AlarmService:
    """Alarms of the platform.

    ``async with AlarmService(...)`` restores what was known; :meth:`run` then writes changes and watches the clock.
    Lives on one event loop: :meth:`on_committed` is called there.

    Attributes:
        engine: The engine, for its counters.
        book: The rules in force, what people changed of them, and every revision; once open.
        raised, returned: Transitions since this process began.
        skipped: Readings not judged because too many changes waited to be written.
        write_errors: Attempts to write that the database refused and that were made again.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        rules: Iterable[Rule],
        clock: Clock,
        *,
        pending_limit: int = PENDING_LIMIT,
        zone: tzinfo = UTC,
    ) -> None:
        self._files = tuple(rules)
        self.engine = Engine(self._files, zone, where=self._rule_at)
        self.raised = 0
        self.returned = 0
        self.skipped = 0
        self.write_errors = 0
        self._registry = registry
        self._store = store
        self._clock = clock
        self._pending_limit = pending_limit
        self._pending: deque[AlarmChange] = deque()
        self._bound: dict[int, Bound] = {}
        self._screening = Screening(self.engine, self._bind)
        self._places = NOWHERE
        self._refreshing = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._listeners: list[AlarmListener] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._behind = False
        self._nap_until: Instant = 0
        self._marked_at: Instant = 0
        self._standing: dict[tuple[str, str], set[Key]] = {}
        self._hidden: set[int] = set()
        self._silence_rules = [
            rule.id
            for rule in self.engine.rules.values()
            if rule.subject_kind is SubjectKind.DEVICE and isinstance(rule.condition, Absence)
        ]

    async def __aenter__(self) -> Self:
        """Restore memories, settle alarms whose rule is gone, and take in the newest reading of each series."""
        sessions: sessionmaker[Session] = self._registry.sessions
        self.book = RuleBook(sessions, self._files)
        await asyncio.to_thread(self.book.open, self._clock())
        self.engine.rules.update(self.book.rules)
        places = await asyncio.to_thread(places_of, self._registry)
        self._places = places._replace(retired=frozenset())  # what was retired meanwhile is let go below
        self._records = AlarmRecords(sessions, self.engine.rules, self._revision_at)
        self.hiding = HidingDesk(self._records, self.engine.rules)
        now = self._clock()
        await self.hiding.load(now)
        self.hiding.recall(await asyncio.to_thread(self._store.latest), now)
        orphans = self.engine.restore(await asyncio.to_thread(self._records.load))
        if orphans:
            await self._close(orphans, "the rule is no longer in force")
        self.engine.resume(now)
        standing = await asyncio.to_thread(self._records.find, Filter(active=True), PENDING_LIMIT)
        for row in standing:
            self._note(row)
        self._hidden = {row.id for row in self.hiding.seen(standing, now) if row.hiding is not None}
        await self.refresh(is_start=True)
        mark = await asyncio.to_thread(self._records.mark)
        if mark is not None:
            await self._read_again(mark)
        await self._catch_up()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write what is pending and everything the engine remembers."""
        self.engine.touch([(memory.rule, memory.subject) for memory in self.engine.snapshot()])
        await self._write()

    def listen(self, listener: AlarmListener) -> None:
        """Tell a listener of each changed alarm, after it was written."""
        self._listeners.append(listener)

    async def refresh(self, *, is_start: bool = False) -> None:
        """Read the devices' kinds, areas and tags again; rules are resolved anew where one changed.

        The alarms of what was retired meanwhile are settled.
        """
        async with self._refreshing:
            places = await asyncio.to_thread(places_of, self._registry)
            before, self._places = self._places, places
            if places.lines != before.lines:
                self._judge_by({rule for rule, _ in self.book.local})
            if places._replace(lines={}) != before._replace(lines={}):
                self._bind_anew()
            if fresh := places.retired - before.retired:
                await whole(self._let_go(fresh, silences=is_start))

    def _bind_anew(self) -> None:
        """Resolve the rules of every series anew."""
        self._bound.clear()
        self._screening.forget()

    async def _let_go(self, retired: frozenset[str], *, silences: bool) -> None:
        """Settle the alarms of gateways and devices that were taken out: nobody waits to hear of them any more.

        What they still send is judged. So of what was taken out before the start only silences are let go: another
        alarm that stands was raised since.
        """
        async with self._writing:
            # What was told of them so far is written first; what is told from then on is of another alarm, and waits.
            while any(lies_in(change.subject, retired) for change in self._pending):
                await self._stubbornly(self._write_some)
            gone = self.engine.dismiss(retired, silences=silences)
            self._bind_anew()
            rows = await self._stubbornly(partial(self._close, gone, "it was retired"))
        turned = [self._note(row) for row in rows]
        self._tell(rows)
        if any(turned):
            await self._tell_hidden(rows)

    async def _close(self, memories: Collection[Memory], comment: str) -> list[AlarmRow]:
        """Settle the alarms of what nothing watches any more."""
        return await asyncio.to_thread(self._records.close_orphans, memories, self._clock(), comment)

    def _rule_at(self, rule: Rule, subject: str) -> Rule:
        return self.book.at(rule, self._places.line(subject))

    def _revision_at(self, rule: str, subject: str) -> int | None:
        return self.book.revision_at(rule, self._places.line(subject))

    def _judge_by(self, rules: Iterable[str]) -> None:
        """Judge by rules as they are now in the book; what is remembered stays."""
        names = set(rules)
        self.engine.rules.update({name: self.book.rules[name] for name in names})
        self.engine.revise(names)
        self._bind_anew()

    async def set_parameters(self, settings: Sequence[Setting], *, actor: str, comment: str = "") -> list[Revision]:
        """Give parameters of rules other values, in writing: all of them or, where one cannot be, none.

        They are judged by from the next reading on. What was so already makes no revision.

        Raises:
            NoSuchRule: No rule in force is called so.
            ConfigError: There is no such area or parameter, or it may not have that value.
        """
        async with self._changing:
            areas = {area.id for area in await asyncio.to_thread(self._registry.areas)}
            for area in {setting.area for setting in settings} - areas - {EVERYWHERE}:
                found, remedy = f"there is no area {area[:80]!r}", "name one that the registry declares"
                raise ConfigError("area", found, remedy)
            return await whole(self._set(settings, actor, comment))

    async def _set(self, settings: Sequence[Setting], actor: str, comment: str) -> list[Revision]:
        now = self._clock()
        made = await asyncio.to_thread(self.book.change, settings, now, actor=actor, comment=comment)
        self._judge_by({revision.rule for revision in made})
        return made

    async def history(self, rule: str = "", limit: int = 100) -> list[Revision]:
        """Return what rules were and are, newest first."""
        return await asyncio.to_thread(self.book.history, rule, limit)

    def kinds(self) -> Mapping[tuple[str, str], str]:
        """Return the kinds of devices, by gateway and device, that rules may choose by."""
        return dict(self._places.kinds)

    def tags(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return the tags of devices, by gateway and device, that rules may choose by."""
        return dict(self._places.tags)

    def areas(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return the areas of devices, those above them included, by gateway and device, that rules may choose by."""
        return dict(self._places.areas)

    @property
    def records(self) -> AlarmRecords:
        """What is written down, for whoever asks in a thread of its own."""
        return self._records

    @property
    def unwritten(self) -> int:
        """How many changes wait to be written."""
        return len(self._pending)

    # Readings

    def on_committed(self, committed: Committed) -> None:
        """Judge new readings at once; what they settle is written by :meth:`run`."""
        if self.hiding.hear(committed.columns, self._clock()):
            self._wake.set()
        if len(self._pending) >= self._pending_limit:
            self.skipped += len(committed.columns.series)
            self._behind = True
            return
        self._pending.extend(self._screening.observe(committed.columns, self._clock()))
        due = self.engine.next_due()
        if self._pending or (due is not None and due < self._nap_until):
            self._wake.set()

    def presses(self, series: NDArray[np.int32], values: NDArray[np.float64]) -> bool:
        """Tell whether readings that are not committed yet may move an alarm at once: then somebody waits for them."""
        return self._screening.haste.presses(series, values)

    def _bind(self, series: SeriesInfo) -> Bound:
        bound = self.engine.bind(self._places.series(series), self._clock())
        self._bound[series.id] = bound
        return bound

    async def _catch_up(self) -> None:
        """Judge the newest reading of each series: after a start, or after readings were skipped."""
        self._behind = False
        now = self._clock()
        for row in await asyncio.to_thread(self._store.latest):
            bound = self._bound.get(row.series.id) or self._bind(row.series)
            value = row.value if row.text is None else row.text
            self._pending.extend(self.engine.observe(bound, value, QUALITY[row.quality], row.time, now))

    async def _read_again(self, mark: Instant) -> None:
        """Judge what came after the last write of memories, or a little before: nobody knows when a reading came.

        What was judged before says nothing new; what was not, as the process was killed, is taken up where it was.
        """
        now = self._clock()
        spans: dict[Instant, dict[int, SeriesInfo]] = {}
        for info in await asyncio.to_thread(self._store.all_series):
            bound = self._bound.get(info.id) or self._bind(info)
            if bound.levels:
                spans.setdefault(self.engine.unwritten(bound), {})[info.id] = info
        for unwritten, series in spans.items():
            parts = chunks(self._store, series, mark - _COMES_WITHIN - unwritten, now + AHEAD + 1)
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                columns, _, _ = part
                self._pending.extend(self._screening.observe(columns, now))

    # Writing and the clock

    async def run(self) -> None:
        """Watch the clock and write changes until cancelled."""
        flushed_at = self._clock()
        while True:
            await self._nap()
            now = self._clock()
            self._pending.extend(self.engine.tick(now))
            flush = now - flushed_at >= _FLUSH_S * SECOND
            if self._pending or flush:
                await self._write_stubbornly()
            if self.hiding.has_turned(now):
                await self._tell_hidden()
            if flush:
                flushed_at = now
                await self.refresh()
            if self._behind:
                await self._catch_up()

    async def _nap(self) -> None:
        """Wait for a change to write, the next due look, or at most a second (the wall clock may jump)."""
        if not self._pending:
            due = self.engine.next_due()
            now = self._clock()
            nap = _LONGEST_NAP_S if due is None else min(max((due - now) / SECOND, 0.0), _LONGEST_NAP_S)
            self._nap_until = now + round(nap * SECOND)
            try:
                async with asyncio.timeout(nap):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def _write_stubbornly(self) -> None:
        await self._stubbornly(self._write)

    async def _stubbornly(self, write: Callable[[], Awaitable[Written]]) -> Written:
        while True:
            try:
                return await write()
            except OperationalError:
                # Busy or full: the changes stay queued, bounded by PENDING_LIMIT, until the database takes them.
                self.write_errors += 1
                await asyncio.sleep(_RETRY_S)

    async def _write(self) -> None:
        """Write everything pending; only then is it forgotten here and told to others."""
        async with self._writing:
            while await whole(self._write_some()):
                pass

    async def _write_some(self) -> bool:
        """Write what a batch holds; tell whether there was anything."""
        changes = [self._pending[index] for index in range(min(len(self._pending), _BATCH))]
        # What was judged until now is in these memories; where more waits, it is not all written with them.
        now = self._clock()
        is_all = len(changes) == len(self._pending) and not self._behind
        mark = now if is_all and now - self._marked_at >= _FLUSH_S * SECOND else None
        memories = self.engine.take_touched()
        if not changes and not memories and mark is None:
            return False
        keys = [(memory.rule, memory.subject) for memory in memories]
        encoded = [encode_memory(memory) for memory in memories]
        try:
            rows = await asyncio.to_thread(self._records.write, changes, encoded, keys, mark)
        except BaseException:
            self.engine.touch(keys)
            raise
        self._marked_at = self._marked_at if mark is None else mark
        for change in changes:
            self._pending.popleft()
            self.raised += change.event is Event.RAISE
            self.returned += change.event in {Event.RETURN, Event.RETURN_LATCHED}
        turned = False
        for row in rows:
            turned |= self._note(row)
        self._tell(rows)
        if turned:
            await self._tell_hidden(rows)
        return True

    def _tell(self, rows: Iterable[AlarmRow]) -> None:
        for row in self.hiding.seen(rows, self._clock()):
            for listener in self._listeners:
                listener(row)

    async def _tell_hidden(self, told: Sequence[AlarmRow] = ()) -> None:
        """Tell of the alarms that are hidden now and were not, or the other way round."""
        known = {row.id for row in told}
        rows = await asyncio.to_thread(self._records.find, Filter(active=True), self._pending_limit)
        hidden = {row.id for row in self.hiding.seen(rows, self._clock()) if row.hiding is not None}
        turned, self._hidden = hidden ^ self._hidden, hidden
        self._tell(row for row in rows if row.id in turned - known)

    def _note(self, row: AlarmRow) -> bool:
        place = (row.gateway, row.device)
        keys = self._standing.setdefault(place, set())
        (keys.add if row.state in CONDITION_HOLDS else keys.discard)((row.rule, row.subject))
        if not keys:
            del self._standing[place]
        return self.hiding.note(row)

    # People

    async def acknowledge(self, alarm: int, *, actor: str, comment: str = "") -> AlarmRow:
        """Acknowledge an alarm, in writing; return it as it now is.

        Raises:
            NoSuchAlarm: There is no such alarm.
            NothingToAcknowledge: It was acknowledged already, or is settled.
            ActionMissing: Its rule asks for a word of what was done, and there is none.
        """
        row = await self._known(alarm)
        rule = self.engine.rules.get(row.rule)
        if rule is not None and rule.corrective_action and not comment.strip():
            raise ActionMissing(f"alarm {alarm} ({rule.id}) is acknowledged only with a word of what was done")
        return await self._act(self.engine.acknowledge, row, actor, comment)

    async def reset(self, alarm: int, *, actor: str, comment: str = "") -> AlarmRow:
        """Reset a latched alarm that was acknowledged; raises as :meth:`acknowledge` does."""
        return await self._act(self.engine.reset, await self._known(alarm), actor, comment)

    async def _act(self, act: Callable[..., AlarmChange | None], row: AlarmRow, actor: str, comment: str) -> AlarmRow:
        key: Key = (row.rule, row.subject)
        # A settled alarm's number must not act on its successor of the same identity.
        change = None if row.state == "normal" else act(key, self._clock(), actor=actor, comment=comment)
        if change is None:
            raise NothingToAcknowledge(f"alarm {row.id} is {row.state}: nothing is left to do there")
        self._pending.append(change)
        await self._write_stubbornly()
        return await self._known(row.id)

    async def comment(self, alarm: int, *, actor: str, comment: str) -> AlarmRow:
        """Write down what somebody says of an alarm; raise :class:`NoSuchAlarm` where there is none."""
        return await self._write_note(alarm, Note.COMMENT, actor, comment)

    async def assign(self, alarm: int, to: str, *, actor: str, comment: str = "") -> AlarmRow:
        """Give an alarm to somebody, or, with nobody named, back; raise :class:`NoSuchAlarm` where there is none."""
        return await self._write_note(alarm, Note.ASSIGN, actor, comment or to, assign=to)

    async def shelve(self, alarm: int, until: Instant, *, actor: str, reason: str) -> AlarmRow:
        """Hide an alarm until a moment; it comes back by itself.

        Raises:
            NoSuchAlarm: There is no such alarm.
            HidingRefused: It is settled, or reason or end are not as they must be.
        """
        row = await self._known(alarm)
        if row.state is State.NORMAL:
            raise HidingRefused(f"alarm {alarm} is settled: there is nothing to shelve")
        now = self._clock()
        await self.hiding.hide(Hiding(0, Suppression.SHELVED, row.rule, row.subject, reason, actor, now, until), now)
        return await self._write_note(alarm, Note.SHELVE, actor, reason)

    async def unshelve(self, alarm: int, *, actor: str, comment: str = "") -> AlarmRow:
        """Show a shelved alarm again; raises as :meth:`shelve` does."""
        row = await self._known(alarm)
        if row.hiding is None or row.hiding.kind is not Suppression.SHELVED:
            raise HidingRefused(f"alarm {alarm} is not shelved")
        await self.hiding.end(row.hiding.id, self._clock(), actor)
        return await self._write_note(alarm, Note.UNSHELVE, actor, comment)

    async def hide(self, wanted: Hiding) -> Hiding:
        """Take something out of service, or hide it by design, for a while; raises as :meth:`HidingDesk.hide` does."""
        made = await self.hiding.hide(wanted, self._clock())
        await self._tell_hidden()
        return made

    async def show(self, number: int, *, actor: str) -> Hiding:
        """End what is hidden before its time; raises as :meth:`HidingDesk.end` does."""
        ended = await self.hiding.end(number, self._clock(), actor)
        await self._tell_hidden()
        return ended

    async def hidden(self, limit: int = 1_000) -> list[AlarmRow]:
        """Return the alarms that are not settled and that nobody sees now, with what hides each."""
        rows = await self.standing()
        return [row for row in rows if row.hiding is not None][:limit]

    async def _known(self, alarm: int) -> AlarmRow:
        row = await self.get(alarm)
        if row is None:
            raise NoSuchAlarm(f"there is no alarm {alarm}")
        return row

    async def _write_note(
        self, alarm: int, note: Note, actor: str, comment: str, assign: str | None = None
    ) -> AlarmRow:
        await self._known(alarm)
        await asyncio.to_thread(
            self._records.note, alarm, note, self._clock(), actor=actor, comment=comment, assign=assign
        )
        row = await self._known(alarm)
        if row.hiding is None:
            self._hidden.discard(alarm)
        else:
            self._hidden.add(alarm)
        self._tell([row])
        return row

    async def find(self, wanted: Filter, limit: int = 100) -> list[AlarmRow]:
        """Return alarms, newest first, each with what hides it."""
        return self.hiding.seen(await asyncio.to_thread(self._records.find, wanted, limit), self._clock())

    async def standing(self) -> list[AlarmRow]:
        """Return the alarms that are not settled, hidden or not."""
        return await self.find(Filter(active=True), PENDING_LIMIT)

    async def get(self, alarm: int) -> AlarmRow | None:
        """Return one alarm with what hides it, ``None`` if there is none."""
        row = await asyncio.to_thread(self._records.get, alarm)
        return None if row is None else self.hiding.seen([row], self._clock())[0]

    async def with_history(self, alarm: int) -> tuple[AlarmRow, list[ChangeRow]] | None:
        """Return one alarm with what hides it, and its history, oldest first; ``None`` if there is none."""
        found = await asyncio.to_thread(self._records.history, alarm)
        return None if found is None else (self.hiding.seen([found[0]], self._clock())[0], found[1])

    async def health(self, start: Instant, end: Instant, gateways: Collection[str] | None = None) -> Health:
        """Return how the alarm system fared in a period; of these gateways if given.

        Raises:
            TooMuchToJudge: More happened than is judged at one time.
        """
        moments = await asyncio.to_thread(self._records.moments, start, end, gateways, JUDGED + 1)
        if len(moments) > JUDGED:
            raise TooMuchToJudge(f"more than {JUDGED} transitions: ask for a shorter time")
        return await asyncio.to_thread(health, moments, start, end)

    async def totals(self) -> dict[Event, int]:
        """Return how often each event happened since the database began."""
        return await asyncio.to_thread(self._records.totals)

    def stands(self, gateway: str, device: str) -> bool:
        """Tell whether a condition holds on a device or one of its points right now."""
        return (gateway, device) in self._standing

    def interval_of(self, gateway: str, device: str) -> Instant | None:
        """Return how often a device brings readings as far as a rule about its silence has learnt it, µs."""
        for rule in self._silence_rules:
            memory = self.engine.memory((rule, f"{gateway}/{device}"))
            if memory is not None and memory.interval is not None:
                return memory.interval
        return None

    async def settled(self) -> None:
        """Conclude what the clock allows now and write everything; for audits and tests."""
        self._pending.extend(self.engine.tick(self._clock()))
        await self._write_stubbornly()
