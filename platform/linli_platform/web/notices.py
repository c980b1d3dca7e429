"""The page about who was told of alarms: how targets fare, what nobody is told of, and the log."""

import asyncio
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from linli_platform.api.notifications import add_silence, end_silence
from linli_platform.api.problem import Problem
from linli_platform.api.times import parse_step
from linli_platform.notify import Silence, Wanted
from linli_platform.web import show
from linli_platform.web.form_pages import FormPages, Route
from linli_platform.web.language import language_of
from linli_platform.web.views import Views

LOG: Final = 200
_PAGE: Final = "/notifications"


class NoticePages(FormPages):
    """The page, and what its forms do."""

    def routes(self) -> Iterable[Route]:
        """Return methods, paths and what answers there."""
        return (
            ("GET", _PAGE, self.page),
            ("POST", "/silences", self.silence),
            ("POST", "/silences/{number}/end", self.end),
        )

    async def page(self, request: Request) -> Response:
        """Return how targets fare, what nobody is told of, and the newest of the log."""
        service = self._context.notices
        notices = [] if service is None else await service.find(Wanted(), LOG)
        targets = [] if service is None else await service.targets()
        silences = [] if service is None else await service.silences()

        def ask() -> dict[str, Any]:
            views = Views(self._context, language_of(request))
            return {
                "notices": notices,
                "targets": [
                    {"row": row, "told": None if row.told_at is None else views.age(row.told_at)} for row in targets
                ],
                "silences": [{"row": row, "what": _what(row)} for row in silences],
                "gateways": self._context.registry.gateways(),
                "devices": self._context.registry.devices(),
                "lengths": show.LENGTHS,
                "titled": lambda words, otherwise: words.get(views.lang) or next(iter(words.values()), "") or otherwise,
                "full_time": partial(show.full_time, zone=None),
                "time": partial(show.clock_time, now=views.now, zone=None),
            }

        return self._render(request, "notices.html", **await asyncio.to_thread(ask))

    async def silence(self, request: Request) -> Response:
        """Silence a gateway or a device from a plain form, then show the page."""
        form = await self._form(request)
        gateway, _, device = form.get("subject", "").partition("/")
        if not gateway:
            remedy = "choose one of the list"
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", where="subject", found="''", remedy=remedy
            )
        now = self._context.clock()
        wanted = Silence(
            id=0,
            rule="",
            gateway=gateway[:63],
            device=device[:63],
            area="",
            route="",
            reason=form.get("comment", "").strip()[:1000],
            actor=_actor(form),
            starts_at=now,
            until=now + parse_step(form.get("for", "2h"), "for"),
        )
        await add_silence(self._context, wanted)
        return RedirectResponse(_PAGE, HTTPStatus.SEE_OTHER)

    async def end(self, request: Request, number: int) -> Response:
        """End a silence from a plain form, then show the page."""
        form = await self._form(request)
        await end_silence(self._context, number if 0 < number < 2**62 else 0, actor=_actor(form))
        return RedirectResponse(_PAGE, HTTPStatus.SEE_OTHER)


def _actor(form: dict[str, str]) -> str:
    return form.get("actor", "").strip()[:120] or "operator"


def _what(row: Silence) -> str:
    return " · ".join(filter(None, (row.area, "/".join(filter(None, (row.gateway, row.device))), row.rule, row.route)))
