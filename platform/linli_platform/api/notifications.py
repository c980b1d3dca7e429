"""Routes about who was told of alarms, who was not and why, and what nobody is told of for a while."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from linli_core.instant import Instant, to_rfc3339
from linli_platform.api import answers, models
from linli_platform.api.context import ApiContext
from linli_platform.api.models import Rfc3339
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.times import parse_end, parse_time
from linli_platform.notify import (
    Fate,
    Kind,
    Notice,
    NotifyService,
    Reason,
    Silence,
    SilenceRefused,
    TargetState,
    Wanted,
)

_ID: Final = r"^$|^[a-z0-9][a-z0-9-]{0,62}$"
OptionalId = Annotated[str, Field(pattern=_ID)]
Actor = Annotated[str, Field(min_length=1, max_length=120, description="Who says so.")]


class Notification(BaseModel):
    """One line of the log: who was told what of an alarm, or why not."""

    id: int
    alarm: int
    rule: str
    subject: str
    priority: str
    title: models.Titles
    kind: Kind
    number: int = Field(description="Which repetition; 0 for the first time.")
    route: str = Field(description="Empty where no route was there.")
    target: str
    state: Fate
    reason: Reason | None = Field(description="Why it was not told, or is held back.")
    detail: str
    created_at: Rfc3339
    decided_at: Rfc3339 | None = Field(description="When it was handed over, held back, or given up.")
    message: int | None = Field(description="The message it went in, or is to go in; its number is in its text.")
    attempts: int
    error: str = Field(description="What came of the last attempt, where it failed.")


class TargetAnswer(BaseModel):
    """How somebody fares who can be told."""

    id: str
    waiting: int = Field(description="Notices that wait.")
    told_at: Rfc3339 | None
    attempts: int = Field(description="Of the message that cannot be handed over; 0 if all is well.")
    failing_since: Rfc3339 | None
    error: str


class SilenceAnswer(BaseModel):
    """What nobody is told of, by whom, why and until when; what is empty stands for any."""

    id: int
    active: bool
    rule: str
    gateway: str
    device: str
    area: str
    route: str
    reason: str
    actor: str
    starts_at: Rfc3339
    until: Rfc3339
    ended_at: Rfc3339 | None
    ended_by: str


class SilenceWanted(BaseModel, extra="forbid"):
    """What nobody is to be told of for a while; all that is given must match."""

    rule: Annotated[str, Field(max_length=120, description="Glob.")] = ""
    gateway: OptionalId = ""
    device: OptionalId = ""
    area: Annotated[str, Field(max_length=63, description="And all below it.")] = ""
    route: OptionalId = ""
    reason: Annotated[str, Field(max_length=1000)]
    actor: Actor = "operator"
    start: Annotated[str, Field(alias="from", max_length=40, description="Now if left out: RFC 3339.")] = ""
    length: Annotated[str, Field(alias="for", max_length=12, description="How long: `2h`, `30min`, `1d`.")] = ""
    until: Annotated[str, Field(max_length=40, description="Until when, in place of `for`: RFC 3339.")] = ""


class SilenceEnd(BaseModel, extra="forbid"):
    """Who ends a silence."""

    actor: Actor = "operator"


def notification_routes(context: ApiContext) -> APIRouter:
    """Return the routes about the log and the targets."""
    router = APIRouter(prefix="/notifications", tags=["alarms"], responses=PROBLEMS)

    @router.get("", summary="Who was told of alarms, and who was not and why, newest first")
    async def notifications(
        *,
        alarm: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        target: Annotated[str, Query(max_length=63)] = "",
        state: Fate | None = None,
        before: Annotated[int | None, Query(ge=1, le=2**62, description="Smaller numbers only: the next page.")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> list[Notification]:
        """Return lines of the log that match every filter given."""
        if context.notices is None:
            return []
        wanted = Wanted(alarm=alarm, target=target, fate=state, before=before)
        return [_notification(row) for row in await context.notices.find(wanted, limit)]

    @router.get("/targets", summary="How those fare who can be told")
    async def targets() -> list[TargetAnswer]:
        """Return each target of the file of routes."""
        return [] if context.notices is None else [_target(row) for row in await context.notices.targets()]

    return router


def silence_routes(context: ApiContext) -> APIRouter:
    """Return the routes about silences."""
    router = APIRouter(prefix="/silences", tags=["alarms"], responses=PROBLEMS)

    @router.get("", summary="What nobody is told of, by whom, why and until when")
    async def silences() -> list[SilenceAnswer]:
        """Return silences that are, or are to be, the next to end first."""
        now = context.clock()
        return [] if context.notices is None else [_silence(item, now) for item in await context.notices.silences()]

    @router.post("", summary="Tell nobody of something for a while", status_code=HTTPStatus.CREATED)
    async def silence(body: SilenceWanted) -> SilenceAnswer:
        """Silence what matches for thirty days at most; it stays on every page. 409 without a reason or an end."""
        now = context.clock()
        start = parse_time(body.start, now, "from") if body.start else now
        until = parse_end(body.length, body.until, start, now, never="nothing is silenced for ever")
        wanted = Silence(
            id=0,
            rule=body.rule,
            gateway=body.gateway,
            device=body.device,
            area=body.area,
            route=body.route,
            reason=body.reason,
            actor=body.actor,
            starts_at=start,
            until=until,
        )
        return _silence(await add_silence(context, wanted), now)

    @router.post("/{number}/end", summary="End a silence before its time")
    async def end(number: Annotated[int, Path(ge=1, le=2**62)], body: SilenceEnd) -> SilenceAnswer:
        """End it; 409 if it is over, or never was."""
        return _silence(await end_silence(context, number, actor=body.actor), context.clock())

    return router


async def add_silence(context: ApiContext, wanted: Silence) -> Silence:
    """Silence what is wanted; raise :class:`Problem` where that cannot be."""
    try:
        return await _service(context).silence(wanted)
    except SilenceRefused as exc:
        raise _refused(exc) from None


async def end_silence(context: ApiContext, number: int, *, actor: str) -> Silence:
    """End a silence; raise :class:`Problem` where that cannot be."""
    try:
        return await _service(context).end_silence(number, actor=actor)
    except SilenceRefused as exc:
        raise _refused(exc) from None


def _service(context: ApiContext) -> NotifyService:
    if context.notices is None:
        raise Problem(HTTPStatus.CONFLICT, "not-silenced", found="nobody is told of anything here", remedy="")
    return context.notices


def _refused(error: SilenceRefused) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "not-silenced", found=str(error), remedy="see /api/v1/silences")


def _notification(row: Notice) -> Notification:
    return Notification(
        id=row.id,
        alarm=row.alarm,
        rule=row.rule,
        subject=row.subject,
        priority=row.priority.value,
        title=answers.titles(row.title),
        kind=row.kind,
        number=row.number,
        route=row.route,
        target=row.target,
        state=row.fate,
        reason=row.reason,
        detail=row.detail,
        created_at=to_rfc3339(row.created_at),
        decided_at=answers.moment(row.decided_at),
        message=row.message,
        attempts=row.attempts,
        error=row.error,
    )


def _target(row: TargetState) -> TargetAnswer:
    return TargetAnswer(
        id=row.id,
        waiting=row.waiting,
        told_at=answers.moment(row.told_at),
        attempts=row.attempts,
        failing_since=answers.moment(row.failing_since),
        error=row.error,
    )


def _silence(item: Silence, now: Instant) -> SilenceAnswer:
    return SilenceAnswer(
        id=item.id,
        active=item.is_active(now),
        rule=item.rule,
        gateway=item.gateway,
        device=item.device,
        area=item.area,
        route=item.route,
        reason=item.reason,
        actor=item.actor,
        starts_at=to_rfc3339(item.starts_at),
        until=to_rfc3339(item.until),
        ended_at=answers.moment(item.ended_at),
        ended_by=item.ended_by,
    )
