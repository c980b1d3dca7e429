"""The page of the rules in force, and of what people change of them."""

import asyncio
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from linli_core.alarm import Integral, Parameter, Rate, Rule
from linli_core.catalogue import Language, text
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_platform.alarms.rulebook import Revision, Setting
from linli_platform.api.problem import Problem
from linli_platform.api.rule_changes import called, change_parameter
from linli_platform.web import show
from linli_platform.web.form_pages import FormPages, Route
from linli_platform.web.language import language_of

LOG: Final = 100
_PAGE: Final = "/rules"
_MINUTE_S: Final = 60.0
_PER: Final = {MINUTE: "min", HOUR: "h", DAY: "d"}


class RulePages(FormPages):
    """The page, and what its forms do."""

    def routes(self) -> Iterable[Route]:
        """Return methods, paths and what answers there."""
        return (("GET", _PAGE, self.page), ("POST", "/rules/{rule}/parameters/{name}", self.change))

    async def page(self, request: Request) -> Response:
        """Return the rules in force with what may be changed of each, and what was."""
        lang = language_of(request)
        book = self._context.alarms.book
        areas = await asyncio.to_thread(self._context.registry.areas)
        titles = {area.id: area.titles.get(lang) or area.id for area in areas}
        rules = sorted(self._context.alarms.engine.rules.values(), key=lambda rule: (rule.category, rule.id))
        now = self._context.clock()
        return self._render(
            request,
            "rules.html",
            rules=[self._shown(rule, titles, lang) for rule in rules],
            areas=titles,
            revisions=[
                {
                    "row": row,
                    "where": titles.get(row.area, row.area),
                    "what": _what(row, book.files.get(row.rule), lang),
                }
                for row in await self._context.alarms.history(limit=LOG)
            ],
            full_time=partial(show.full_time, zone=None),
            time=partial(show.clock_time, now=now, zone=None),
        )

    async def change(self, request: Request, rule: str, name: str) -> Response:
        """Change a parameter from a plain form, then show the page."""
        form = await self._form(request)
        raw = form.get("value", "").strip()
        try:
            value = float(raw) if raw else None
        except ValueError:
            remedy = "write a number, or leave it empty for what the rule's file says"
            raise Problem(422, "invalid-request", where="value", found=repr(raw[:40]), remedy=remedy) from None
        book = self._context.alarms.book
        one = next((it for it in book.files[rule].parameters if it.name == name), None) if rule in book.files else None
        if value is not None and one is not None:
            value = float(f"{value * _factor(one):.9g}")  # what was multiplied to and fro is the step it was
        setting = Setting(rule[:120], form.get("area", "")[:63], name[:63], value)
        actor = form.get("actor", "").strip()[:120] or "operator"
        await change_parameter(self._context, setting, actor=actor, comment=form.get("comment", "").strip()[:1000])
        return RedirectResponse(f"{_PAGE}#{rule}", HTTPStatus.SEE_OTHER)

    def _shown(self, rule: Rule, titles: dict[str, str], lang: Language) -> dict[str, Any]:
        book = self._context.alarms.book
        return {
            "row": rule,
            "title": rule.title.in_language(lang) or rule.id,
            "parameters": [
                {
                    "name": one.name,
                    "title": called(one)[lang],
                    "unit": _unit(one, rule, lang),
                    "least": _plain(one, one.least),
                    "most": _plain(one, one.most),
                    "step": _plain(one, one.step),
                    "default": _plain(one, one.default),
                    "value": _plain(one, one.value),
                    "areas": [
                        (titles.get(area, area), _plain(one, values[one.name]))
                        for (name, area), values in sorted(book.settings.items())
                        if name == rule.id and area and one.name in values
                    ],
                }
                for one in rule.parameters
            ],
        }


def _factor(one: Parameter) -> float:
    """Return what a number of the form is multiplied by: lengths of whole minutes are written in minutes, Pa in kPa."""
    if not one.is_length:
        return show.shape_of(one.unit).divisor
    return _MINUTE_S if all(value % _MINUTE_S == 0 for value in (one.least, one.step, one.default)) else 1.0


def _unit(one: Parameter, rule: Rule, lang: Language) -> str:
    """Return the unit of the form's number, as people write it."""
    if one.is_length:
        return text("rule.minutes", lang) if _factor(one) == _MINUTE_S else one.unit
    unit = show.shape_of(one.unit).unit
    if unit and isinstance(rule.condition, Rate):
        return f"{unit}/{_PER.get(rule.condition.per, show.span(rule.condition.per, lang))}"
    is_over_time = isinstance(rule.condition, Integral) and one.name not in {"above", "below"}
    return f"{unit}·h" if unit and is_over_time else unit


def _plain(one: Parameter, value: float) -> str:
    return f"{value / _factor(one):g}"


def _what(row: Revision, rule: Rule | None, lang: Language) -> str:
    """Return what a person changed; empty where a file was."""
    if not row.parameter:
        return ""
    one = next((it for it in rule.parameters if it.name == row.parameter), None) if rule is not None else None
    if one is None:
        values = ["–" if value is None else f"{value:g}" for value in (row.before, row.after)]
        return f"{row.parameter} {values[0]} → {values[1]}"
    if one.is_length:
        values = ["–" if value is None else show.span(round(value * SECOND), lang) for value in (row.before, row.after)]
    else:
        numbers = ["–" if value is None else _plain(one, value) for value in (row.before, row.after)]
        unit = _unit(one, rule, lang) if rule is not None else one.unit
        values = [f"{number} {unit}".strip() if number != "–" else number for number in numbers]
    return f"{called(one)[lang]} {values[0]} → {values[1]}"
