"""Routes about what stood on registers at billing boundaries, and about meters that were exchanged."""

import asyncio
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from linli_core.instant import DAY, Instant, from_rfc3339, to_rfc3339
from linli_platform.api import models
from linli_platform.api.community import IdFilter, Limit
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS
from linli_platform.api.times import parse_time
from linli_platform.store import EventRow

BILLING: Final = "linli.billing"
REGISTERS: Final = "linli.register."
SWAPPED: Final = "linli.device.swapped"

_LOOK_BACK: Final = DAY
"""Events are told after the boundary they are of, by a gateway that was off much later."""
_EVENTS: Final = 10_000

Start = Annotated[str, Query(alias="from", max_length=40, description="RFC 3339, or back from now: `-24h`.")]
End = Annotated[str, Query(alias="to", max_length=40, description="RFC 3339, or `now`.")]


def billing_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["readings"], responses=PROBLEMS)

    @router.get("/billing", summary="What stood on registers at billing boundaries")
    async def billing(
        gateway: IdFilter = "", device: IdFilter = "", start: Start = "-24h", end: End = "now", limit: Limit = 1_000
    ) -> list[models.BillingReading]:
        """Return a line for each register and boundary, newest boundary first: exact, late by so much, or missing."""
        now = context.clock()
        first, last = parse_time(start, now, "from"), parse_time(end, now, "to")
        rows = await asyncio.to_thread(
            context.store.events,
            first,
            now + _LOOK_BACK,
            gateways=[gateway] if gateway else None,
            types=[BILLING],
            limit=_EVENTS,
        )
        lines = [line for row in rows for line in _lines(row, first, last, device)]
        lines.sort(key=lambda line: (line.boundary, line.gateway, line.point), reverse=True)
        return lines[:limit]

    @router.get("/registers", summary="What became of registers: rollovers, resets, dips, unit jumps, swaps")
    async def registers(
        gateway: IdFilter = "", device: IdFilter = "", start: Start = "-30d", end: End = "now", limit: Limit = 1_000
    ) -> list[models.RegisterEvent]:
        """Return what gateways told of cumulative registers, newest first."""
        now = context.clock()
        first, last = parse_time(start, now, "from"), parse_time(end, now, "to")
        of = [gateway] if gateway else None
        types = REGISTERS, SWAPPED
        rows = await asyncio.to_thread(context.store.events, first, last, gateways=of, types=types, limit=_EVENTS)
        return [
            models.RegisterEvent(
                gateway=row.gateway,
                device=row.subject,
                kind=row.type.removeprefix(REGISTERS).removeprefix("linli.device."),
                at=to_rfc3339(row.time),
                data=json.loads(row.body),
            )
            for row in rows
            if device in {"", row.subject}
        ][:limit]

    return router


def _lines(row: EventRow, first: Instant, last: Instant, device: str) -> list[models.BillingReading]:
    """Return the lines of one event that were asked for; an event that is not as it should be has none."""
    data: Any = json.loads(row.body)
    try:
        boundary = str(data["boundary"])
        if not first <= from_rfc3339(boundary) < last:
            return []
        return [
            models.BillingReading(
                gateway=row.gateway,
                point=str(item["n"]),
                boundary=boundary,
                mark=item["mark"],
                value=item.get("v"),
                late_s=item.get("late_s"),
                why=item.get("why"),
            )
            for item in data["registers"]
            if not device or str(item["n"]).partition("/")[0] == device
        ]
    except (KeyError, TypeError, ValueError):
        return []
