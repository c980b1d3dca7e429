"""What boards ask with one community's token: another community changes no word of any answer, whatever is chosen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from tests.hub.api.conftest import Clock, Site, open_site

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.log.account import Balance
from linli_dashboards.ask import Ask
from linli_dashboards.board import Board
from linli_dashboards.boards import BOARDS
from linli_dashboards.build import made
from linli_dashboards.check.grafana import POINTS, Shown, filled, presets
from linli_platform.api import create_app
from linli_platform.registry import Area, Device, Gateway, Loss, State
from linli_platform.store import Batch, EventRow
from linli_platform.tokens import Reads, Token, Tokens, make_secret

OURS, OTHERS = "yard", "lake"
SECRET, DIGEST = make_secret()
Variables = dict[str, str | list[str]]
Results = list[dict[str, Any]]

_NOTHING: Final = Batch(
    series=np.empty(0, np.int32),
    time=np.empty(0, np.int64),
    value=np.empty(0, np.float64),
    quality=np.empty(0, np.uint8),
    received_at=0,
)
_QUANTITIES: Final = sorted(
    {ask.quantity for board in BOARDS for panel in board.panels for ask in panel.asks if isinstance(ask, Ask)}
)


def _balance(day: int | None) -> Balance:
    return Balance(day, 10, 0, 0, 10, 10, 0, {}, 0, {}, 0, 0, 0, 0, 0)


async def _settled(site: Site, name: str) -> None:
    """Give a community a day of everything that any board asks for, with its name in every word of it."""
    now, gateway = site.clock(), f"gw-{name}"
    titles = {"zh": f"{name}（中文）", "en": f"{name} (English)"}
    building, flat = f"{name}-b1", f"{name}-flat"
    site.registry.declare(
        [
            Area(name, None, "community", titles),
            Area(building, name, "building", titles),
            Area(flat, building, "dwelling", titles),
        ],
        [Gateway(gateway, State.ACTIVE, titles, area=name)],
        [
            Device(gateway, f"{name}-meter", State.ACTIVE, "meter", titles, area=flat),
            Device(gateway, f"{name}-pump", State.ACTIVE, "pump", titles, area=building),
        ],
    )
    times = [now - 20 * HOUR, now - 3 * HOUR, now - HOUR, now - 5 * MINUTE]
    for device in (f"{name}-meter", f"{name}-pump"):
        rows = [(f"{device}/{it}", at, 40.0 + place) for it in _QUANTITIES for place, at in enumerate(times)]
        site.commit(gateway, rows)
    event = EventRow(gateway, f"{gateway}-1", now - MINUTE, "linli.device.silent", f"{name}-pump", json.dumps({}), now)
    site.store.append(_NOTHING, {}, events=[event])
    site.registry.book([Loss(gateway, "e1", 3, 4, "age", now - 3 * HOUR, now - 2 * HOUR, 80)], now)
    await site.settle()


@asynccontextmanager
async def _asking(folder: Path, *names: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a platform of communities, asked with the token of the first."""
    await asyncio.to_thread(folder.mkdir)
    async with open_site(folder, Clock()) as site:
        for name in names:
            await _settled(site, name)
        today = site.clock() // DAY * DAY
        counts = site.store.count_readings(today, today + DAY)
        site.store.complete(today, today + DAY, {one.id: 120 for one in site.store.all_series()}, counts, site.clock())
        day = site.clock() // DAY
        books = {f"gw-{name}": [_balance(day), _balance(None)] for name in names}
        tokens = Tokens([Token(OURS, DIGEST, reads=Reads(areas=(OURS,)))])
        context = replace(site.context, tokens=tokens, balances=lambda _losses, _day: books)
        transport = httpx.ASGITransport(create_app(context))
        headers = {"Authorization": f"Token {SECRET}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers) as client:
            yield client


@cache
def _dashboard(name: str) -> dict[str, Any]:
    (found,) = (each.dashboard for each in made(board for board in BOARDS if board.name == name) if each.lang == "en")
    return found


def _queries(board: Board, chosen: Variables) -> Iterator[str]:
    """Yield all that Grafana asks for a board, its choices and marks too."""
    dashboard = _dashboard(board.name)
    shown, variables = Shown.until(Clock().now // 1_000_000, "24h"), presets(dashboard) | chosen
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield filled(target["query"], shown, variables, panel.get("maxDataPoints") or POINTS)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield filled(variable["query"], shown, variables)
    for mark in dashboard["annotations"]["list"]:
        yield filled(mark["target"]["query"], shown, variables)


async def _asked(client: httpx.AsyncClient, text: str) -> Results:
    response = await client.post("/query", data={"db": "linli", "epoch": "ms", "q": text})
    assert response.status_code in {200, 400}, response.text
    found: Results = response.json().get("results", [])
    return [{name: value for name, value in one.items() if name != "statement_id"} for one in found]


async def _of_board(client: httpx.AsyncClient, board: Board, chosen: Variables) -> dict[str, Any]:
    queries = list(_queries(board, chosen))
    results = await _asked(client, "; ".join(queries))
    assert len(results) == len(queries)
    return dict(zip(queries, results, strict=True))


async def test_no_answer_tells_of_another_community_whatever_is_chosen(tmp_path: Path) -> None:
    async with _asking(tmp_path / "both", OURS, OTHERS) as both, _asking(tmp_path / "alone", OURS) as alone:
        values = 0
        for board in BOARDS:
            everything = await _of_board(both, board, {})
            # As if the other community were not there: no sum, no count, no list is another.
            assert everything == await _of_board(alone, board, {}), board.name
            assert not any("error" in result for result in everything.values()), board.name
            values += sum("series" in result for result in everything.values())
            for query, result in (await _of_board(both, board, {"area": [OTHERS]})).items():
                # What does not ask by the place is answered as before, all else with nothing.
                assert result in ({}, everything.get(query)), query
            mixed = await _of_board(both, board, {"area": [OURS, OTHERS], "device": [f"{OTHERS}-pump", f"{OURS}-pump"]})
            own = await _of_board(both, board, {"area": [OURS], "device": [f"{OURS}-pump"]})
            assert list(mixed.values()) == list(own.values()), board.name
        assert values > 150, "boards that are answered with nothing prove nothing"


async def test_a_variable_that_is_a_statement_of_its_own_reaches_nothing_else(tmp_path: Path) -> None:
    """Who writes a query of their own, or an address with a variable that Grafana puts in as it stands."""
    async with _asking(tmp_path / "both", OURS, OTHERS) as both:
        answered = 0
        for board, written in zip(BOARDS, cycle(_WRITTEN)):
            # As many of them as time allows; what differs from board to board is the measurement.
            for query in list(dict.fromkeys(_queries(board, {"area": written})))[::5]:
                found = json.dumps([one.get("series", []) for one in await _asked(both, query)], ensure_ascii=False)
                assert OTHERS not in found, query
                answered += OURS in found
        assert answered > 20, "statements that are refused prove nothing"


_WRITTEN: Final = (
    f'x$/ OR "community" =~ /^{OTHERS}|^{OURS}',
    f'.*$/ OR "gateway" = \'gw-{OTHERS}\' OR "community" =~ /.*',
    f'.*$/; SHOW TAG VALUES WITH KEY =~ /.*/; SELECT * FROM /.*/ WHERE "community" =~ /{OTHERS}|{OURS}',
    f"(?i){OTHERS}|.*",
)
