"""Routes about what people change of rules, and about what rules were."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse

from linli_core.alarm import Parameter, Rule
from linli_core.catalogue import LANGUAGES, text
from linli_core.errors import ConfigError
from linli_core.instant import to_rfc3339
from linli_platform.alarms.exporting import exported, imported
from linli_platform.alarms.rulebook import NoSuchRevision, NoSuchRule, Revision, RuleBook, Setting
from linli_platform.api import rule_models
from linli_platform.api.context import ApiContext
from linli_platform.api.models import Titles
from linli_platform.api.problem import PROBLEMS, Problem

RuleId = Annotated[str, Path(max_length=120, description="The rule's id.", examples=["food.chilled-warm"])]
ParameterName = Annotated[str, Path(max_length=63, description="The parameter's name.", examples=["high"])]
_TOML: Final = "application/toml"


def rule_change_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/rules", tags=["alarms"], responses=PROBLEMS)

    @router.get("/revisions", summary="What rules were and are, newest first")
    async def revisions(
        rule: Annotated[str, Query(max_length=120, description="Of this one only.")] = "",
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> list[rule_models.RuleRevision]:
        """Return revisions: each change of a file, and each of a parameter, with who made it and why."""
        found = await context.alarms.history(rule, limit)
        return [shown_revision(each) for each in found]

    @router.get(
        "/export", summary="Rules and what people changed of them, as one file", response_class=PlainTextResponse
    )
    async def export() -> PlainTextResponse:
        """Return TOML: the rules as their files have them, and the values of parameters that people changed."""
        book = context.alarms.book
        return PlainTextResponse(exported(book.files.values(), settings_of(book)), media_type=_TOML)

    @router.post("/import", summary="Take in values of parameters from an exported file")
    async def take_in(body: rule_models.Imported) -> rule_models.ImportReport:
        """Set every value of the file, or none if one cannot be; rules of the file that are not in force are named."""
        try:
            rules, settings = imported(body.text, "import")
            done = await context.alarms.set_parameters(settings, actor=body.actor, comment=body.comment)
        except (ConfigError, NoSuchRule) as exc:
            raise refused(exc) from exc
        files = context.alarms.book.files
        other = [rule.id for rule in rules if rule.id not in files or files[rule.id].source != rule.source]
        return rule_models.ImportReport(
            changed=[shown_revision(each) for each in done], unchanged=len(settings) - len(done), other_rules=other
        )

    @router.put("/{rule}/parameters/{name}", summary="Change a number of a rule within its bounds")
    async def change(rule: RuleId, name: ParameterName, body: rule_models.NewValue) -> rule_models.RuleRevision | None:
        """Give a parameter another value, everywhere or in an area and all below it; `null` if it was so already.

        It is judged by that from the next reading on. Who, when, from and to are kept for good.
        """
        setting = Setting(rule, body.area, name, body.value)
        return await change_parameter(context, setting, actor=body.actor, comment=body.comment)

    return router


async def change_parameter(
    context: ApiContext, setting: Setting, *, actor: str, comment: str
) -> rule_models.RuleRevision | None:
    """Change a parameter; raise :class:`Problem` where that cannot be."""
    try:
        made = await context.alarms.set_parameters([setting], actor=actor, comment=comment)
    except (ConfigError, NoSuchRule) as exc:
        raise refused(exc) from exc
    return next((shown_revision(each) for each in made if each.area == setting.area), None)


def refused(exc: ConfigError | NoSuchRule | NoSuchRevision) -> Problem:
    """Return the problem of a change that cannot be."""
    if isinstance(exc, ConfigError):
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad-parameter", where=exc.where, found=exc.found, remedy=exc.remedy
        )
    kind = "unknown-rule" if isinstance(exc, NoSuchRule) else "unknown-revision"
    remedy = "see /api/v1/rules" if isinstance(exc, NoSuchRule) else "see /api/v1/rules/revisions"
    return Problem(HTTPStatus.NOT_FOUND, kind, where="rule", found=str(exc), remedy=remedy)


def settings_of(book: RuleBook) -> list[Setting]:
    """Return what people changed, in order."""
    return [
        Setting(rule, area, name, value)
        for (rule, area), values in sorted(book.settings.items())
        for name, value in sorted(values.items())
    ]


def called(parameter: Parameter) -> dict[str, str]:
    """Return what people call a parameter, by language."""
    own = {"zh": parameter.title.zh, "en": parameter.title.en}
    return {lang: own[lang] or text(f"parameter.{parameter.name}", lang) for lang in LANGUAGES}


def shown_parameters(book: RuleBook, rule: Rule) -> list[rule_models.RuleParameter]:
    """Return a rule's parameters with their values everywhere and in areas."""
    return [
        rule_models.RuleParameter(
            name=one.name,
            title=Titles(**called(one)),
            unit=one.unit,
            min=one.least,
            max=one.most,
            step=one.step,
            default=one.default,
            value=one.value,
            areas={
                area: values[one.name]
                for (name, area), values in sorted(book.settings.items())
                if name == rule.id and area and one.name in values
            },
        )
        for one in rule.parameters
    ]


def shown_revision(revision: Revision) -> rule_models.RuleRevision:
    """Return a revision."""
    return rule_models.RuleRevision(
        id=revision.id,
        rule=revision.rule,
        area=revision.area,
        at=to_rfc3339(revision.at),
        actor=revision.actor,
        parameter=revision.parameter,
        before=revision.before,
        after=revision.after,
        comment=revision.comment,
        source=revision.source,
    )
