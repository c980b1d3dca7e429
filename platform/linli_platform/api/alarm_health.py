"""The route about how the alarm system itself fares."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from linli_core.alarm.health import MIX, Health
from linli_core.instant import DAY, SECOND, Instant, to_rfc3339
from linli_platform.alarms import TooMuchToJudge
from linli_platform.api.community import IdFilter
from linli_platform.api.context import ApiContext
from linli_platform.api.models import Rfc3339
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.times import check_period, parse_time
from linli_platform.registry.areas import line_of

LONGEST: Final = 400 * DAY


class FloodPeriod(BaseModel):
    """More than ten alarms in ten minutes."""

    start: Rfc3339
    end: Rfc3339
    count: int


class RuleShare(BaseModel):
    """A rule and how much of all alarms it brings."""

    rule: str
    count: int
    share: float = Field(description="0 to 1.")


class ChatteringAlarm(BaseModel):
    """An alarm that comes and goes, and what would have kept it quiet."""

    rule: str
    subject: str
    count: int
    on_delay: float = Field(description="Seconds: most raises lasted no longer. 0 where nothing is known to help.")
    off_delay: float = Field(description="Seconds: it mostly came back within this.")


class StandingAlarm(BaseModel):
    """An alarm whose condition has held for more than a day."""

    alarm: int
    rule: str
    subject: str
    since: Rfc3339


class AlarmHealth(BaseModel):
    """How the alarm system fared in a period."""

    start: Rfc3339
    end: Rfc3339
    raised: int
    per_hour: float
    busiest_hour: int
    floods: list[FloodPeriod]
    in_floods: float = Field(description="The share of all alarms that came in floods, 0 to 1.")
    chattering: list[ChatteringAlarm]
    standing: list[StandingAlarm]
    unseen: int = Field(description="Alarms that nobody had acknowledged at the end.")
    mix: dict[str, float] = Field(description="The share of each priority, 0 to 1.")
    mix_wanted: dict[str, float]
    worst: list[RuleShare] = Field(description="The ten rules that bring the most.")
    acknowledged: int
    seen_after: float | None = Field(description="Seconds from being known to being acknowledged: median.")
    seen_after_p90: float | None


def alarm_health_routes(context: ApiContext) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/alarms", tags=["alarms"], responses=PROBLEMS)

    @router.get("/health", summary="How the alarm system itself fares")
    async def alarm_health(
        start: Annotated[str, Query(alias="from", max_length=40, description="RFC 3339, or `-7d`.")] = "-7d",
        end: Annotated[str, Query(alias="to", max_length=40)] = "now",
        area: Annotated[str, Query(max_length=63, description="Of the gateways in this area and below it.")] = "",
        gateway: IdFilter = "",
    ) -> AlarmHealth:
        """Return alarms an hour, floods, chatter, what stands and what nobody saw, the mix of priorities, the worst."""
        now = context.clock()
        found = await figures(context, parse_time(start, now, "from"), parse_time(end, now, "to"), area, gateway)
        return AlarmHealth(
            start=to_rfc3339(found.start),
            end=to_rfc3339(found.end),
            raised=found.raised,
            per_hour=round(found.per_hour, 4),
            busiest_hour=found.busiest_hour,
            floods=[
                FloodPeriod(start=to_rfc3339(it.start), end=to_rfc3339(it.end), count=it.count) for it in found.floods
            ],
            in_floods=found.in_floods,
            chattering=[
                ChatteringAlarm(
                    rule=it.rule,
                    subject=it.subject,
                    count=it.count,
                    on_delay=it.on_delay / SECOND,
                    off_delay=it.off_delay / SECOND,
                )
                for it in found.chattering
            ],
            standing=[
                StandingAlarm(alarm=it.alarm, rule=it.rule, subject=it.subject, since=to_rfc3339(it.since))
                for it in found.standing
            ],
            unseen=found.unseen,
            mix={priority.value: share for priority, share in found.mix.items()},
            mix_wanted={priority.value: share for priority, share in MIX.items()},
            worst=[RuleShare(rule=it.rule, count=it.count, share=it.share) for it in found.worst],
            acknowledged=found.acknowledged,
            seen_after=_seconds(found.seen_after),
            seen_after_p90=_seconds(found.seen_after_p90),
        )

    return router


async def figures(context: ApiContext, start: Instant, end: Instant, area: str = "", gateway: str = "") -> Health:
    """Return the figures of a period; raise :class:`Problem` where they cannot be made."""
    check_period(start, end, LONGEST, "a period that is none")
    chosen: set[str] | None = {gateway} if gateway else None
    if area:
        within = _within(context, area)
        chosen = within if chosen is None else chosen & within
    try:
        return await context.alarms.health(start, end, chosen)
    except TooMuchToJudge as exc:
        raise Problem(422, "too-much", where="from", found=str(exc), remedy="ask for a shorter time") from exc


def _within(context: ApiContext, area: str) -> set[str]:
    """Return the gateways in an area and below it."""
    parents = {item.id: item.parent for item in context.registry.areas()}
    if area not in parents:
        raise Problem(
            404, "unknown-area", where="area", found=f"{area[:80]!r}", remedy="name one that the registry declares"
        )

    return {item.id for item in context.registry.gateways() if area in line_of(item.area, parents)}


def _seconds(span: Instant | None) -> float | None:
    return None if span is None else span / SECOND
