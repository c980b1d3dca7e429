"""``/query``: InfluxQL, answered in InfluxDB's own form, so that Grafana and others need know nothing of Linli.

What the asker may not see is not in the catalogue that its statements are planned over: no statement can reach it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from linli_platform.api.context import ApiContext
from linli_platform.api.influx_errors import InfluxError
from linli_platform.api.influx_tokens import Caller, Subject, caller_of, visible
from linli_platform.api.influx_write import VERSION
from linli_platform.influxql.catalogue import Places
from linli_platform.influxql.encode import EPOCHS, to_csv, to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.joined import Joined
from linli_platform.influxql.parameters import read_parameters
from linli_platform.influxql.parse import QuerySyntaxError, parse
from linli_platform.influxql.store_source import StoreSource
from linli_platform.influxql.told import told
from linli_platform.influxql.told.known import Knowing, Known, Sees
from linli_platform.store import StoreError, rollup

_AT_ONCE: Final = 2
"""Queries that are worked on at one time: each may take as much memory as all readings of its range."""

_FORM: Final = "application/x-www-form-urlencoded"
_CSV: Final = frozenset({"application/csv", "text/csv"})


def query_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    door = _Door(context)
    router = APIRouter(include_in_schema=False)

    async def query(request: Request, caller: Annotated[Caller, Depends(caller_of(context))]) -> Response:
        return await door.answer(request, caller)

    router.add_api_route("/query", query, methods=["GET", "POST"])
    return router


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    parameters: str
    database: str
    unit: int | None
    caller: Caller


class _Door:
    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._knowing = Knowing(context.store, context.registry, context.alarms, context.balances, context.zone)

    async def answer(self, request: Request, caller: Caller) -> Response:
        """Answer one request, of one statement or several."""
        asked = await _parameters(request)
        text = asked.get("q", "")
        if not text.strip():
            raise InfluxError(HTTPStatus.BAD_REQUEST, 'missing required parameter "q"')
        unit = _unit(asked.get("epoch", ""))
        query = _Query(text, asked.get("params", ""), asked.get("db", ""), unit, caller)
        as_csv = any(accepted in request.headers.get("accept", "") for accepted in _CSV)
        async with self._turn:
            try:
                body, rollups = await asyncio.to_thread(self._work, query, as_csv=as_csv)
            except QuerySyntaxError as exc:
                raise InfluxError(HTTPStatus.BAD_REQUEST, str(exc)) from exc
            except StoreError as exc:
                raise InfluxError(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {exc}") from exc
        headers = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "Linli"}
        if rollups:
            headers["X-Linli-Rollups"] = ", ".join(rollup.NAMES[length] for length in sorted(rollups))
        return Response(body, media_type="text/csv" if as_csv else "application/json", headers=headers)

    def _work(self, query: _Query, *, as_csv: bool) -> tuple[bytes, set[int]]:
        """Return the answer, and the lengths of the rollups it was put together from."""
        statements = parse(query.text, read_parameters(query.parameters))
        known = self._known_to(query.caller)
        source = StoreSource(self._context.store, known.catalogue, known.registers)
        context = self._context
        results = execute(statements, Joined(source, told(known)), context.clock() * 1000, query.database, context.zone)
        body = to_csv(results, query.unit).encode() if as_csv else to_json(results, query.unit)
        return body, source.rollups

    def _known_to(self, caller: Caller) -> Known:
        """Return what a caller may see; a token that was given other rights is another caller."""

        def sees(places: Places) -> Sees:
            seen = visible(caller.reads, places.areas(), places.gateways(), places.devices())
            return lambda gateway, device: seen(Subject(gateway, device))

        who = caller.name, caller.reads
        return self._knowing.of(who, self._context.clock(), sees, everything=caller.reads.everything)


async def _parameters(request: Request) -> Mapping[str, str]:
    """Return what is asked, of the address and of a form; the form's word goes first."""
    asked = dict(request.query_params)
    if request.method == "POST":
        body = await request.body()
        kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        if body and kind != _FORM:
            found = f"the body is {kind[:80] or 'of no type'}"
            raise InfluxError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{found}; send the query as {_FORM}")
        try:
            asked |= dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
        except ValueError as exc:
            raise InfluxError(HTTPStatus.BAD_REQUEST, f"the form cannot be read: {exc}") from exc
    return asked


def _unit(epoch: str) -> int | None:
    if not epoch or epoch == "rfc3339":
        return None
    if epoch not in EPOCHS:
        raise InfluxError(HTTPStatus.BAD_REQUEST, f"epoch {epoch[:20]!r}: use one of {', '.join(EPOCHS)}")
    return EPOCHS[epoch]
