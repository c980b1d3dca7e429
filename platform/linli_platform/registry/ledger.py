"""The loss ledger's book-keeping: each lost message is in exactly one entry, however often it is reported."""

from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from linli_core.instant import Instant
from linli_platform.registry.models import LossTable
from linli_platform.registry.rows import Loss

REFUSED: Final = "refused:"
"""Begins the cause of a message that arrived and could not be taken, wholly or in part."""


def book(session: Session, loss: Loss, now: Instant) -> None:
    """Book what of a loss is not booked yet.

    A message that came and was refused is one thing, one that did not come another: neither hides the other.
    A gateway reports an eviction until the platform's ``ack`` covers it, and the range may have grown in between; an
    entry that the report contains, of the same cause, grows with it, others keep what they hold.
    """
    overlapping = session.scalars(
        select(LossTable)
        .where(
            LossTable.gateway == loss.gateway,
            LossTable.epoch == loss.epoch,
            LossTable.first <= loss.last,
            LossTable.last >= loss.first,
            _is_refused() if loss.cause.startswith(REFUSED) else ~_is_refused(),
        )
        .order_by(LossTable.first)
    ).all()
    for row in overlapping:
        same = row.cause == loss.cause and loss.first <= row.first and row.last <= loss.last
        if same and len(overlapping) == 1:
            if (row.first, row.last) != (loss.first, loss.last):
                row.first, row.last = loss.first, loss.last
                row.observed_from, row.observed_to = loss.observed_from, loss.observed_to
                row.readings = loss.readings
                row.amended_at = now
            return
    first = loss.first
    whole = not overlapping
    for row in overlapping:
        if first < row.first:
            session.add(_entry(loss, first, row.first - 1, now, whole=False))
        first = max(first, row.last + 1)
    if first <= loss.last:
        session.add(_entry(loss, first, loss.last, now, whole=whole))
    session.flush()


def amend(
    session: Session, gateway: str, epoch: str, first: int, last: int, now: Instant, *, refused: bool = False
) -> None:
    """Shorten, split or strike the entries that hold ``first … last``: these messages arrived after all.

    Args:
        session: Of the database.
        gateway: Whose messages.
        epoch: Of which log.
        first: The first of them.
        last: The last of them.
        now: When that became known.
        refused: They had arrived, and are no longer refused.
    """
    overlapping = session.scalars(
        select(LossTable).where(
            LossTable.gateway == gateway,
            LossTable.epoch == epoch,
            LossTable.first <= last,
            LossTable.last >= first,
            _is_refused() if refused else ~_is_refused(),
        )
    ).all()
    for row in overlapping:
        kept = [(row.first, first - 1), (last + 1, row.last)]
        for low, high in kept:
            if low <= high:
                session.add(
                    LossTable(
                        gateway=gateway,
                        epoch=epoch,
                        first=low,
                        last=high,
                        cause=row.cause,
                        observed_from=row.observed_from,
                        observed_to=row.observed_to,
                        readings=None,  # no longer known: the report counted them together
                        booked_at=row.booked_at,
                        amended_at=now,
                    )
                )
        session.delete(row)
    session.flush()


def entries(session: Session, gateway: str | None, limit: int) -> list[Loss]:
    """Return entries, newest first."""
    query = select(LossTable).order_by(LossTable.booked_at.desc(), LossTable.id.desc()).limit(limit)
    if gateway is not None:
        query = query.where(LossTable.gateway == gateway)
    return [
        Loss(
            gateway=row.gateway,
            epoch=row.epoch,
            first=row.first,
            last=row.last,
            cause=row.cause,
            observed_from=row.observed_from,
            observed_to=row.observed_to,
            readings=row.readings,
            booked_at=row.booked_at,
            amended_at=row.amended_at,
        )
        for row in session.scalars(query)
    ]


def booked(session: Session) -> dict[str, list[tuple[str, int, int]]]:
    """Return the ranges that never arrived, by gateway. A refused message did arrive, so it is not among them."""
    query = select(LossTable.gateway, LossTable.epoch, LossTable.first, LossTable.last).where(~_is_refused())
    ranges: dict[str, list[tuple[str, int, int]]] = {}
    for gateway, epoch, first, last in session.execute(query):
        ranges.setdefault(gateway, []).append((epoch, first, last))
    return ranges


def _is_refused() -> ColumnElement[bool]:
    return LossTable.cause.startswith(REFUSED)


def _entry(loss: Loss, first: int, last: int, now: Instant, *, whole: bool) -> LossTable:
    return LossTable(
        gateway=loss.gateway,
        epoch=loss.epoch,
        first=first,
        last=last,
        cause=loss.cause,
        observed_from=loss.observed_from,
        observed_to=loss.observed_to,
        readings=loss.readings if whole else None,
        booked_at=now,
    )
