"""The live feed's route: server-sent events."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from linli_core.catalogue import Language
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem


def stream_routes(context: ApiContext) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["live"], responses=PROBLEMS)

    @router.get("/live", summary="Readings and alarms as they come", response_class=StreamingResponse)
    async def live(
        lang: Annotated[Language, Query(description="Language of the shown values.")] = "en",
    ) -> StreamingResponse:
        """Stream server-sent events: `readings`, `alarm`, `gateway`, and `resync` when the client must fetch afresh.

        `resync` comes first on every connection, and whenever messages were dropped because the client was slow.
        """
        client = context.live.join(lang)
        if client is None:
            found = f"{context.live.limit} clients listen already"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-clients", found=found, remedy="try again later")
        return StreamingResponse(
            context.live.stream(client), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return router
