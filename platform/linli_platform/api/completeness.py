"""The route of completeness: what should have come of each point and day, and what came."""

import asyncio
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from linli_core.instant import to_rfc3339
from linli_platform.api import models
from linli_platform.api.community import IdFilter, Limit, select_series
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.readings import MOST_POINTS, find_series
from linli_platform.days import bounds, day_of

_WEEK = timedelta(days=6)


def completeness_routes(context: ApiContext) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["readings"], responses=PROBLEMS)

    @router.get("/completeness", summary="How complete each point's days are")
    async def completeness(
        gateway: IdFilter = "",
        device: IdFilter = "",
        point: Annotated[list[str] | None, Query(max_length=MOST_POINTS, description="Only these points.")] = None,
        first: Annotated[date | None, Query(alias="from", description="A day; a week back if left out.")] = None,
        last: Annotated[date | None, Query(alias="to", description="The last day; today if left out.")] = None,
        limit: Limit = 1_000,
    ) -> list[models.CompleteDay]:
        """Return a line for each point and day, by point. Counted every five minutes, again when late readings come."""
        zone = context.zone
        end = last or day_of(context.clock(), zone)
        start = first or end - min(_WEEK, end - date.min)
        if start > end:
            found = f"{start} is after {end}"
            raise Problem(422, "bad-range", where="from", found=found, remedy="write the earlier day in 'from'")

        def ask() -> list[models.CompleteDay]:
            chosen = (
                [find_series(context, name) for name in point] if point else select_series(context, gateway, device)
            )
            names = {series.id: f"{series.gateway}/{series.name}" for series in chosen}
            rows = context.store.completeness(names, bounds(start, zone)[0], bounds(end, zone)[1])
            return [
                models.CompleteDay(
                    point=names[row.series],
                    day=day_of(row.day, zone),
                    start=to_rfc3339(row.day),
                    expected=row.completeness.expected,
                    received=row.completeness.received,
                    good=row.completeness.good,
                    late=row.completeness.late,
                    missing=row.completeness.missing,
                    share=row.completeness.share,
                    computed_at=to_rfc3339(row.computed),
                )
                for row in rows[:limit]
            ]

        return await asyncio.to_thread(ask)

    return router
