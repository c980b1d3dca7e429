"""The doors for writers that speak as to InfluxDB: ``/write`` (1.x), ``/api/v2/write`` (2), ``/ping``, ``/health``.

Which database, bucket or organisation a client names is of no account: its token says as which gateway it writes.
A request is answered when its readings are on disk. What of it is refused is told by line; the rest is kept.
"""

import asyncio
import zlib
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from linli_core.errors import Refused
from linli_core.wire.line_protocol import Precision
from linli_platform.api.context import ApiContext
from linli_platform.api.influx_errors import InfluxError
from linli_platform.api.influx_tokens import Caller, caller_of
from linli_platform.ingest.door import DoorClosed, NotItsGateway, Writer, Written

MAX_LINES: Final = 16 * 1024 * 1024
"""Bytes of one request, unpacked; clients send a tenth of it at a time."""

VERSION: Final = "1.8.10-linli"
"""What clients ask of is which of InfluxDB's interfaces they may use: those of 1.8, which has ``/api/v2/write``."""

_AT_ONCE: Final = 2
"""Requests whose lines are read at the same time: each holds several times its length meanwhile."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_TOLD: Final = 20


def influx_write_routes(context: ApiContext) -> APIRouter:
    """Return the routes; they are no part of our own API's description."""
    routes = APIRouter(include_in_schema=False)
    gate = asyncio.Semaphore(_AT_ONCE)
    known = Depends(caller_of(context))

    @routes.post("/write")
    async def write_as_to_1(
        request: Request, caller: Annotated[Caller, known], precision: Annotated[str, Query()] = "ns"
    ) -> Response:
        return await _write(context, gate, request, caller, precision)

    @routes.post("/api/v2/write")
    async def write_as_to_2(
        request: Request, caller: Annotated[Caller, known], precision: Annotated[str, Query()] = "ns"
    ) -> Response:
        return await _write(context, gate, request, caller, precision)

    @routes.api_route("/ping", methods=["GET", "HEAD"])
    async def ping(verbose: Annotated[str, Query()] = "") -> Response:
        headers = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "Linli"}
        if verbose not in ("", "0", "false"):
            return JSONResponse({"version": VERSION}, headers=headers)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)

    @routes.get("/health")
    async def health() -> JSONResponse:
        fares = context.parts()
        store = fares["store"].state if "store" in fares else "ok"
        good = store == "ok"
        body: dict[str, object] = {
            "name": "linli",
            "message": "ready for queries and writes" if good else "the store does not take what comes",
            "status": "pass" if good else "fail",
            "checks": [],
            "version": VERSION,
        }
        return JSONResponse(body, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    return routes


async def _write(
    context: ApiContext, gate: asyncio.Semaphore, request: Request, caller: Caller, precision: str
) -> Response:
    if caller.token is None or not caller.writes_as:
        who = f"token {caller.name}" if caller.name else "who bears no token of tokens.toml"
        raise InfluxError(
            HTTPStatus.FORBIDDEN, f"{who} may not write; make one: linli-platform token NAME --writes-as GATEWAY"
        )
    try:
        unit = Precision.of(precision)
    except ValueError as exc:
        raise InfluxError(HTTPStatus.BAD_REQUEST, f"precision: {exc}") from exc
    if context.write_lines is None:
        raise InfluxError(HTTPStatus.SERVICE_UNAVAILABLE, "nothing takes readings here at present; send it again")
    packed = await _body(request)
    async with gate:
        body = await asyncio.to_thread(_unpacked, packed, request.headers.get("content-encoding", "identity"))
        del packed
        try:
            written = await context.write_lines(Writer(caller.name, caller.token.rules), body, unit)
        except DoorClosed as exc:
            raise InfluxError(HTTPStatus.SERVICE_UNAVAILABLE, str(exc)) from exc
        except NotItsGateway as exc:
            raise InfluxError(HTTPStatus.CONFLICT, str(exc)) from exc
        except Refused as exc:
            raise InfluxError(HTTPStatus.FORBIDDEN, str(exc)) from exc
    return _answer(written)


async def _body(request: Request) -> bytes:
    """Return a request's body as it came, in whatever chunks; refused before more is held than may be."""
    chunks = bytearray()
    async for chunk in request.stream():
        if len(chunks) + len(chunk) > MAX_LINES:
            raise _too_large()
        chunks += chunk
    return bytes(chunks)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() != "gzip":
        raise InfluxError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Encoding {encoding[:40]!r}: send gzip, or nothing"
        )
    unpacked = bytearray()
    rest = body
    try:
        while rest:  # a file may hold several, one after the other (RFC 1952 §2.2)
            member = zlib.decompressobj(_GZIP)
            unpacked += member.decompress(rest, MAX_LINES + 1 - len(unpacked))
            if len(unpacked) > MAX_LINES or member.unconsumed_tail:
                raise _too_large()
            if not member.eof:
                raise InfluxError(HTTPStatus.BAD_REQUEST, "the gzip stream has no end: some of it is missing")
            rest = member.unused_data
    except zlib.error as exc:
        raise InfluxError(HTTPStatus.BAD_REQUEST, f"no gzip: {exc}") from exc
    return bytes(unpacked)


def _too_large() -> InfluxError:
    return InfluxError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_LINES} bytes, unpacked; send it in smaller parts"
    )


def _answer(written: Written) -> Response:
    """Return 204, or 400 in the words by which clients know that to send it again would be of no use."""
    if not written.refused and not written.unnamed:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"X-Influxdb-Version": VERSION})
    dropped = len(written.refused) + written.unnamed
    told = "; ".join(str(refused) for _, refused in written.refused[:_TOLD])
    more = f"; and {dropped - _TOLD} more" if dropped > _TOLD else ""
    named = [
        {"line": line, "reason": refused.reason.value, "message": str(refused)} for line, refused in written.refused
    ]
    return InfluxError(
        HTTPStatus.BAD_REQUEST,
        f"partial write: {told}{more} dropped={dropped}",
        written=written.readings,
        line=named[0]["line"] if named else None,
        refused=named,
    ).response()
