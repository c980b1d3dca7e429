"""Routes about messages that could not be stored."""

import asyncio
import base64
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from linli_core.errors import Refused
from linli_core.instant import to_rfc3339
from linli_platform.api import models
from linli_platform.api.community import IdFilter
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.ingest.replay import explained
from linli_platform.store import Quarantined

Number = Annotated[int, Path(ge=1, le=2**62, description="The message's number in the quarantine.")]


def quarantine_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/quarantine", tags=["platform"], responses=PROBLEMS)

    @router.get("", summary="Messages that could not be stored, newest first")
    async def quarantine(
        gateway: IdFilter = "", limit: Annotated[int, Query(ge=1, le=1_000)] = 100
    ) -> list[models.QuarantinedMessage]:
        """Return what is set aside, without the messages themselves."""
        found = await asyncio.to_thread(context.store.quarantine, gateway=gateway or None, limit=limit)
        return [models.QuarantinedMessage.model_validate(_described(item)) for item in found]

    @router.get("/{number}", summary="One of them, whole")
    async def one(number: Number) -> models.QuarantinedPayload:
        """Return a message as it came."""
        item = await _find(context, number)
        payload = base64.b64encode(item.payload).decode()
        return models.QuarantinedPayload.model_validate({**_described(item), "payload": payload})

    @router.post("/{number}/replay", summary="Try one again by today's rules")
    async def replay(number: Number) -> models.Replayed:
        """Store what can be stored of it; it leaves quarantine and ledger when nothing of it is refused any more."""
        item = await _find(context, number)
        if context.replay is None:
            raise Problem(HTTPStatus.CONFLICT, "no-ingest", found="nothing here takes messages", remedy="")
        try:
            done = await context.replay(item)
        except Refused as refused:
            return models.Replayed(readings=0, known=0, events=0, refused=[explained(refused)])
        return models.Replayed(readings=done.readings, known=done.known, events=done.events, refused=list(done.refused))

    @router.delete("/{number}", status_code=HTTPStatus.NO_CONTENT, summary="Let one go")
    async def discard(number: Number) -> None:
        """Remove it; its line in the loss ledger stays."""
        if not await asyncio.to_thread(context.store.discard, number):
            raise _unknown(number)

    return router


async def _find(context: ApiContext, number: int) -> Quarantined:
    found = await asyncio.to_thread(context.store.quarantine, number=number)
    if not found:
        raise _unknown(number)
    return found[0]


def _unknown(number: int) -> Problem:
    found = f"no message {number} is in the quarantine"
    return Problem(
        HTTPStatus.NOT_FOUND, "unknown-message", where="number", found=found, remedy="see /api/v1/quarantine"
    )


def _described(item: Quarantined) -> dict[str, object]:
    return {
        "number": item.number,
        "gateway": item.gateway,
        "epoch": item.epoch,
        "seq": item.seq,
        "reason": item.reason,
        "size": len(item.payload),
        "received_at": to_rfc3339(item.received_at),
    }
