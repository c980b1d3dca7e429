"""The registry's questions and answers; every call is one short transaction and blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from linli_core.errors import LinliError, RefusalReason
from linli_core.instant import Instant
from linli_core.wire.messages import Status
from linli_platform.registry import ledger
from linli_platform.registry.database import open_engine, upgrade
from linli_platform.registry.models import AreaTable, Base, DeviceTable, GatewayTable, PlaceRevisionTable, RefusalTable
from linli_platform.registry.rows import Area, Device, Gateway, Loss, Refusal, State, Titles

_EXAMPLE_LENGTH: Final = 500
_AT_ONCE: Final = 500
TableT = TypeVar("TableT", bound=Base)


class NotFound(LinliError):
    """The registry holds no such gateway or device."""


class Registry:
    """Areas, gateways, devices, refusals and the loss ledger, in one SQLite file.

    ``with Registry(path) as registry`` opens the file and upgrades its schema. Methods may be called from any thread.

    Attributes:
        sessions: Makes sessions on the same database, for the parts that keep tables of their own in it.
    """

    sessions: sessionmaker[Session]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        engine = open_engine(self.path)
        try:
            upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
        self._engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    # Gateways and devices

    def gateways(self) -> list[Gateway]:
        """Return every gateway, by id."""
        with self.sessions() as session:
            return [_gateway(row) for row in session.scalars(select(GatewayTable).order_by(GatewayTable.id))]

    def gateway(self, gateway: str) -> Gateway | None:
        """Return one gateway."""
        with self.sessions() as session:
            row = session.get(GatewayTable, gateway)
            return None if row is None else _gateway(row)

    def device_titles(self, gateway: str, device: str) -> Titles:
        """Return what people call a device; nothing if it has no name or is not known."""
        with self.sessions() as session:
            row = session.get(DeviceTable, (gateway, device))
            return {} if row is None else row.titles

    def devices(self, gateway: str | None = None) -> list[Device]:
        """Return every device, or one gateway's, by gateway and id."""
        # As columns: all of them are asked for every few seconds, and objects of the session would cost several times.
        table = DeviceTable
        what = (
            table.gateway,
            table.id,
            table.state,
            table.kind,
            table.titles,
            table.area,
            table.first_seen,
            table.tags,
        )
        query = select(*what).order_by(table.gateway, table.id)
        if gateway is not None:
            query = query.where(table.gateway == gateway)
        with self.sessions() as session:
            return [
                Device(of, name, State(state), kind, titles, area, seen, tuple(tags))
                for of, name, state, kind, titles, area, seen, tags in session.execute(query)
            ]

    def areas(self) -> list[Area]:
        """Return every area, by id."""
        with self.sessions() as session:
            return [
                Area(row.id, row.parent, row.kind, row.titles)
                for row in session.scalars(select(AreaTable).order_by(AreaTable.id))
            ]

    def places_revision(self) -> int:
        """Return a number that is another one after each change of areas, or of gateways' and devices' own data.

        What gateways tell every minute changes none of that. Read it first, then what it is to be the number of.
        """
        with self.sessions() as session:
            return session.scalars(select(PlaceRevisionTable.number)).one()

    def hold(self, gateway: str, devices: Iterable[str], now: Instant) -> None:
        """Hold a gateway and devices heard of for the first time as pending; those known stay as they are."""
        with self.sessions.begin() as session:
            _hold(session, {gateway: devices}, now)

    def accept(self, gateway: str, device: str | None = None) -> None:
        """Put a gateway and its pending devices, or one device of it, to work; :class:`NotFound` if unknown."""
        with self.sessions.begin() as session:
            if device is None:
                _row(session, GatewayTable, gateway, f"gateway {gateway!r}").state = State.ACTIVE
                session.execute(
                    update(DeviceTable)
                    .where(DeviceTable.gateway == gateway, DeviceTable.state == State.PENDING)
                    .values(state=State.ACTIVE)
                )
            else:
                _row(session, DeviceTable, (gateway, device), f"device {gateway}/{device}").state = State.ACTIVE

    def retire(self, gateway: str, device: str | None = None) -> None:
        """Take a gateway, or one device of it, out; what it still sends is stored; :class:`NotFound` if unknown."""
        with self.sessions.begin() as session:
            if device is None:
                _row(session, GatewayTable, gateway, f"gateway {gateway!r}").state = State.RETIRED
            else:
                _row(session, DeviceTable, (gateway, device), f"device {gateway}/{device}").state = State.RETIRED

    def record(
        self,
        held: Mapping[str, Iterable[str]],
        statuses: Mapping[str, tuple[Status, Instant]],
        losses: Iterable[Loss],
        now: Instant,
    ) -> None:
        """Write what one batch of messages tells besides readings, in one transaction.

        Args:
            held: Gateways, and devices of each, heard of for the first time: held as pending (see :meth:`hold`).
            statuses: Last status of each gateway, and when it came.
            losses: New lines of the ledger (see :meth:`book`).
            now: When all this was learnt.
        """
        with self.sessions.begin() as session:
            rows = _hold(session, dict.fromkeys(statuses, ()) | dict(held), now)
            for gateway, (status, moment) in statuses.items():
                _set_status(rows[gateway], status, moment)
            for loss in losses:
                ledger.book(session, loss, now)

    def set_status(self, gateway: str, status: Status, now: Instant) -> None:
        """Keep a gateway's last status; the gateway must be known (:class:`NotFound`)."""
        with self.sessions.begin() as session:
            _set_status(_row(session, GatewayTable, gateway, f"gateway {gateway!r}"), status, now)

    def touch(self, last_seen: Mapping[str, Instant]) -> None:
        """Note when gateways were last heard of."""
        with self.sessions.begin() as session:
            for gateway, moment in last_seen.items():
                session.execute(update(GatewayTable).where(GatewayTable.id == gateway).values(last_seen=moment))

    # Declarations

    def declare(self, areas: Iterable[Area], gateways: Iterable[Gateway], devices: Iterable[Device]) -> None:
        """Write what an operator declared: state, titles, kind, tags and area; what was seen stays as it was.

        Areas must come parents first.
        """
        with self.sessions.begin() as session:
            for area in areas:
                session.merge(AreaTable(id=area.id, parent=area.parent, kind=area.kind, titles=dict(area.titles)))
                session.flush()
            for gateway in gateways:
                session.merge(
                    GatewayTable(id=gateway.id, state=gateway.state, titles=dict(gateway.titles), area=gateway.area)
                )
            session.flush()
            for device in devices:
                session.merge(
                    DeviceTable(
                        gateway=device.gateway,
                        id=device.id,
                        state=device.state,
                        kind=device.kind,
                        titles=dict(device.titles),
                        area=device.area,
                        tags=list(device.tags),
                    )
                )

    # Refusals

    def count_refusals(self, refusals: Iterable[Refusal]) -> None:
        """Add counts to what is known of each (gateway, reason); the newest example stays."""
        with self.sessions.begin() as session:
            for refusal in refusals:
                row = session.get(RefusalTable, (refusal.gateway, refusal.reason))
                if row is None:
                    row = RefusalTable(
                        gateway=refusal.gateway, reason=refusal.reason, count=0, first_at=refusal.first_at
                    )
                    session.add(row)
                row.count += refusal.count
                row.last_at = refusal.last_at
                row.example = refusal.example[:_EXAMPLE_LENGTH]

    def refusals(self, gateway: str | None = None) -> list[Refusal]:
        """Return the counts, of all or one gateway (``""``: topics that name none), newest first."""
        query = select(RefusalTable).order_by(RefusalTable.last_at.desc(), RefusalTable.reason)
        if gateway is not None:
            query = query.where(RefusalTable.gateway == gateway)
        with self.sessions() as session:
            return [
                Refusal(row.gateway, RefusalReason(row.reason), row.count, row.first_at, row.last_at, row.example)
                for row in session.scalars(query)
            ]

    # Loss ledger

    def book(self, losses: Iterable[Loss], now: Instant) -> None:
        """Book losses; booking what is booked already, wholly or in part, books only the rest."""
        with self.sessions.begin() as session:
            for loss in losses:
                ledger.book(session, loss, now)

    def amend(self, gateway: str, epoch: str, seqs: Iterable[tuple[int, int]], now: Instant) -> None:
        """Take ranges of messages that arrived after all out of the ledger."""
        with self.sessions.begin() as session:
            for first, last in seqs:
                ledger.amend(session, gateway, epoch, first, last, now)

    def taken_after_all(self, gateway: str, epoch: str, seq: int, now: Instant) -> None:
        """Take a message out of the ledger that had been refused, and is so no longer."""
        with self.sessions.begin() as session:
            ledger.amend(session, gateway, epoch, seq, seq, now, refused=True)

    def booked(self) -> dict[str, list[tuple[str, int, int]]]:
        """Return by gateway each range ``(epoch, first, last)`` that was lost, refused messages left out."""
        with self.sessions() as session:
            return ledger.booked(session)

    def losses(self, gateway: str | None = None, limit: int = 1_000) -> list[Loss]:
        """Return the ledger, of all or one gateway, newest first."""
        with self.sessions() as session:
            return ledger.entries(session, gateway, limit)


