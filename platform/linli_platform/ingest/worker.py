"""The ingest worker: one connection, one committer, one publisher of acks, and a housekeeper."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant
from linli_core.log.account import Balance
from linli_core.log.receiver import LateArrival, Receiver
from linli_core.wire.command import Command, encode_command
from linli_core.wire.line_protocol import Precision
from linli_core.wire.messages import encode_message
from linli_core.wire.topics import EVERY_SHARD, Channel, ShardSet, topic
from linli_platform.clock import Clock
from linli_platform.ingest import Columns, Committed, Listener
from linli_platform.ingest.accounts import MARK
from linli_platform.ingest.admission import Admission
from linli_platform.ingest.batch import Booked, Pending
from linli_platform.ingest.company import Company
from linli_platform.ingest.connection import BrokerAddress, Connection
from linli_platform.ingest.door import LOG, Door, DoorClosed, Part, Writer, Written, unpack
from linli_platform.ingest.intake import Intake
from linli_platform.ingest.line_mapping import Rules
from linli_platform.ingest.mqtt import Publish
from linli_platform.ingest.ownership import Ownership, name_of, refuse_others
from linli_platform.ingest.pressure import Pressure
from linli_platform.ingest.refusals import NOBODY, Refusals
from linli_platform.ingest.replay import Replayed, Replaying
from linli_platform.ingest.settings import Grouping, Limits
from linli_platform.metrics import Metrics
from linli_platform.registry import Device, Gateway, Loss, Refusal, Registry
from linli_platform.stages import COMMIT, Stage
from linli_platform.store import Appended, Batch, Fenced, Quarantined, SeriesInfo, Store, StoreError, StoreUnavailable
from linli_platform.whole import whole

_log = logging.getLogger(__name__)

_RETRY_FIRST_S: Final = 0.2
_RETRY_LAST_S: Final = 10.0
_HOUSEKEEPING_S: Final = 5.0
_ANSWER_S: Final = 10
"""How long a writer at the second door waits for a commit."""
_SUSPECT_AFTER: Final = 3
"""Failed commits of one batch after which it is suspected itself."""

Press = Callable[[NDArray[np.int32], NDArray[np.float64]], bool]
"""Called on the event loop with series and values of readings taken in; tells whether somebody waits for them."""

GatewayListener = Callable[[str], None]
"""Called on the event loop with a gateway whose status, refusals or ledger changed; must neither block nor raise."""


class Ingest:
    """Takes every gateway's messages from the broker into the store.

    :meth:`open` takes in the marks; :meth:`run` works until :meth:`stop`, which lets it commit what it holds.

    Args:
        store, registry: Open.
        address: The broker.
        clock: Wall clock.
        metrics: Where each stage counts.
        limits: Bounds of one message and of unknown senders.
        grouping: How messages become commits.
        ownership: Of the shards; of all of ``shards`` if not given.
        writers: How the lines of each writer at the second door are understood, by its name.
        shards: Whose messages it takes; everybody's if not given.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        address: BrokerAddress,
        *,
        clock: Clock,
        metrics: Metrics,
        limits: Limits | None = None,
        grouping: Grouping | None = None,
        ownership: Ownership | None = None,
        writers: Mapping[str, Rules] | None = None,
        shards: ShardSet = EVERY_SHARD,
    ) -> None:
        limits = limits or Limits()
        self._ownership = ownership or Ownership(registry, store, name_of(shards))
        self._shards = shards
        self._store = store
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._grouping = grouping or Grouping()
        self._admission = Admission(store, limits)
        self._refusals = Refusals(metrics)
        self._replaying = Replaying(self._admission, limits, writers or {})
        self._intake = Intake(self._admission, self._refusals, metrics, limits, clock)
        self._door = Door(self._admission, self._intake, self._refusals, shards)
        self.let_in = self._door.let_in
        self._limits = limits
        self._connection = Connection(
            address, shards.subscriptions(), self._on_message, self._on_connected, 2 * limits.payload_bytes
        )
        metrics.queued.set_function(lambda: len(self._intake.pending.rows))
        metrics.stages.waiting(COMMIT, lambda: len(self._intake.pending.rows))
        self._committing = metrics.stages.stage(COMMIT)
        self._listeners: list[tuple[Listener, Stage]] = []
        self._gateway_listeners: list[GatewayListener] = []
        self._company = Company(self._grouping)
        self._press: Press = lambda _series, _values: False
        self._stopping = asyncio.Event()
        self._owed: set[str] = set()
        self._acks_due = asyncio.Event()
        self._failing = ""
        self._pressure = Pressure(self._grouping.under_way)

    def listen(self, listener: Listener, stage: str = "others") -> None:
        """Tell a listener of each commit that brought something new.

        Args:
            listener: Who is told.
            stage: Under which name the time it takes is counted.
        """
        self._listeners.append((listener, self._metrics.stages.stage(stage)))

    def hurry(self, press: Press) -> None:
        """Ask of the readings of each message whether somebody waits for what comes of them: then so does no commit."""
        self._press = press

    def listen_to_gateways(self, listener: GatewayListener) -> None:
        """Tell a listener of each gateway whose status, refusals or ledger changed, after it was written."""
        self._gateway_listeners.append(listener)

    @property
    def is_connected(self) -> bool:
        """Tell whether the subscription at the broker stands."""
        return self._connection.is_connected

    @property
    def failing(self) -> str:
        """Why commits fail at the moment; empty when they do not."""
        return self._failing

    async def open(self) -> None:
        """Obtain the shards, take in what is known of each gateway; :class:`ConfigError` if one is another worker's."""
        await self._ownership.obtain()
        late = await asyncio.to_thread(self._restore)
        refuse_others(self._shards, (sender.id for sender in self._admission.senders()))
        if late:
            await asyncio.to_thread(self._amend, late)
        self._owed.update(sender.id for sender in self._admission.senders())

    def _restore(self) -> dict[str, list[LateArrival]]:
        registry = self._registry
        return self._admission.restore(registry.gateways(), registry.devices(), self._store.marks(), registry.booked())

    async def run(self) -> None:
        """Work until :meth:`stop`.

        Raises:
            LeaseLost, Fenced: (in an exception group) Another worker has the shards. What is not committed stays with
                the gateways; nothing was acknowledged.
        """
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._connection.run(), name="ingest.connection"),
                group.create_task(self._publish_acks(), name="ingest.acks"),
                group.create_task(self._keep_house(), name="ingest.housekeeping"),
            ]
            await self._commit_all()
            for task in others:
                task.cancel()
        await self._write_counts()
        await asyncio.to_thread(self._ownership.give_back)

    def balances(self, losses: Iterable[Loss], day: int | None = None) -> dict[str, list[Balance]]:
        """Return by gateway its book of readings and the platform's, held against each other.

        Args:
            losses: The ledger.
            day: Only this one, in days since 1970; all, and their sum, if left out.
        """
        by_gateway: dict[str, list[Loss]] = {}
        for loss in losses:
            by_gateway.setdefault(loss.gateway, []).append(loss)
        found = {
            sender.id: sender.book.balances(
                sender.receiver.ack(),
                by_gateway.get(sender.id, ()),
                day,
                has_strays=sender.receiver.has_strays,
            )
            for sender in self._admission.senders()
        }
        return {gateway: balances for gateway, balances in found.items() if balances}

    def stop(self) -> None:
        """Let :meth:`run` commit what was taken in, acknowledge it, and return."""
        self._stopping.set()
        self._company.end()
        self._connection.pause()

    # The event loop's side

    def _on_message(self, message: Publish) -> None:
        intake = self._intake
        was_empty = intake.is_empty
        rows = intake.pending.rows
        known = len(rows)
        intake.take(message)
        if not intake.is_empty:
            self._arrived(was_empty=was_empty)
        if len(rows) > known and not self._company.is_pressed and self._press(*rows.since(known)):
            self._company.press()

    def _arrived(self, *, was_empty: bool) -> None:
        """Let the committer know of what was taken in."""
        intake = self._intake
        if was_empty:
            self._company.begins()
        waiting = intake.pending.weight()
        if waiting >= self._grouping.readings:
            self._company.fill()
            if waiting >= self._grouping.queued_readings:
                self._connection.pause()
                self._metrics.paused.set(1)

    def _on_connected(self) -> None:
        self._metrics.connected.set(1)
        # A broker that was started anew has lost the retained acks.
        self._owe_all()

    def _owe_all(self) -> None:
        self._owe(sender.id for sender in self._admission.senders())

    def _owe(self, gateways: Iterable[str]) -> None:
        self._owed.update(gateways)
        if self._owed:
            self._acks_due.set()

    async def _publish_acks(self) -> None:
        while True:
            await self._acks_due.wait()
            self._acks_due.clear()
            self._send_acks()
            await asyncio.sleep(self._grouping.ack_every_s)

    def _send_acks(self) -> None:
        sent = 0
        now = asyncio.get_running_loop().time()
        while self._owed:
            gateway = self._owed.pop()
            receiver = self._admission.sender(gateway).receiver
            if receiver.epoch in {"", LOG}:
                continue  # it has said nothing of its log yet, or its log is kept here
            ack = msgspec.structs.replace(
                receiver.ack(self._intake.unbooked(gateway)),
                window=self._pressure.window(gateway, now),
                number=receiver.number,
                sent_at=self._clock(),
            )
            if not self._connection.publish(topic(gateway, Channel.ACK), encode_message(ack)):
                self._owed.add(gateway)
                break  # published when the connection is back
            sent += 1
        self._metrics.acks.inc(sent)

    def command(self, gateway: str, name: str, command: Command) -> bool:
        """Send a gateway a command; ``False`` if that cannot be done now. Whether it comes, its reply tells."""
        return self._connection.publish(topic(gateway, Channel.COMMAND, name), encode_command(command), retain=False)

    # The second door

    async def write_lines(self, writer: Writer, body: bytes, precision: Precision) -> Written:
        """Take line protocol in, and return once what can be taken of it is on disk.

        Raises:
            DoorClosed: The store is away, or too much waits for it; sent again, nothing is doubled.
            NotItsGateway: The gateway of this id sends its own readings over MQTT, or is another worker's.
            Refused: The gateway of this id may not be let in.
        """
        self._check_open()
        now = self._clock()
        parts = await asyncio.to_thread(unpack, body, precision, writer, self._limits, now)
        written = Written()
        waiting: list[tuple[Part, asyncio.Future[bool]]] = []
        for part in parts:
            self._check_open()
            was_empty = self._intake.is_empty
            waiting.append((part, self._door.take(writer, part, now)))
            self._arrived(was_empty=was_empty)
            if self._intake.pending.weight() >= self._grouping.readings:
                await self._answered(waiting, written)
        await self._answered(waiting, written)
        return written

    def _check_open(self) -> None:
        if self._stopping.is_set():
            raise DoorClosed("the platform is about to stop; send it again")
        if self._failing:
            raise DoorClosed(f"the store takes nothing at present ({self._failing}); send it again")
        if self._intake.pending.weight() >= self._grouping.queued_readings:
            raise DoorClosed("too much waits for the store; send it again")

    async def _answered(self, waiting: "list[tuple[Part, asyncio.Future[bool]]]", written: Written) -> None:
        """Wait until parts are committed, and note what became of them."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                for part, done in waiting:
                    written.take(part, is_stored=await done)
        except TimeoutError as exc:
            raise DoorClosed(f"not on disk within {_ANSWER_S} s; send it again, nothing will be doubled") from exc
        waiting.clear()

    # Commits

    async def _commit_all(self) -> None:
        while not self._stopping.is_set() or not self._intake.is_empty:
            await self._company.gather()
            if self._intake.is_empty:
                continue
            pending = self._intake.take_pending()
            if not self._stopping.is_set():
                self._connection.resume()
                self._metrics.paused.set(0)
            if not await self._commit_stubbornly(pending):
                return
        self._send_acks()

    async def _commit_stubbornly(self, pending: Pending, marks: dict[str, bytes] | None = None) -> bool:
        """Commit, again and again if need be; ``False`` if the program is to stop before it succeeded.

        Args:
            pending: What was taken in.
            marks: As they are after it; those of now, if it was taken this moment.
        """
        marks = self._marks(pending) if marks is None else marks
        batch = pending.columns()
        delay = _RETRY_FIRST_S
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                appended = await asyncio.to_thread(self._write, pending, batch, marks)
            except Fenced:
                raise
            except (StoreError, SQLAlchemyError) as exc:
                self._metrics.commit_failures.inc()
                failures += 1
                suspect = failures % _SUSPECT_AFTER == 0 and bool(pending.messages)
                if suspect and await self._is_the_batchs_fault(exc):
                    return await self._commit_apart(pending, marks)
                self._refused(exc)
                if self._stopping.is_set():
                    _log.error("stopping with %d readings not stored; their gateways keep them", len(batch))
                    return False
            else:
                break
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            delay = min(2 * delay, _RETRY_LAST_S)
        done = loop.time()
        self._company.worked(begun, done)
        self._pressure.worked_off(len(pending.messages), self._company.took_s, done)
        self._taken_again()
        await self._committed(pending, batch, appended)
        return True

    def _refused(self, error: Exception) -> None:
        """Tell the log once, and every gateway, that the store does not take what comes."""
        if self._pressure.stop():
            self._owe_all()
        if not self._failing:
            _log.error("commit failed, trying again until it succeeds; nothing is acknowledged: %s", error)
        self._failing = str(error)

    def _taken_again(self) -> None:
        if self._failing:
            _log.warning("commits succeed again")
            self._failing = ""
        if self._pressure.go_on():
            self._owe_all()

    async def _is_the_batchs_fault(self, error: Exception) -> bool:
        """Tell whether a store that refuses a batch is sound otherwise: then it is the batch that is not."""
        if not isinstance(error, StoreError) or isinstance(error, StoreUnavailable):
            return False
        try:
            await asyncio.to_thread(self._store.probe)
        except StoreError:
            return False
        return True

    async def _commit_apart(self, pending: Pending, marks: dict[str, bytes]) -> bool:
        """Commit each message of a batch alone; set those aside that the store refuses, so that the others live on.

        Args:
            pending: The batch.
            marks: As they are after all of it. Those of its parts are worked out from them: the present ones know of
                what came meanwhile, and the ledger does not yet.
        """
        _log.error("the store refuses a batch, not others: its %d messages are tried one by one", len(pending.messages))
        rest, alone = pending.apart()
        receivers = {gateway: Receiver.restore(marks[gateway]) for gateway in pending.moved}
        for part in alone:
            part.each(lambda gateway, epoch, seqs: receivers[gateway].taken_back(epoch, seqs))

        def after(part: Pending) -> dict[str, bytes]:
            part.each(lambda gateway, epoch, seqs: receivers[gateway].committed(epoch, seqs))
            return {gateway: receivers[gateway].snapshot() for gateway in part.moved} | self._books(part)

        if not await self._commit_stubbornly(rest, after(rest)):
            return False
        for part in alone:
            marks, batch = after(part), part.columns()
            try:
                appended = await asyncio.to_thread(self._write, part, batch, marks)
            except Fenced:
                raise
            except (StoreError, SQLAlchemyError) as exc:
                message = part.messages[0]
                if not await self._is_the_batchs_fault(exc):
                    done = await self._commit_stubbornly(part, marks)
                else:
                    refused = Refused(RefusalReason.NOT_STORABLE, f"message {message.seq}: {exc}")
                    self._refusals.count(message.gateway, refused, self._clock())
                    aside = part.set_aside()
                    done = await self._commit_stubbornly(aside, marks | self._books(aside))
                if not done:
                    return False
            else:
                await self._committed(part, batch, appended)
        self._failing = ""
        return True

    def _marks(self, pending: Pending) -> dict[str, bytes]:
        """Return the marks as they will be after this commit. The previous one must have been accounted for."""
        marks = {
            gateway: self._admission.sender(gateway).receiver.snapshot(pending.seqs.get(gateway))
            for gateway in pending.moved
        }
        return marks | self._books(pending)

    def _books(self, pending: Pending) -> dict[str, bytes]:
        """Return the books of readings as they will be after this commit."""
        entries: dict[str, list[Booked]] = {}
        for booked in pending.booked:
            entries.setdefault(booked.gateway, []).append(booked)
        return {
            MARK + gateway: self._admission.sender(gateway).book.with_entries(of_gateway)
            for gateway, of_gateway in entries.items()
        }

    def _write(self, pending: Pending, batch: Batch, marks: dict[str, bytes]) -> Appended:
        """Write the ledger, then data and marks together: a crash between leaves a line the marks are told of."""
        if pending.held or pending.statuses or pending.losses:
            self._registry.record(pending.held, pending.statuses, pending.losses, pending.received_at)
        return self._store.append(
            batch, marks, events=pending.events, quarantined=pending.quarantined, fence=self._ownership.fence
        )

    async def _committed(self, pending: Pending, batch: Batch, appended: Appended) -> None:
        metrics = self._metrics
        metrics.commit_seconds.observe(self._company.took_s)
        self._committing.count(len(batch), self._company.took_s)
        metrics.batch_readings.observe(len(batch))
        metrics.readings.inc(len(batch))
        metrics.stored.inc(len(appended.new))
        metrics.events.inc(len(appended.events))
        metrics.duplicates.labels(stage="reading").inc(appended.duplicates)
        metrics.conflicts.inc(appended.conflicts)
        metrics.lost.inc(len(pending.losses))
        late: dict[str, list[LateArrival]] = {}
        for gateway, epochs in pending.seqs.items():
            receiver = self._admission.sender(gateway).receiver
            for epoch, seqs in epochs.items():
                if found := receiver.committed(epoch, seqs):
                    late.setdefault(gateway, []).extend(found)
        for booked in pending.booked:
            self._admission.sender(booked.gateway).book.enter(booked)
        self._intake.booked(pending)
        pending.answer()
        self._pressure.heard(pending.touched, asyncio.get_running_loop().time())
        self._owe(pending.touched)
        self._tell(pending, batch, appended)
        self._tell_of_gateways(pending.statuses.keys() | {loss.gateway for loss in pending.losses})
        if late:
            try:
                await asyncio.to_thread(self._amend, late)
            except SQLAlchemyError as exc:
                _log.warning("the ledger holds as lost what has arrived, until the next start: %s", exc)

    def _amend(self, late: dict[str, list[LateArrival]]) -> None:
        now = self._clock()
        for gateway, arrivals in late.items():
            for arrival in arrivals:
                self._registry.amend(gateway, arrival.epoch, [(arrival.first, arrival.last)], now)

    def _tell(self, pending: Pending, batch: Batch, appended: Appended) -> None:
        if not self._listeners or not (len(appended.new) or appended.events):
            return
        committed = self._describe(pending, batch, appended)
        for listener, stage in self._listeners:
            begun = perf_counter()
            listener(committed)
            stage.count(len(appended.new), perf_counter() - begun)

    def _describe(self, pending: Pending, batch: Batch, appended: Appended) -> Committed:
        rows = appended.new
        whole = len(rows) == len(batch)
        series = batch.series if whole else batch.series[rows]
        texts: Mapping[int, str] = batch.texts
        if texts and not whole:
            places = {row: place for place, row in enumerate(rows.tolist())}
            texts = {places[row]: text for row, text in texts.items() if row in places}
        columns = Columns(
            series,
            batch.time if whole else batch.time[rows],
            batch.value if whole else batch.value[rows],
            batch.quality if whole else batch.quality[rows],
            texts,
            self._info,
        )
        events = tuple(pending.events[number] for number in appended.events)
        return Committed.of(columns, pending.received_at, events)

    def _info(self, series: int) -> SeriesInfo:
        info = self._store.get(series)
        if info is None:
            raise KeyError(series)
        return info

    def _tell_of_gateways(self, gateways: Iterable[str]) -> None:
        for gateway in gateways:
            for listener in self._gateway_listeners:
                listener(gateway)

    async def replay(self, item: Quarantined) -> Replayed:
        """Try a quarantined message again, by today's rules; what is taken leaves quarantine and ledger.

        Raises:
            Refused: Nothing of it can be taken today either; it stays where it is.
            StoreError: The store cannot take it; it stays where it is.
        """
        return await whole(self._replay(item))

    async def _replay(self, item: Quarantined) -> Replayed:
        pending, refused = self._replaying.unpack(item, self._clock())
        batch = pending.columns()
        appended = await asyncio.to_thread(self._write, pending, batch, {})
        self._tell(pending, batch, appended)
        done = Replayed(len(appended.new), appended.duplicates + appended.conflicts, len(appended.events), refused)
        if not refused:
            await asyncio.to_thread(self._settle, item)
            self._tell_of_gateways({item.gateway})
        return done

    def _settle(self, item: Quarantined) -> None:
        # The ledger first: a crash between leaves a message that can be replayed again, and changes nothing.
        self._registry.taken_after_all(item.gateway, item.epoch, item.seq, self._clock())
        self._store.discard(item.number)

    # Housekeeping

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            self._metrics.connected.set(self._connection.is_connected)
            await asyncio.to_thread(self._ownership.renew)
            await self._write_counts()

    async def _write_counts(self) -> None:
        """Write refusals and sightings, and take in what an operator may have changed in the registry."""
        self._intake.publish_counts()
        refusals = self._refusals.take()
        seen, self._intake.seen = self._intake.seen, {}
        try:
            gateways, devices = await whole(asyncio.to_thread(self._exchange, refusals, seen))
        except SQLAlchemyError as exc:
            self._refusals.put_back(refusals)
            _log.warning("the registry cannot be written, its counts wait: %s", exc)
            return
        self._admission.refresh(gateways, devices)
        self._tell_of_gateways({refusal.gateway for refusal in refusals} - {NOBODY})

    def _exchange(self, refusals: list[Refusal], seen: dict[str, Instant]) -> tuple[list[Gateway], list[Device]]:
        self._registry.count_refusals(refusals)
        self._registry.touch(seen)
        return self._registry.gateways(), self._registry.devices()
