"""Routes about what people do with alarms besides acknowledging them, and about what is hidden from them."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from linli_core.alarm import Hiding, Suppression
from linli_core.instant import Instant
from linli_platform.alarms import AlarmRow, HidingRefused, NoSuchAlarm, NothingToAcknowledge
from linli_platform.api import answers, models
from linli_platform.api.alarms import AlarmId, unknown_alarm
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.times import parse_end, parse_time

Actor = Annotated[str, Field(min_length=1, max_length=120, description="Who says so.")]
Words = Annotated[str, Field(max_length=1000)]
For = Annotated[str, Field(alias="for", max_length=12, description="How long: `2h`, `30min`, `1d`.")]
Until = Annotated[str, Field(max_length=40, description="Until when, in place of `for`: RFC 3339.")]
_NEVER: Final = "nothing is hidden for ever"
_ID: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"


class Said(BaseModel, extra="forbid"):
    """What somebody says of an alarm."""

    actor: Actor = "operator"
    comment: Words = ""


class Assigned(BaseModel, extra="forbid"):
    """Who is to see to an alarm; nobody if `to` is empty."""

    actor: Actor = "operator"
    to: Annotated[str, Field(max_length=120)] = ""
    comment: Words = ""


class Shelved(BaseModel, extra="forbid"):
    """Why an alarm is shelved, and how long."""

    actor: Actor = "operator"
    reason: Words
    length: For = ""
    until: Until = ""


class Hidden(BaseModel, extra="forbid"):
    """What is taken out of service, or hidden by design (maintenance), and why."""

    kind: Literal["out_of_service", "suppressed_by_design"]
    gateway: Annotated[str, Field(pattern=_ID)]
    device: Annotated[str, Field(pattern=rf"^$|{_ID}", description="Empty for the whole gateway.")] = ""
    rule: Annotated[str, Field(max_length=120, description="Empty for every rule.")] = ""
    reason: Words
    actor: Actor = "operator"
    start: Annotated[str, Field(alias="from", max_length=40, description="Now if left out: RFC 3339.")] = ""
    length: For = ""
    until: Until = ""


def handling_routes(context: ApiContext) -> APIRouter:
    """Return the routes below one alarm."""
    router = APIRouter(prefix="/alarms", tags=["alarms"], responses=PROBLEMS)
    alarms = context.alarms

    @router.get("/hidden", summary="Alarms that nobody sees now, by whom and until when")
    async def hidden() -> list[models.Alarm]:
        """Return the alarms that are not settled and are shelved, out of service or suppressed by design now."""
        return [answers.alarm(row) for row in await alarms.hidden()]

    @router.post("/{alarm}/reset", summary="Settle a latched alarm that was acknowledged")
    async def reset(alarm: AlarmId, body: Said) -> models.Alarm:
        """Settle an alarm that is over and held; 409 if it is not held, or not acknowledged yet."""
        return answers.alarm(await reset_alarm(context, alarm, actor=body.actor, comment=body.comment))

    @router.post("/{alarm}/comment", summary="Write something down of an alarm")
    async def comment(alarm: AlarmId, body: Said) -> models.Alarm:
        """Write down what somebody says; the alarm stays where it is."""
        try:
            return answers.alarm(await alarms.comment(alarm, actor=body.actor, comment=body.comment))
        except NoSuchAlarm:
            raise unknown_alarm(alarm) from None

    @router.post("/{alarm}/assign", summary="Give an alarm to somebody")
    async def assign(alarm: AlarmId, body: Assigned) -> models.Alarm:
        """Say who is to see to it."""
        try:
            return answers.alarm(await alarms.assign(alarm, body.to, actor=body.actor, comment=body.comment))
        except NoSuchAlarm:
            raise unknown_alarm(alarm) from None

    @router.post("/{alarm}/shelve", summary="Hide an alarm for a while")
    async def shelve(alarm: AlarmId, body: Shelved) -> models.Alarm:
        """Hide an alarm for seven days at most; it comes back by itself. 409 if it is settled."""
        now = context.clock()
        until = parse_end(body.length, body.until, now, now, never=_NEVER)
        return answers.alarm(await shelve_alarm(context, alarm, until, actor=body.actor, reason=body.reason))

    @router.post("/{alarm}/unshelve", summary="Show a shelved alarm again")
    async def unshelve(alarm: AlarmId, body: Said) -> models.Alarm:
        """Show it before its time; 409 if it is not shelved."""
        return answers.alarm(await unshelve_alarm(context, alarm, actor=body.actor, comment=body.comment))

    return router


def hiding_routes(context: ApiContext) -> APIRouter:
    """Return the routes about what is hidden."""
    router = APIRouter(prefix="/hidings", tags=["alarms"], responses=PROBLEMS)

    @router.get("", summary="What is hidden, or is to be, by whom, why and until when")
    async def hidings(
        *, over: Annotated[bool, Query(description="Also what was, in the last thirty days.")] = False
    ) -> list[models.Hiding]:
        """Return the latest first."""
        now = context.clock()
        return [answers.hiding(item, now) for item in await context.alarms.hiding.all(now, over=over)]

    @router.post("", summary="Take something out of service, or hide it by design", status_code=HTTPStatus.CREATED)
    async def hide(body: Hidden) -> models.Hiding:
        """Hide the alarms of a gateway or a device, of one rule or of all, for a while: a maintenance window."""
        now = context.clock()
        start = parse_time(body.start, now, "from") if body.start else now
        until = parse_end(body.length, body.until, start, now, never=_NEVER)
        subject = f"{body.gateway}/{body.device}" if body.device else body.gateway
        wanted = Hiding(0, Suppression(body.kind), body.rule, subject, body.reason, body.actor, start, until)
        return answers.hiding(await hide_subject(context, wanted), now)

    @router.post("/{number}/end", summary="Show what is hidden before its time")
    async def end(number: Annotated[int, Path(ge=1, le=2**62)], body: Said) -> models.Hiding:
        """End it; 409 if it is over, or never was."""
        return answers.hiding(await end_hiding(context, number, actor=body.actor), context.clock())

    return router


async def reset_alarm(context: ApiContext, alarm: int, *, actor: str, comment: str) -> AlarmRow:
    """Reset a latched alarm; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.reset(alarm, actor=actor, comment=comment)
    except NoSuchAlarm:
        raise unknown_alarm(alarm) from None
    except NothingToAcknowledge as exc:
        remedy = "acknowledge it first, if it is held"
        raise Problem(HTTPStatus.CONFLICT, "nothing-to-reset", found=str(exc), remedy=remedy) from None