def _row(session: Session, table: type[TableT], key: Any, what: str) -> TableT:
    row = session.get(table, key)
    if row is None:
        raise NotFound(f"the registry knows no {what}; linli-platform registry list prints those it knows")
    return row


def _hold(session: Session, held: Mapping[str, Iterable[str]], now: Instant) -> dict[str, GatewayTable]:
    """Hold what is new as pending; return the rows of the gateways.

    Asked of many at once: after an outage two hundred gateways are back in one commit, and everybody waits for it.
    """
    rows = {row.id: row for some in _portions(held) for row in _where(session, GatewayTable, GatewayTable.id.in_(some))}
    for gateway in held:
        row = rows.get(gateway)
        if row is None:
            row = rows[gateway] = GatewayTable(id=gateway, state=State.PENDING, titles={})
            session.add(row)
        if row.first_seen is None:
            row.first_seen = now
            row.last_seen = now
    session.flush()
    for gateway, devices in held.items():
        wanted = list(dict.fromkeys(devices))
        known = {
            row.id: row
            for some in _portions(wanted)
            for row in _where(session, DeviceTable, DeviceTable.gateway == gateway, DeviceTable.id.in_(some))
        }
        for device in wanted:
            found = known.get(device)
            if found is None:
                found = DeviceTable(gateway=gateway, id=device, state=State.PENDING, kind="", titles={}, tags=[])
                session.add(found)
            if found.first_seen is None:
                found.first_seen = now
    return rows


def _where(session: Session, table: type[TableT], *conditions: ColumnElement[bool]) -> Sequence[TableT]:
    return session.scalars(select(table).where(*conditions)).all()


def _portions(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Split what is asked for at once: a statement takes only so many names."""
    rest = iter(names)
    while some := tuple(islice(rest, _AT_ONCE)):
        yield some


def _set_status(row: GatewayTable, status: Status, now: Instant) -> None:
    row.status = msgspec.to_builtins(status)
    row.status_at = now


def _gateway(row: GatewayTable) -> Gateway:
    return Gateway(
        id=row.id,
        state=State(row.state),
        titles=row.titles,
        area=row.area,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        status=None if row.status is None else msgspec.convert(row.status, Status, str_keys=True),
        status_at=row.status_at,
    )
