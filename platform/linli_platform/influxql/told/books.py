"""``account`` and ``loss``: where every reading went, by gateway and day, and what never came.

A book's days are UTC's: gateway and platform have to count a message to one day, whatever zone either is set to. On
boards each stands where the community's day of the same date begins, as everything does that is told by the day.
"""

from collections.abc import Iterator
from datetime import date, timedelta, tzinfo
from typing import Final

from linli_core.instant import Instant
from linli_core.log.account import EARLIER
from linli_platform.days import bounds
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table

_FIRST: Final = date(1970, 1, 1)
_MOST_LOSSES: Final = 1_000_000
_COUNTS: Final = (
    "accepted",
    "evicted",
    "filtered",
    "later",
    "logged",
    "polled",
    "refused",
    "refused_by_log",
    "under_way",
    "unexplained",
)


def _accounts(known: Known) -> Iterator[Row]:
    if known.balances is None:
        return
    found = known.balances(known.registry.losses(limit=_MOST_LOSSES), None)
    for gateway, balances in sorted(found.items()):
        if not known.sees(gateway, ""):
            continue
        for balance in balances:
            # All days together, and those before the days kept apart, are at no instant.
            if balance.day is not None and balance.day != EARLIER:
                values = {name: getattr(balance, name) for name in _COUNTS}
                yield Row(_begin(balance.day, known.zone), known.places.tags(gateway), values)


def _begin(day: int, zone: tzinfo) -> Instant:
    """Return when the community's day of the same date begins."""
    return bounds(_FIRST + timedelta(days=day), zone)[0]


def _losses(known: Known) -> Iterator[Row]:
    for loss in known.registry.losses(limit=_MOST_LOSSES):
        if known.sees(loss.gateway, ""):
            yield Row(
                loss.booked_at,
                known.places.tags(loss.gateway) | {"cause": loss.cause},
                {
                    "epoch": loss.epoch,
                    "messages": loss.last - loss.first + 1,
                    "observed_from": None if loss.observed_from is None else loss.observed_from // 1000,
                    "observed_to": None if loss.observed_to is None else loss.observed_to // 1000,
                    "readings": loss.readings,
                },
            )


ACCOUNTS: Final = Table("account", dict.fromkeys(_COUNTS, Kind.INTEGER), _accounts)
LOSSES: Final = Table(
    "loss",
    {
        "epoch": Kind.STRING,
        "messages": Kind.INTEGER,
        "observed_from": Kind.INTEGER,
        "observed_to": Kind.INTEGER,
        "readings": Kind.INTEGER,
    },
    _losses,
)
