"""Who may ask, and what a browser may do with the answer."""

import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linli_platform.api.problem import Page, Problem

COOKIE: Final = "linli_token"
MAX_BODY: Final = 64 * 1024
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = frozenset({"/login"})
OUTSIDE: Final = "/api/v1/alarms/outside"
_OWN_TOKENS: Final = frozenset({"/query", "/write", "/api/v2/write", "/ping", "/health", OUTSIDE})
"""The doors of InfluxDB's shape, and that of others' alarms, look at their own tokens (``api.influx_tokens``)."""
_LARGER: Final = {OUTSIDE: 4 * 1024 * 1024}
"""Bodies that may be larger than :data:`MAX_BODY`: all alerts of a group come in one."""
_OWN_BOUNDS: Final = frozenset({"/write", "/api/v2/write"})
"""These count what comes, also where it comes in chunks of no stated length."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_KEEP: Final = "public, max-age=31536000, immutable"
"""Assets are asked for by the hash of their content."""

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": a browser would send a form's origin as "null", and the form would be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def same_token(given: str, token: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode(), token.encode())


def _bearer(headers: Headers) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware: token, host, origin, body size, security headers.

    Without a token the platform serves loopback only; a page of another site could still reach it through a name that
    resolves to 127.0.0.1, so only ``localhost``, IP addresses and the named hosts are answered.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str], page: Page) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts | {"localhost"}
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", _KEEP if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        problem = self._refuse(scope)
        if problem is None:
            await self._app(scope, receive, send_with_headers)
            return
        request = Request(scope, receive)
        response = await self._page(request, problem) or problem.response()
        await response(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        path = scope["path"]
        if self._token is None:
            name = _host_name(host)
            if name not in self._hosts and not _is_address(name):
                return Problem(421, "unknown-host", where="Host", found=f"{host[:80]!r}", remedy="use the IP address")
        elif not (path in _OPEN or path in _OWN_TOKENS or path.startswith("/static/")) and not same_token(
            _bearer(headers), self._token
        ):
            return Problem(
                401, "token-needed", where="Authorization", found="no valid token", remedy="send Bearer TOKEN"
            )
        if scope["method"] not in _SAFE:
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != host:
                return Problem(403, "foreign-origin", where="Origin", found=f"{origin[:80]!r}", remedy="use this site")
            if path in _OWN_BOUNDS:
                return None
            # A chunked body has no stated length; an absent one has neither header.
            length = headers.get("content-length", "" if "transfer-encoding" in headers else "0")
            most = _LARGER.get(path, MAX_BODY)
            if not length.isascii() or not length.isdigit() or int(length) > most:
                found, remedy = f"{length[:20]!r}", f"send {most // 1024} KiB at most"
                return Problem(413, "body-too-large", where="Content-Length", found=found, remedy=remedy)
        return None
