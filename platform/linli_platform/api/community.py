"""Routes about the community's things: health, gateways, devices, points."""

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from linli_core.instant import to_datetime, to_rfc3339
from linli_platform.alarms import Filter
from linli_platform.api import answers, models
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.days import zone_name
from linli_platform.registry import NotFound
from linli_platform.store import SeriesInfo

IdPath = Annotated[str, Path(max_length=63, description="Lower-case letters, digits and hyphens.")]
IdFilter = Annotated[str, Query(max_length=63, description="Only this one.")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Most rows.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Rows to pass over.")]

_ORDER: Final = ("ok", "degraded", "down")


def unknown_gateway(gateway: str) -> Problem:
    """Return the problem of a gateway that is not in the registry."""
    found = f"no gateway is called {gateway[:80]!r}"
    return Problem(HTTPStatus.NOT_FOUND, "unknown-gateway", where="gateway", found=found, remedy="see /api/v1/gateways")


def select_series(context: ApiContext, gateway: str = "", device: str = "", quantity: str = "") -> list[SeriesInfo]:
    """Return the series that match every filter that is not empty, by gateway and name."""
    chosen = [
        series
        for series in context.store.all_series()
        if (not gateway or series.gateway == gateway)
        and (not device or series.device == device)
        and (not quantity or series.quantity == quantity)
    ]
    return sorted(chosen, key=lambda series: (series.gateway, series.name))


def community_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    routes = _Routes(context)
    router = APIRouter(responses=PROBLEMS)
    for path, endpoint, tag, summary in (
        ("/health", routes.health, "platform", "How the platform fares"),
        ("/areas", routes.areas, "platform", "The tree of areas"),
        ("/gateways", routes.gateways, "gateways", "Every gateway"),
        ("/gateways/{gateway}", routes.gateway, "gateways", "One gateway"),
        ("/devices", routes.devices, "devices", "Every device"),
        ("/points", routes.points, "readings", "Points with their newest reading"),
    ):
        router.add_api_route(path, endpoint, tags=[tag], summary=summary)
    router.add_api_route(
        "/gateways/{gateway}/accept",
        routes.accept,
        methods=["POST"],
        tags=["gateways"],
        summary="Put a pending gateway to work",
    )
    return router


class _Routes:
    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def health(self) -> models.Health:
        """Return the state of the platform and of each of its parts; the status is 200 as long as it can answer."""
        parts = {
            name: models.PartHealth(state=part.state, detail=part.detail)
            for name, part in self._context.parts().items()
        }
        now = self._context.clock()
        offset = to_datetime(now).astimezone(self._context.zone).utcoffset()
        worst = max((part.state for part in parts.values()), key=_ORDER.index, default="ok")
        return models.Health(
            state=worst,
            version=self._context.version,
            time=to_rfc3339(now),
            zone=zone_name(self._context.zone),
            utc_offset=round(offset.total_seconds()) if offset else 0,
            parts=parts,
            open_alarms=len(await self._context.alarms.find(Filter(active=True), 10_000)),
            live_clients=self._context.live.clients,
        )

    async def areas(self) -> list[models.Area]:
        """Return every area: communities, buildings, dwellings, and what lies around them."""
        areas = await asyncio.to_thread(self._context.registry.areas)
        return [
            models.Area(id=row.id, parent=row.parent, kind=row.kind, titles=answers.titles(row.titles)) for row in areas
        ]

    async def gateways(self) -> list[models.Gateway]:
        """Return every gateway, those pending too."""

        def ask() -> list[models.Gateway]:
            devices = Counter(device.gateway for device in self._context.registry.devices())
            refused: Counter[str] = Counter()
            for refusal in self._context.registry.refusals():
                refused[refusal.gateway] += refusal.count
            return [answers.gateway(row, devices[row.id], refused[row.id]) for row in self._context.registry.gateways()]

        return await asyncio.to_thread(ask)

    async def gateway(self, gateway: IdPath) -> models.GatewayDetail:
        """Return one gateway with its refusals by reason and its part of the loss ledger."""
        return await asyncio.to_thread(_gateway_detail, self._context, gateway)

    async def accept(self, gateway: IdPath) -> models.GatewayDetail:
        """Accept a gateway and its pending devices."""
        try:
            await asyncio.to_thread(self._context.registry.accept, gateway)
        except NotFound:
            raise unknown_gateway(gateway) from None
        self._context.live.on_gateway(gateway)
        return await asyncio.to_thread(_gateway_detail, self._context, gateway)

    async def devices(self, gateway: IdFilter = "") -> list[models.Device]:
        """Return devices by gateway and id."""

        def ask() -> list[models.Device]:
            points = Counter((series.gateway, series.device) for series in self._context.store.all_series())
            rows = self._context.registry.devices(gateway or None)
            return [answers.device(row, points[row.gateway, row.id]) for row in rows]

        return await asyncio.to_thread(ask)

    async def points(
        self,
        gateway: IdFilter = "",
        device: IdFilter = "",
        quantity: IdFilter = "",
        limit: Limit = 1_000,
        offset: Offset = 0,
    ) -> list[models.Point]:
        """Return points by gateway and name, each with titles, unit and newest reading."""

        def ask() -> list[models.Point]:
            chosen = select_series(self._context, gateway, device, quantity)[offset : offset + limit]
            newest = {row.series.id: row for row in self._context.store.latest([series.id for series in chosen])}
            now = self._context.clock()
            return [answers.point(series, newest.get(series.id), now) for series in chosen]

        return await asyncio.to_thread(ask)


def _gateway_detail(context: ApiContext, gateway: str) -> models.GatewayDetail:
    row = context.registry.gateway(gateway)
    if row is None:
        raise unknown_gateway(gateway)
    refusals = context.registry.refusals(gateway)
    plain = answers.gateway(row, len(context.registry.devices(gateway)), sum(item.count for item in refusals))
    return models.GatewayDetail(
        **plain.model_dump(),
        refusals=[answers.refusal(item) for item in refusals],
        losses=[answers.loss(item) for item in context.registry.losses(gateway)],
    )
