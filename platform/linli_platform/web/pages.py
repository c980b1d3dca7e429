"""Routes of the pages. Every page is complete without JavaScript; the module in ``static/`` only keeps it fresh."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles

from linli_core.alarm import Hiding, Suppression
from linli_core.alarm.health import MIX
from linli_core.catalogue import Language, catalogue, text
from linli_core.instant import DAY
from linli_platform.alarms import Filter, NoSuchAlarm
from linli_platform.api.alarm_health import figures
from linli_platform.api.alarms import acknowledge_alarm, unknown_alarm
from linli_platform.api.community import select_series, unknown_gateway
from linli_platform.api.context import ApiContext
from linli_platform.api.hidings import end_hiding, hide_subject, reset_alarm, shelve_alarm, unshelve_alarm
from linli_platform.api.problem import Problem
from linli_platform.api.security import COOKIE as TOKEN_COOKIE
from linli_platform.api.security import MAX_BODY, same_token
from linli_platform.api.times import parse_step
from linli_platform.registry import NotFound
from linli_platform.web import show
from linli_platform.web.history import WINDOWS, history
from linli_platform.web.language import COOKIE as LANG_COOKIE
from linli_platform.web.language import language_of
from linli_platform.web.nodes import node_views
from linli_platform.web.notices import NoticePages
from linli_platform.web.rules import RulePages
from linli_platform.web.views import Views

_HERE: Final = Path(__file__).parent
_YEAR_S: Final = 365 * 24 * 3600
_CLIENT_TEXTS: Final = ("age.", "page.live", "page.connecting", "page.offline", "quality.", "reason.")
_OPEN_ALARMS: Final = 200
_CHARTS: Final = 60
_BACK: Final = re.compile(r"/(?:gateways|devices)(?:/[a-z0-9][a-z0-9-]{0,62}){1,2}")
"""Pages that a form may lead back to: those of this console that have it."""
PERIODS: Final = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}


def _assets_version() -> str:
    digest = hashlib.sha256()
    for path in sorted((_HERE / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Pages:
    """The pages of one platform."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._version = _assets_version()

    def mount(self, app: FastAPI) -> None:
        """Add the pages' routes."""
        app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
        routes: tuple[tuple[str, str, Callable[..., Any]], ...] = (
            ("GET", "/", self.overview),
            ("GET", "/fragments/{part}", self.fragment),
            ("GET", "/gateways/{gateway}", self.gateway),
            ("POST", "/gateways/{gateway}/accept", self.accept),
            ("GET", "/devices/{gateway}/{device}", self.device),
            ("GET", "/alarms", self.alarms),
            ("GET", "/alarms/hidden", self.hidden),
            ("GET", "/alarms/health", self.alarm_health),
            ("GET", "/alarms/{alarm}", self.alarm),
            ("POST", "/alarms/{alarm}/acknowledge", self.acknowledge),
            ("POST", "/alarms/{alarm}/{act}", self.handle),
            ("POST", "/hidings", self.hide),
            ("POST", "/hidings/{number}/end", self.end_hiding),
            ("GET", "/login", self.login),
            ("POST", "/login", self.sign_in),
            *NoticePages(self._context, self._render, _form).routes(),
            *RulePages(self._context, self._render, _form).routes(),
        )
        for method, path, endpoint in routes:
            app.add_api_route(path, endpoint, methods=[method], include_in_schema=False, response_class=HTMLResponse)

    # Rendering

    def _render(self, request: Request, template: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
        lang = language_of(request)
        other: Language = "en" if lang == "zh" else "zh"
        query = "&".join(f"{k}={v}" for k, v in request.query_params.items() if k in {"window", "show"})
        page = self._templates.get_template(template).render(
            t=partial(text, lang=lang),
            lang=lang,
            html_lang="zh-CN" if lang == "zh" else "en",
            switch=f"?lang={other}{'&' + query if query else ''}",
            version=self._context.version,
            assets=self._version,
            client_texts={key: words for key, words in catalogue(lang).items() if key.startswith(_CLIENT_TEXTS)},
            now_ms=self._context.clock() // 1000,
            snapshot=show.full_time(self._context.clock(), None),
            **values,
        )
        response = HTMLResponse(page, status)
        response.headers["Vary"] = "Cookie, Accept-Language"
        if request.query_params.get("lang") == lang:
            response.set_cookie(LANG_COOKIE, lang, max_age=_YEAR_S, samesite="lax", httponly=True)
        return response

    async def problem(self, request: Request, problem: Problem) -> Response | None:
        """Return an error as a page for a browser, ``None`` for a program."""
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return None
        if problem.status == HTTPStatus.UNAUTHORIZED:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        return self._render(request, "problem.html", problem.status, problem=problem)

    # Pages

    async def overview(self, request: Request) -> Response:
        """Return the live page."""
        return self._render(request, "overview.html", **await self._overview(language_of(request)))

    async def fragment(self, request: Request, part: str) -> Response:
        """Return one part of the live page, for the module to put in place."""
        if part not in {"status", "rooms", "devices", "gateways"}:
            raise Problem(404, "unknown-page", where="part", found=repr(part[:40]), remedy="open /")
        values = await self._overview(language_of(request))
        return self._render(request, f"parts/{part}.html", **values)

    async def _overview(self, lang: Language) -> Mapping[str, Any]:
        rows = await self._context.alarms.find(Filter(active=True), _OPEN_ALARMS)

        def ask() -> dict[str, Any]:
            views = Views(self._context, lang)
            rooms, devices = views.devices()
            gateways = views.gateways()
            return {
                "views": views,
                "alarms": views.alarms(row for row in rows if row.hiding is None),
                "hidden": sum(row.hiding is not None for row in rows),
                "state": views.state([row for row in rows if row.hiding is None], gateways),
                "rooms": rooms,
                "groups": devices,
                "gateways": gateways,
            }

        return await asyncio.to_thread(ask)

    async def gateway(self, request: Request, gateway: str) -> Response:
        """Return a gateway's page."""
        registry = self._context.registry
        alarms = await self._context.alarms.find(Filter(active=True, gateway=gateway), _OPEN_ALARMS)

        def ask() -> dict[str, Any]:
            row = registry.gateway(gateway)
            if row is None:
                raise unknown_gateway(gateway)
            views = Views(self._context, language_of(request))
            devices = registry.devices(gateway)
            refusals, losses = registry.refusals(gateway), registry.losses(gateway)
            newest = self._context.store.latest([series.id for series in select_series(self._context, gateway)])
            lost = sum(item.last - item.first + 1 for item in losses)
            refused = sum(item.count for item in refusals)
            return {
                "views": views,
                "gateway": views.gateway(row, len(devices), refused, lost),
                "nodes": node_views(self._context, views, devices, newest, alarms),
                "back": f"/gateways/{gateway}",
                "refusals": [(item, views.age(item.last_at)) for item in refusals],
                "losses": [(item, views.age(item.booked_at)) for item in losses],
                "devices": [
                    views.device(item, [late for late in newest if late.series.device == item.id]) for item in devices
                ],
                "time": partial(show.clock_time, now=views.now, zone=None),
                "number": show.number,
            }

        return self._render(request, "gateway.html", **await asyncio.to_thread(ask))

    async def accept(self, request: Request, gateway: str) -> Response:  # noqa: ARG002
        """Accept a gateway, then show it."""
        try:
            await asyncio.to_thread(self._context.registry.accept, gateway)
        except NotFound:
            raise unknown_gateway(gateway) from None
        self._context.live.on_gateway(gateway)
        return RedirectResponse(f"/gateways/{gateway}", HTTPStatus.SEE_OTHER)

    async def device(self, request: Request, gateway: str, device: str) -> Response:
        """Return a device's page with the history of its points."""
        wanted = request.query_params.get("window", "hour")
        window = WINDOWS.get(wanted)
        if window is None:
            known = ", ".join(WINDOWS)
            raise Problem(422, "bad-window", where="window", found=repr(wanted[:40]), remedy=f"choose one of {known}")
        wanted_alarms = Filter(active=True, gateway=gateway, device=device)
        alarms = await self._context.alarms.find(wanted_alarms, _OPEN_ALARMS)

        def ask() -> dict[str, Any]:
            registry, store = self._context.registry, self._context.store
            row = next((item for item in registry.devices(gateway) if item.id == device), None)
            if row is None:
                found = f"gateway {gateway[:80]!r} has no device {device[:80]!r}"
                raise Problem(404, "unknown-device", where="device", found=found, remedy="see /api/v1/devices")
            views = Views(self._context, language_of(request))
            newest = store.latest([series.id for series in select_series(self._context, gateway, device)])
            view = views.device(row, newest, _CHARTS)
            charts = [history(views, store, point.series, window) for point in view.points]
            return {
                "views": views,
                "device": view,
                "nodes": node_views(self._context, views, [row], newest, alarms),
                "back": f"/devices/{gateway}/{device}",
                "charts": list(zip(view.points, charts, strict=True)),
                "window": wanted,
                "windows": tuple(WINDOWS),
            }

        return self._render(request, "device.html", **await asyncio.to_thread(ask))

    async def alarms(self, request: Request) -> Response:
        """Return the list of alarms."""
        wanted = request.query_params.get("show", "all")
        active = {"open": True, "settled": False}.get(wanted)
        rows = await self._context.alarms.find(Filter(active=active), _OPEN_ALARMS)

        def ask() -> dict[str, Any]:
            views = Views(self._context, language_of(request))
            return {"views": views, "alarms": [views.alarm(row) for row in rows], "show": wanted}

        return self._render(request, "alarms.html", **await asyncio.to_thread(ask))

    async def alarm(self, request: Request, alarm: int) -> Response:
        """Return one alarm with its history."""
        found = await self._context.alarms.with_history(alarm) if 0 < alarm < 2**62 else None
        if found is None:
            raise unknown_alarm(alarm)
        row, changes = found

        def ask() -> dict[str, Any]:
            views = Views(self._context, language_of(request))
            return {
                "views": views,
                "alarm": views.alarm(row),
                "changes": changes,
                "lengths": show.LENGTHS,
                "full_time": partial(show.full_time, zone=None),
                "time": partial(show.clock_time, now=views.now, zone=None),
                "span": partial(show.span, lang=views.lang),
            }

        return self._render(request, "alarm.html", **await asyncio.to_thread(ask))

    async def acknowledge(self, request: Request, alarm: int) -> Response:
        """Acknowledge from a plain form, then show the page that it stands on: the overview, or a gateway's."""
        form = await _form(request)
        actor = _actor(form)
        if not 0 < alarm < 2**62:
            raise unknown_alarm(alarm)
        comment, back = form.get("comment", "").strip()[:1000], form.get("back", "")
        leads_back = _BACK.fullmatch(back) is not None
        try:
            await acknowledge_alarm(self._context, alarm, actor=actor, comment=comment)
        except Problem as problem:
            # Pressed twice, or by two people: that page says who was first, and nothing that was written is lost.
            if problem.status != HTTPStatus.CONFLICT or comment or not leads_back:
                raise
        return RedirectResponse(back if leads_back else "/", HTTPStatus.SEE_OTHER)

    async def handle(self, request: Request, alarm: int, act: str) -> Response:
        """Do from a plain form what is to be done with an alarm, then show it."""
        form = await _form(request)
        if not 0 < alarm < 2**62:
            raise unknown_alarm(alarm)
        actor, said = _actor(form), form.get("comment", "").strip()[:1000]
        context = self._context
        if act == "shelve":
            until = context.clock() + parse_step(form.get("for", "2h"), "for")
            await shelve_alarm(context, alarm, until, actor=actor, reason=said)
        elif act == "unshelve":
            await unshelve_alarm(context, alarm, actor=actor, comment=said)
        elif act == "reset":
            await reset_alarm(context, alarm, actor=actor, comment=said)
        elif act in {"comment", "assign"}:
            try:
                if act == "comment":
                    await context.alarms.comment(alarm, actor=actor, comment=said)
                else:
                    await context.alarms.assign(alarm, form.get("to", "").strip()[:120], actor=actor, comment=said)
            except NoSuchAlarm:
                raise unknown_alarm(alarm) from None
        else:
            raise Problem(404, "unknown-page", where="act", found=repr(act[:40]), remedy=f"open /alarms/{alarm}")
        return RedirectResponse(f"/alarms/{alarm}", HTTPStatus.SEE_OTHER)

    async def hidden(self, request: Request) -> Response:
        """Return what is hidden now, and is to be: by whom, why and until when."""
        now = self._context.clock()
        hidings = await self._context.alarms.hiding.all(now, over=False)
        rows = await self._context.alarms.hidden()

        def ask() -> dict[str, Any]:
            views = Views(self._context, language_of(request))
            return {
                "views": views,
                "hidings": [views.hiding(item, rows) for item in hidings],
                "by_design": [views.alarm(row) for row in rows if row.hiding is not None and not row.hiding.id],
                "devices": self._context.registry.devices(),
                "gateways": self._context.registry.gateways(),
                "lengths": show.LENGTHS,
                "full_time": partial(show.full_time, zone=None),
                "time": partial(show.clock_time, now=views.now, zone=None),
            }

        return self._render(request, "hidden.html", **await asyncio.to_thread(ask))

    async def alarm_health(self, request: Request) -> Response:
        """Return how the alarm system itself fares."""
        wanted = request.query_params.get("window", "week")
        length = PERIODS.get(wanted)
        if length is None:
            remedy = f"choose one of {', '.join(PERIODS)}"
            raise Problem(422, "bad-window", where="window", found=repr(wanted[:40]), remedy=remedy)
        now = self._context.clock()
        lang = language_of(request)
        rules = self._context.alarms.engine.rules
        return self._render(
            request,
            "alarm_health.html",
            health=await figures(self._context, now - length, now),
            wanted=MIX,
            titles={rule.id: rule.title.in_language(lang) or rule.id for rule in rules.values()},
            period=wanted,
            periods=tuple(PERIODS),
            number=show.number,
            span=partial(show.span, lang=lang),
            time=partial(show.clock_time, now=now, zone=None),
        )

    async def hide(self, request: Request) -> Response:
        """Take something out of service from a plain form, or hide it by design, then show what is hidden."""
        form = await _form(request)
        now = self._context.clock()
        kinds = {kind.value: kind for kind in Suppression if kind is not Suppression.SHELVED}
        kind = kinds.get(form.get("kind", ""))
        subject = form.get("subject", "")
        known = {item.id for item in self._context.registry.gateways()}
        known |= {f"{item.gateway}/{item.id}" for item in self._context.registry.devices()}
        if kind is None or subject not in known:
            found = repr(form.get("kind", "")[:40]) if kind is None else repr(subject[:130])
            remedy = "choose one of the list"
            raise Problem(422, "invalid-request", where="subject" if kind else "kind", found=found, remedy=remedy)
        until = now + parse_step(form.get("for", "1d"), "for")
        reason = form.get("comment", "").strip()[:1000]
        await hide_subject(self._context, Hiding(0, kind, "", subject, reason, _actor(form), now, until))
        return RedirectResponse("/alarms/hidden", HTTPStatus.SEE_OTHER)

    async def end_hiding(self, request: Request, number: int) -> Response:
        """Show what is hidden before its time, from a plain form."""
        await end_hiding(self._context, number, actor=_actor(await _form(request)))
        return RedirectResponse("/alarms/hidden", HTTPStatus.SEE_OTHER)

    # Signing in

    async def login(self, request: Request) -> Response:
        """Return the form that asks for the token."""
        return self._render(request, "login.html", wrong=False)

    async def sign_in(self, request: Request) -> Response:
        """Keep a valid token in a cookie that no script can read."""
        token = self._context.token
        given = (await _form(request)).get("token", "").strip()
        if token is None or not same_token(given, token):
            return self._render(request, "login.html", HTTPStatus.UNAUTHORIZED, wrong=True)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        secure = request.url.scheme == "https"
        response.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=secure, max_age=_YEAR_S)
        return response


def _actor(form: Mapping[str, str]) -> str:
    return form.get("actor", "").strip()[:120] or "operator"


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a plain form; the guard has limited its size."""
    body = (await request.body())[:MAX_BODY].decode("utf-8", "replace")
    try:
        fields = parse_qs(body, max_num_fields=20)
    except ValueError:
        raise Problem(422, "invalid-request", where="body", found="too many fields", remedy="send the form") from None
    return {name: values[0] for name, values in fields.items()}
