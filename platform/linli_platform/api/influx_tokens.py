"""Who speaks at a door of InfluxDB's shape, and what of the community it may see.

A route takes ``Depends(caller_of(context))`` and has a :class:`Caller`. What that one may see is asked of
:func:`visible`: the registry says which device lies in which area now.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import Request

from linli_platform.api.context import ApiContext
from linli_platform.api.influx_errors import InfluxError
from linli_platform.api.security import same_token
from linli_platform.registry import Area, Device, Gateway
from linli_platform.registry.areas import line_of
from linli_platform.tokens import Reads, Token

_EVERYTHING: Final = Reads(everything=True)
_SCHEMES: Final = frozenset({"token", "bearer"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks.

    Attributes:
        name: The token's; empty for who bears the platform's own, and for anybody where only loopback is served.
        reads: What it may see.
        token: The token; ``None`` for those two.
    """

    name: str
    reads: Reads
    token: Token | None = None

    @property
    def writes_as(self) -> str:
        """The gateway under whose id its readings are kept; empty if it may not write."""
        return "" if self.token is None else self.token.writes_as


class Located(Protocol):
    """Something of a gateway's device, or with an empty device of the gateway as a whole."""

    @property
    def gateway(self) -> str:
        """The gateway."""
        ...

    @property
    def device(self) -> str:
        """The device."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway's device; a gateway, if ``device`` is empty."""

    gateway: str
    device: str = ""


Sight = Callable[[Located], bool]
"""Tells whether a series, or what else is told of a device or gateway, may be seen."""


def caller_of(context: ApiContext) -> Callable[[Request], Awaitable[Caller]]:
    """Return the dependency that tells who speaks: :class:`InfluxError` 401 if nobody who may."""

    async def caller(request: Request) -> Caller:
        given = _given(request)
        if given is None:
            if context.token is None and not len(context.tokens):
                return Caller("", _EVERYTHING)
            raise InfluxError(401, "authorization needed: send a token (Token, Bearer, Basic, or u and p)")
        name, secret = given
        token = context.tokens.find(secret, name)
        if token is not None:
            return Caller(token.name, token.reads, token)
        if context.token is not None and same_token(secret, context.token):
            return Caller("", _EVERYTHING)
        if context.token is None and not len(context.tokens):
            # Clients send what they were once given, also to a server that asks for nothing.
            return Caller("", _EVERYTHING)
        raise InfluxError(401, "authorization failed: no such token, or not of this user")

    return caller


def _given(request: Request) -> tuple[str, str] | None:
    """Return user (may be empty) and secret of a request; ``None`` if it bears none."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    credentials = credentials.strip()
    if scheme.lower() in _SCHEMES:
        # 1.8 takes "Token user:secret" too; our secrets hold no colon.
        name, _, secret = credentials.rpartition(":")
        return (name, secret) if secret else None
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, ValueError):
            return "", ""
        name, _, secret = text.partition(":")
        return name, secret
    secret = request.query_params.get("p", "")
    return (request.query_params.get("u", ""), secret) if secret else None


def visible(reads: Reads, areas: Iterable[Area], gateways: Iterable[Gateway], devices: Iterable[Device]) -> Sight:
    """Return what tells which series may be seen.

    A device lies in its own area, or where its gateway does; whoever sees an area sees those below it.
    """
    if reads.everything:
        return lambda _info: True
    whole = frozenset(reads.gateways)
    seen = _below(frozenset(reads.areas), {area.id: area.parent for area in areas})
    of_gateway = {gateway.id: gateway.area for gateway in gateways}
    of_device = {(device.gateway, device.id): device.area for device in devices}

    def sees(info: Located) -> bool:
        if info.gateway in whole:
            return True
        area = of_device.get((info.gateway, info.device)) or of_gateway.get(info.gateway)
        return area is not None and area in seen

    return sees


def _below(roots: frozenset[str], parents: Mapping[str, str | None]) -> frozenset[str]:
    return frozenset(area for area in parents if not roots.isdisjoint(line_of(area, parents)))
