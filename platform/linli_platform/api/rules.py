"""Routes about alarm rules: which are in force, and what others would have said."""

import asyncio
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request

from linli_core.alarm import Rule, check_rules, parse_rules
from linli_core.errors import ConfigError
from linli_core.instant import DAY, SECOND, to_rfc3339
from linli_platform.alarms.bundled import units
from linli_platform.alarms.replay import Episode, Stopped, replay
from linli_platform.alarms.rulebook import EVERYWHERE, NoSuchRevision, RuleBook
from linli_platform.api import rule_models
from linli_platform.api.context import ApiContext
from linli_platform.api.models import Titles
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.rule_changes import refused, shown_parameters
from linli_platform.api.times import check_period, parse_time
from linli_platform.store import StoreError

LONGEST: Final = 400 * DAY
MOST_EPISODES: Final = 1_000
_ASKED_EVERY_S: Final = 0.5


def rule_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/rules", tags=["alarms"], responses=PROBLEMS)
    turn = asyncio.Semaphore(1)

    @router.get("", summary="The rules in force")
    async def rules() -> list[rule_models.AlarmRule]:
        """Return every rule in force, by id."""
        book = context.alarms.book
        return [_shown(book, rule) for _, rule in sorted(context.alarms.engine.rules.items())]

    @router.post("/replay", summary="What rules would have said of what is stored")
    async def replay_rules(request: Request, trial: rule_models.Trial) -> rule_models.RuleReplay:
        """Judge stored readings by the rules given and by those of the same ids in force; changes nothing.

        Each reading counts as having come when it was observed. One replay runs at a time; it ends when nobody waits.
        """
        now = context.clock()
        start, end = parse_time(trial.start, now, "from"), parse_time(trial.end, now, "to")
        check_period(start, end, LONGEST, f"{trial.start} to {trial.end}")
        tried, before = await _compared(context, trial)
        gone = False
        async with turn:
            work = asyncio.create_task(
                asyncio.to_thread(
                    replay,
                    context.store,
                    before,
                    tried,
                    context.alarms.kinds(),
                    start,
                    end,
                    context.zone,
                    areas=context.alarms.areas(),
                    tags=context.alarms.tags(),
                    go_on=lambda: not gone,
                )
            )
            try:
                while not (await asyncio.wait([work], timeout=_ASKED_EVERY_S))[0]:
                    gone = await request.is_disconnected()
                found = await work
            except StoreError as exc:
                raise Problem(503, "store-away", found=str(exc), remedy="try again when the store answers") from exc
            except Stopped:
                raise Problem(499, "gone", found="nobody waits for the answer", remedy="ask again") from None
            finally:
                gone = True
        return rule_models.RuleReplay(
            readings=found.readings,
            seconds=found.seconds,
            days=[
                rule_models.ReplayDay(day=day, before=counts[0], after=counts[1]) for day, counts in found.days.items()
            ],
            appear=[_episode(it) for it in found.appear[:MOST_EPISODES]],
            appear_count=len(found.appear),
            vanish=[_episode(it) for it in found.vanish[:MOST_EPISODES]],
            vanish_count=len(found.vanish),
            same=found.same,
        )

    return router


async def _compared(context: ApiContext, trial: rule_models.Trial) -> tuple[list[Rule], list[Rule]]:
    """Return the rules that are tried and those that they are compared with."""
    if (trial.revision is None) == (not trial.rules):
        found = "found neither" if trial.revision is None else "found both"
        raise Problem(422, "invalid-request", where="rules", found=found, remedy="give rules, or a revision")
    tried = _rules(trial.rules) if trial.revision is None else [await _revised(context, trial.revision)]
    if trial.against is not None:
        return tried, [await _revised(context, trial.against)]
    names = {rule.id for rule in tried}
    return tried, [rule for rule in context.alarms.engine.rules.values() if rule.id in names]


async def _revised(context: ApiContext, number: int) -> Rule:
    try:
        return (await asyncio.to_thread(context.alarms.book.revision, number)).read()
    except (ConfigError, NoSuchRevision) as exc:
        raise refused(exc) from exc


def _rules(text: str) -> list[Rule]:
    try:
        rules = parse_rules(text, "rules")
        check_rules(rules, units())
    except ConfigError as exc:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad-rule", where=exc.where, found=exc.found, remedy=exc.remedy
        ) from exc
    return rules


def _shown(book: RuleBook, rule: Rule) -> rule_models.AlarmRule:
    return rule_models.AlarmRule(
        id=rule.id,
        category=rule.category,
        priority=rule.priority,
        quantity=rule.quantity,
        unit=rule.unit,
        latched=rule.latched,
        title=Titles(zh=rule.title.zh, en=rule.title.en),
        cause=Titles(zh=rule.cause.zh, en=rule.cause.en),
        consequence=Titles(zh=rule.consequence.zh, en=rule.consequence.en),
        response=Titles(zh=rule.response.zh, en=rule.response.en),
        respond_within=rule.respond_within / SECOND,
        clause=rule.clause,
        corrective_action=rule.corrective_action,
        parameters=shown_parameters(book, rule),
        revision=book.revisions.get((rule.id, EVERYWHERE)),
    )


def _episode(episode: Episode) -> rule_models.ReplayedAlarm:
    over = episode.returned_at
    return rule_models.ReplayedAlarm(
        rule=episode.rule,
        subject=episode.subject,
        raised_at=to_rfc3339(episode.raised_at),
        returned_at=None if over is None else to_rfc3339(over),
    )
