"""Who works on a set of shards: a lease that one holder has at a time, in the relational database.

No wall clock decides. A holder lets a number grow; who wants its place watches the number by a steady clock of its own
and takes over once it stood still for long enough (:class:`Vigil`). A holder that slept through that does not know: so
each holder has a term one higher than the one before, and the store refuses commits under an older term
(:meth:`linli_platform.store.Store.fence`). The lease keeps two from working at once; the fence keeps two from writing.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from linli_core.errors import LinliError
from linli_platform.registry.models import LeaseTable

NOBODY: Final = ""


class LeaseLost(LinliError):
    """Another worker has, or has got, the shards."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it stands in the database.

    Attributes:
        name: Of what: a set of shards.
        holder: Who has it; empty if it was given back.
        term: Grows by at least one with each holder.
        beat: Grows while the holder lives.
    """

    name: str
    holder: str
    term: int
    beat: int


class Vigil:
    """Watches a holder for signs of life.

    Args:
        patience_s: Seconds without one after which it counts as dead.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._seen: Lease | None = None
        self._since = 0.0

    def is_free(self, lease: Lease | None, now: float) -> bool:
        """Tell whether a lease that stands like this at ``now`` (steady seconds) may be taken over."""
        if lease is None or lease.holder == NOBODY:
            return True
        if lease != self._seen:
            self._seen, self._since = lease, now
        return now - self._since >= self._patience_s


class Leases:
    """The leases of one database. Every call is one short transaction and blocks."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def look(self, name: str) -> Lease | None:
        """Return a lease, if anybody ever had it."""
        with self._sessions() as session:
            row = session.get(LeaseTable, name)
            return None if row is None else Lease(row.name, row.holder, row.term, row.beat)

    def take(self, name: str, holder: str, *, seen: Lease | None, above: int = 0) -> Lease:
        """Take a lease over.

        Args:
            name: Of what.
            holder: Who takes it.
            seen: How it stood when it was found to be free.
            above: The new term is higher than this, whatever the database remembers: the store may remember more.

        Raises:
            LeaseLost: Its holder gave a sign of life, or another was quicker.
        """
        term = max(above, seen.term if seen else 0) + 1
        try:
            with self._sessions.begin() as session:
                if seen is None:
                    session.add(LeaseTable(name=name, holder=holder, term=term, beat=0))
                    session.flush()
                else:
                    self._change(session, seen, holder=holder, term=term, beat=0)
        except IntegrityError as exc:
            raise LeaseLost(f"{name}: another worker was quicker") from exc
        return Lease(name, holder, term, 0)

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life; :class:`LeaseLost` if another has the lease by now."""
        with self._sessions.begin() as session:
            self._change(session, lease, beat=lease.beat + 1)
        return Lease(lease.name, lease.holder, lease.term, lease.beat + 1)

    def give_back(self, lease: Lease) -> None:
        """Let the next one take it at once; nothing happens if it is another's already."""
        with self._sessions.begin() as session:
            session.execute(
                update(LeaseTable)
                .where(LeaseTable.name == lease.name, LeaseTable.term == lease.term)
                .values(holder=NOBODY)
            )

    def _change(self, session: Session, seen: Lease, **values: object) -> None:
        changed = session.scalars(
            update(LeaseTable)
            .where(
                LeaseTable.name == seen.name,
                LeaseTable.holder == seen.holder,
                LeaseTable.term == seen.term,
                LeaseTable.beat == seen.beat,
            )
            .values(**values)
            .returning(LeaseTable.name)
        ).all()
        if not changed:
            holder = session.scalar(select(LeaseTable.holder).where(LeaseTable.name == seen.name))
            raise LeaseLost(f"{seen.name}: held by {holder or 'nobody'} now")