async def shelve_alarm(context: ApiContext, alarm: int, until: Instant, *, actor: str, reason: str) -> AlarmRow:
    """Shelve an alarm; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.shelve(alarm, until, actor=actor, reason=reason)
    except NoSuchAlarm:
        raise unknown_alarm(alarm) from None
    except HidingRefused as exc:
        raise _refused(exc) from None


async def unshelve_alarm(context: ApiContext, alarm: int, *, actor: str, comment: str) -> AlarmRow:
    """Show a shelved alarm again; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.unshelve(alarm, actor=actor, comment=comment)
    except NoSuchAlarm:
        raise unknown_alarm(alarm) from None
    except HidingRefused as exc:
        raise _refused(exc) from None


async def hide_subject(context: ApiContext, wanted: Hiding) -> Hiding:
    """Hide what is wanted; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.hide(wanted)
    except HidingRefused as exc:
        raise _refused(exc) from None


async def end_hiding(context: ApiContext, number: int, *, actor: str) -> Hiding:
    """End what is hidden; raise :class:`Problem` where that cannot be."""
    try:
        return await context.alarms.show(number, actor=actor)
    except HidingRefused as exc:
        raise _refused(exc) from None


def _refused(error: HidingRefused) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "not-hidden", found=str(error), remedy="see /api/v1/hidings")
