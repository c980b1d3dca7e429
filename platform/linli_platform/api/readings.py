"""Routes about readings: newest ones, stretches, counts, the loss ledger."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from linli_core.alarm import Event
from linli_core.instant import to_rfc3339
from linli_platform.api import answers, models
from linli_platform.api.community import IdFilter, Limit, Offset, select_series
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.quantities import facts
from linli_platform.api.times import parse_step, parse_time
from linli_platform.store import Aggregate, SeriesInfo, rollup

MOST_POINTS: Final = 100

PointNames = Annotated[
    list[str],
    Query(
        min_length=1,
        max_length=MOST_POINTS,
        description="`gateway/device/quantity[.qualifier…]`; give it again for more points.",
        examples=[["gw-electric/meter-1/voltage.l1"]],
    ),
]
TimeText = Annotated[str, Query(max_length=40, description="RFC 3339, or back from now: `-24h`, `-15min`, `now`.")]
StepText = Annotated[
    str, Query(max_length=12, description="Length of a step: `30s`, `15min`, `1h`, `1d`. Empty for raw.")
]


def find_series(context: ApiContext, point: str) -> SeriesInfo:
    """Return the series of a full point name; raise :class:`Problem` if there is none."""
    gateway, _, name = point.partition("/")
    series = context.store.find(gateway, name)
    if series is None:
        found = f"no point is called {point[:200]!r}"
        raise Problem(HTTPStatus.NOT_FOUND, "unknown-point", where="point", found=found, remedy="see /api/v1/points")
    return series


def reading_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    routes = _Routes(context)
    router = APIRouter(responses=PROBLEMS)
    for path, endpoint, tag, summary in (
        ("/latest", routes.latest, "readings", "Newest readings, plainly"),
        ("/series", routes.series, "readings", "Readings of one or more points over a time"),
        ("/losses", routes.losses, "audit", "The loss ledger"),
        ("/counts", routes.counts, "audit", "Totals, for audits"),
    ):
        router.add_api_route(path, endpoint, tags=[tag], summary=summary)
    return router


class _Routes:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def latest(
        self,
        point: Annotated[list[str] | None, Query(max_length=MOST_POINTS, description="Only these points.")] = None,
        gateway: IdFilter = "",
        device: IdFilter = "",
        limit: Limit = 1_000,
        offset: Offset = 0,
    ) -> dict[str, models.Latest]:
        """Return the newest reading by observation time, by full point name; points never read are left out."""

        def ask() -> dict[str, models.Latest]:
            if point:
                chosen = [find_series(self._context, name) for name in point]
            else:
                chosen = select_series(self._context, gateway, device)[offset : offset + limit]
            now = self._context.clock()
            return {
                f"{row.series.gateway}/{row.series.name}": answers.latest(row, now)
                for row in self._context.store.latest([series.id for series in chosen])
            }

        return await asyncio.to_thread(ask)

    async def series(
        self,
        point: PointNames,
        start: Annotated[TimeText, Query(alias="from")] = "-1h",
        end: Annotated[TimeText, Query(alias="to")] = "now",
        step: StepText = "",
        aggregate: Annotated[Aggregate | None, Query(description="What becomes of a step; `mean` by default.")] = None,
        limit: Annotated[int, Query(ge=1, le=100_000, description="Most rows of each point.")] = 10_000,
    ) -> list[models.Series]:
        """Return readings with `from` ≤ time < `to`, raw or by steps aligned to the epoch. BAD ones never count."""
        now = self._context.clock()
        first, last = parse_time(start, now, "from"), parse_time(end, now, "to")
        length = parse_step(step, "step") if step else None
        if first > last:
            found = f"{to_rfc3339(first)} is after {to_rfc3339(last)}"
            raise Problem(422, "bad-range", where="from", found=found, remedy="write the earlier time in 'from'")
        if aggregate is not None and length is None:
            raise Problem(422, "bad-step", where="aggregate", found="no step", remedy="give a step, such as 15min")
        # What was read at this very instant belongs to "until now".
        until = last + 1 if end.strip() == "now" else last

        def ask() -> list[models.Series]:
            stretches = []
            for name in point:
                info = find_series(self._context, name)
                rows = self._context.store.read(
                    info.id, first, until, step=length, aggregate=aggregate, limit=limit + 1
                )
                stretches.append(
                    models.Series(
                        point=name,
                        quantity=info.quantity,
                        unit=facts(info.quantity).unit,
                        start=to_rfc3339(first),
                        end=to_rfc3339(last),
                        step=step or None,
                        aggregate=None if length is None else (aggregate or Aggregate.MEAN).value,
                        truncated=len(rows) > limit,
                        rollups=[rollup.NAMES[used] for used in sorted({row.rollup for row in rows[:limit]} - {0})],
                        rows=[answers.series_row(row) for row in rows[:limit]],
                    )
                )
            return stretches

        return await asyncio.to_thread(ask)

    async def losses(self, gateway: IdFilter = "", limit: Limit = 1_000) -> list[models.Loss]:
        """Return every range of messages that never reached the store, newest first, with its cause."""
        rows = await asyncio.to_thread(self._context.registry.losses, gateway or None, limit)
        return [answers.loss(row) for row in rows]

    async def counts(self) -> models.Counts:
        """Return totals; counting distinct readings scans the store and may take a second per ten million."""

        def ask() -> tuple[int, int, int, int]:
            lost = sum(row.last - row.first + 1 for row in self._context.registry.losses(None, 1_000_000))
            store = self._context.store
            return store.count(), store.count_distinct(), len(store.all_series()), lost

        readings, distinct, series_count, lost = await asyncio.to_thread(ask)
        await self._context.alarms.settled()
        totals = await self._context.alarms.totals()
        return models.Counts(
            readings=readings,
            distinct=distinct,
            series=series_count,
            lost_messages=lost,
            alarms_raised=totals.get(Event.RAISE, 0),
            alarms_cleared=totals.get(Event.RETURN, 0) + totals.get(Event.RETURN_LATCHED, 0),
            alarms_acknowledged=totals.get(Event.ACKNOWLEDGE, 0),
        )
