"""The route of accounts: each gateway's book of readings, and the platform's, held against each other."""

import asyncio
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query

from linli_core.log.account import EARLIER, Balance
from linli_platform.api import models
from linli_platform.api.community import IdFilter
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS

_MOST_LOSSES: Final = 1_000_000
_EPOCH: Final = date(1970, 1, 1)


def account_routes(context: ApiContext) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["platform"], responses=PROBLEMS)

    @router.get("/accounts", summary="Where every reading went, by gateway and day")
    async def accounts(
        gateway: IdFilter = "",
        day: Annotated[date | None, Query(description="A UTC day. All, and their sum, if left out.")] = None,
    ) -> list[models.GatewayAccount]:
        """Hold the books against each other, to the reading. A gateway of before accounts is not listed.

        A reading belongs to the UTC day of the oldest reading in its message. `unexplained` is what no line accounts
        for: it is 0, or something is wrong.
        """
        if context.balances is None:
            return []
        losses = await asyncio.to_thread(context.registry.losses, gateway or None, _MOST_LOSSES)
        number = None if day is None else (day - _EPOCH).days
        return [
            models.GatewayAccount(gateway=name, lines=[_line(balance) for balance in balances])
            for name, balances in sorted(context.balances(losses, number).items())
            if not gateway or name == gateway
        ]

    return router


def _line(balance: Balance) -> models.AccountLine:
    return models.AccountLine(
        day=_shown(balance.day),
        polled=balance.polled,
        filtered=balance.filtered,
        refused_by_log=balance.refused_by_log,
        logged=balance.logged,
        accepted=balance.accepted,
        refused=balance.refused,
        refused_by=dict(balance.reasons),
        evicted=balance.evicted,
        evicted_by=dict(balance.causes),
        evicted_uncounted=balance.uncounted,
        under_way=balance.under_way,
        messages_under_way=balance.messages_under_way,
        later=balance.later,
        unexplained=balance.unexplained,
    )


def _shown(day: int | None) -> str:
    if day is None:
        return "all"
    return "earlier" if day == EARLIER else (_EPOCH + timedelta(days=day)).isoformat()
