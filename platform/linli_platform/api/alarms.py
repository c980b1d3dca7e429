"""Routes about alarms."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from linli_core.alarm import Category, Priority
from linli_platform.alarms import ActionMissing, AlarmRow, Filter, NoSuchAlarm, NothingToAcknowledge
from linli_platform.api import answers, models
from linli_platform.api.community import IdFilter
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.times import parse_time

AlarmId = Annotated[int, Path(ge=1, le=2**62, description="The alarm's number.")]


def unknown_alarm(alarm: int) -> Problem:
    """Return the problem of a number that no alarm has."""
    found = f"there is no alarm {alarm}"
    return Problem(HTTPStatus.NOT_FOUND, "unknown-alarm", where="alarm", found=found, remedy="see /api/v1/alarms")


async def acknowledge_alarm(context: ApiContext, alarm: int, *, actor: str, comment: str) -> AlarmRow:
    """Acknowledge an alarm; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.acknowledge(alarm, actor=actor, comment=comment)
    except NoSuchAlarm:
        raise unknown_alarm(alarm) from None
    except ActionMissing as exc:
        remedy = "say in comment what was done"
        raise Problem(422, "action-missing", where="comment", found=str(exc), remedy=remedy) from None
    except NothingToAcknowledge as exc:
        remedy = "fetch the alarm again: somebody was faster"
        raise Problem(HTTPStatus.CONFLICT, "nothing-to-acknowledge", found=str(exc), remedy=remedy) from None


def alarm_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/alarms", tags=["alarms"], responses=PROBLEMS)

    @router.get("", summary="Alarms, newest first")
    async def alarms(
        *,
        active: Annotated[bool | None, Query(description="True: not settled yet. False: settled.")] = None,
        category: Category | None = None,
        priority: Priority | None = None,
        gateway: IdFilter = "",
        device: IdFilter = "",
        since: Annotated[str, Query(max_length=40, description="Raised at or after; as `from` of series.")] = "",
        before: Annotated[int | None, Query(ge=1, le=2**62, description="Smaller numbers only: the next page.")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> list[models.Alarm]:
        """Return alarms that match every filter given."""
        wanted = Filter(
            active=active,
            category=category,
            priority=priority,
            gateway=gateway,
            device=device,
            since=parse_time(since, context.clock(), "since") if since else None,
            before=before,
        )
        return [answers.alarm(row) for row in await context.alarms.find(wanted, limit)]

    @router.get("/{alarm}", summary="One alarm with its history")
    async def detail(alarm: AlarmId) -> models.AlarmDetail:
        """Return an alarm and every transition it went through."""
        found = await context.alarms.with_history(alarm)
        if found is None:
            raise unknown_alarm(alarm)
        row, changes = found
        return models.AlarmDetail(
            **answers.alarm(row).model_dump(), changes=[answers.change(change) for change in changes]
        )

    @router.post("/{alarm}/acknowledge", summary="Say that an alarm was seen")
    async def acknowledge(alarm: AlarmId, body: models.Acknowledgement) -> models.Alarm:
        """Acknowledge an alarm; 409 if it was acknowledged already or is settled."""
        return answers.alarm(await acknowledge_alarm(context, alarm, actor=body.actor, comment=body.comment))

    return router
