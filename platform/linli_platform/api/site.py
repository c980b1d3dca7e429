"""Routes about the community's things: health, gateways, devices, points."""

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from linli_core.instant import to_rfc3339
from linli_platform.alarms import Filter
from linli_platform.api import answers, models
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
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


def site_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(responses=PROBLEMS)

    @router.get("/health", tags=["platform"], summary="How the platform fares")
    async def health() -> models.Health:
        """Return the state of the platform and of each of its parts; the status is 200 as long as it can answer."""
        parts = {
            name: models.PartHealth(state=part.state, detail=part.detail) for name, part in context.parts().items()
        }
        worst = max((part.state for part in parts.values()), key=_ORDER.index, default="ok")
        return models.Health(
            state=worst,
            version=context.version,
            time=to_rfc3339(context.clock()),
            parts=parts,
            open_alarms=len(await context.alarms.find(Filter(active=True), 10_000)),
            live_clients=context.live.clients,
        )

    @router.get("/gateways", tags=["gateways"], summary="Every gateway")
    async def gateways() -> list[models.Gateway]:
        """Return every gateway, those pending too."""

        def ask() -> list[models.Gateway]:
            devices = Counter(device.gateway for device in context.registry.devices())
            refused: Counter[str] = Counter()
            for refusal in context.registry.refusals():
                refused[refusal.gateway] += refusal.count
            return [answers.gateway(row, devices[row.id], refused[row.id]) for row in context.registry.gateways()]

        return await asyncio.to_thread(ask)

    @router.get("/gateways/{gateway}", tags=["gateways"], summary="One gateway")
    async def gateway_detail(gateway: IdPath) -> models.GatewayDetail:
        """Return one gateway with its refusals by reason and its part of the loss ledger."""
        return await asyncio.to_thread(_gateway_detail, context, gateway)

    @router.post("/gateways/{gateway}/accept", tags=["gateways"], summary="Put a pending gateway to work")
    async def accept(gateway: IdPath) -> models.GatewayDetail:
        """Accept a gateway and its pending devices."""
        try:
            await asyncio.to_thread(context.registry.accept, gateway)
        except NotFound:
            raise unknown_gateway(gateway) from None
        context.live.on_gateway(gateway)
        return await asyncio.to_thread(_gateway_detail, context, gateway)

    @router.get("/devices", tags=["devices"], summary="Every device")
    async def devices(gateway: IdFilter = "") -> list[models.Device]:
        """Return devices by gateway and id."""

        def ask() -> list[models.Device]:
            points = Counter((series.gateway, series.device) for series in context.store.all_series())
            rows = context.registry.devices(gateway or None)
            return [answers.device(row, points[row.gateway, row.id]) for row in rows]

        return await asyncio.to_thread(ask)

    @router.get("/points", tags=["readings"], summary="Points with their newest reading")
    async def points(
        gateway: IdFilter = "",
        device: IdFilter = "",
        quantity: IdFilter = "",
        limit: Limit = 1_000,
        offset: Offset = 0,
    ) -> list[models.Point]:
        """Return points by gateway and name, each with titles, unit and newest reading."""

        def ask() -> list[models.Point]:
            chosen = select_series(context, gateway, device, quantity)[offset : offset + limit]
            newest = {row.series.id: row for row in context.store.latest([series.id for series in chosen])}
            now = context.clock()
            return [answers.point(series, newest.get(series.id), now) for series in chosen]

        return await asyncio.to_thread(ask)

    return router


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
