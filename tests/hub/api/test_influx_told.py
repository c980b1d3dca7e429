"""What the platform tells of itself in InfluxQL, and to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.log.account import Balance
from linli_core.vocabulary import vocabulary
from linli_core.wire.messages import DiskState, Status
from linli_platform.api import create_app
from linli_platform.influxql.told import TOLD
from linli_platform.registry import Area, Device, Gateway, Loss, State
from linli_platform.store import Batch, EventRow
from linli_platform.tokens import Reads, Token, Tokens, make_secret

if TYPE_CHECKING:
    from tests.hub.api.conftest import Site

NOTHING = Batch(
    series=np.empty(0, np.int32),
    time=np.empty(0, np.int64),
    value=np.empty(0, np.float64),
    quality=np.empty(0, np.uint8),
    received_at=0,
)
SECRET, DIGEST = make_secret()
NAMES = sorted([*(table.name for table in TOLD), "completeness", "event"])
ROWS = {name: f'SELECT * FROM "{name}"' for name in NAMES}


def balance(day: int | None, unexplained: int = 0) -> Balance:
    return Balance(day, 10, 0, 0, 10, 10 - unexplained, 0, {}, 0, {}, 0, 0, 0, 0, unexplained)


@pytest.fixture
def told(furnished: Site) -> Site:
    """A community of two buildings, of which each thing that is told of can be told apart."""
    now, registry = furnished.clock(), furnished.registry
    registry.declare(
        [
            Area("yard", None, "community", {"zh": "茉莉花园", "en": "Jasmine Garden"}),
            Area("b1", "yard", "building", {"zh": "一号楼", "en": "Building 1"}),
            Area("b2", "yard", "building"),
            Area("empty", None, "community"),
        ],
        [
            Gateway("gw-kitchen", State.ACTIVE, {"zh": "厨房", "en": "Kitchen"}, area="b1"),
            Gateway("gw-electric", State.ACTIVE, {}, area="yard"),
            Gateway("gw-old", State.RETIRED, {}, area="b1"),
        ],
        [
            Device("gw-kitchen", "cold-room-1", State.ACTIVE, "cold_room", {"zh": "一号冷库", "en": "Cold room 1"}),
            Device("gw-electric", "meter-1", State.ACTIVE, "electricity_meter", area="b1"),
            Device("gw-electric", "meter-2", State.ACTIVE, "electricity_meter", area="b2"),
        ],
    )
    registry.set_status(
        "gw-kitchen",
        Status(gateway="gw-kitchen", state="lost", version="1.2", disk=DiskState(2_000_000, 900)),
        now - HOUR,
    )
    registry.book([Loss("gw-kitchen", "k1", 3, 4, "age", now - 3 * HOUR, now - 2 * HOUR, 80)], now)
    events = [
        EventRow(gateway, f"{gateway}-1", now - MINUTE, kind, subject, json.dumps({}), now)
        for gateway, kind, subject in (
            ("gw-electric", "linli.link.down", "bus-1"),
            ("gw-electric", "linli.device.swapped", "meter-1"),
            ("gw-kitchen", "linli.device.silent", "cold-room-1"),
        )
    ]
    events[1] = replace(events[1], id="gw-electric-2")
    furnished.store.append(NOTHING, {}, events=events)
    series = furnished.store.all_series()
    today = now // DAY * DAY
    counts = furnished.store.count_readings(today, today + DAY)
    furnished.store.complete(today, today + DAY, {one.id: 120 for one in series}, counts, now)
    books = {
        "gw-kitchen": [balance(now // DAY), balance(None)],
        "gw-electric": [balance(now // DAY, 2), balance(None, 2)],
    }
    furnished.context = replace(furnished.context, balances=lambda _losses, _day: books)
    return furnished


def client_of(site: Site, reads: Reads | None = None) -> httpx.AsyncClient:
    tokens = Tokens([Token("one", DIGEST, reads=reads or Reads(everything=True))])
    transport = httpx.ASGITransport(create_app(replace(site.context, tokens=tokens)))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


async def asked(site: Site, text: str, reads: Reads | None = None) -> list[dict[str, Any]]:
    """Return the rows of an answer, by their columns and tags."""
    async with client_of(site, reads) as client:
        return await rows_of(client, text)


async def rows_of(client: httpx.AsyncClient, text: str) -> list[dict[str, Any]]:
    given = {"db": "linli", "epoch": "ms", "q": text}
    response = await client.get("/query", params=given, headers={"Authorization": f"Token {SECRET}"})
    assert response.status_code == 200, response.text
    (result,) = response.json()["results"]
    assert "error" not in result, result
    return [
        one.get("tags", {}) | dict(zip(one["columns"], values, strict=True))
        for one in result.get("series", [])
        for values in one["values"]
    ]


def test_no_quantity_has_the_name_of_what_is_told() -> None:
    assert vocabulary().keys().isdisjoint(NAMES)
    assert len(set(NAMES)) == len(NAMES)


async def test_all_of_it_is_listed_beside_the_quantities(told: Site) -> None:
    names = [row["name"] for row in await asked(told, "SHOW MEASUREMENTS")]
    assert set(NAMES) <= set(names)
    assert "active_power" in names
    assert names == sorted(names)
    keys = {row["fieldKey"] for row in await asked(told, 'SHOW FIELD KEYS FROM "gateway_state"')}
    assert keys >= {"age", "away", "backlog", "online", "state"}


async def test_a_pattern_of_all_measurements_brings_no_value_of_what_is_told(told: Site) -> None:
    found = await asked(told, "SELECT last(value) FROM /.*/ GROUP BY point")
    assert {row["point"] for row in found} <= {one.name for one in told.store.all_series()}
    assert len(found) == len({row["point"] for row in found})


@pytest.mark.parametrize(
    ("kind", "gateway"), [("linli.device.swapped", "gw-kitchen"), ("linli.register.glitch", "gw-electric")]
)
async def test_no_flood_of_events_takes_an_exchange_out_of_what_was_used(
    told: Site, monkeypatch: pytest.MonkeyPatch, kind: str, gateway: str
) -> None:
    """Neither another community's, nor one of what else is told of one's own registers."""
    monkeypatch.setattr("linli_platform.influxql.counted._MOST", 3)
    now = told.clock()
    told.commit("gw-electric", [("meter-1/water_volume", now - HOUR * (3 - step), 7000.0 * step) for step in range(3)])
    data = json.dumps({"final": {"water_volume": 0}, "start": {"water_volume": 7000}})
    swap = EventRow("gw-electric", "swap", now - 3 * HOUR + 1, "linli.device.swapped", "meter-1", data, now)
    flood = [EventRow(gateway, f"later-{number}", now, kind, "cold-room-1", "{}", now) for number in range(5)]
    told.store.append(NOTHING, {}, events=[swap, *flood])
    ours = Reads(gateways=("gw-electric",))
    (row,) = await asked(told, 'SELECT spread("counted") FROM "water_volume"', ours)
    assert row["spread"] == 7000.0, "the step to what a used meter showed is no use"


async def test_areas_can_be_chosen_by_what_people_call_them(told: Site) -> None:
    found = await asked(told, 'SHOW TAG VALUES FROM "area" WITH KEY = "label_zh" WHERE area_kind = \'building\'')
    assert [row["value"] for row in found] == ["b2 [b2]", "一号楼 [b1]"]
    found = await asked(told, 'SHOW TAG VALUES FROM "area" WITH KEY = "label_en" WHERE community =~ /^yard$/')
    assert {row["value"] for row in found} == {"Jasmine Garden [yard]", "Building 1 [b1]", "b2 [b2]"}


async def test_gateways_tell_how_they_fare(told: Site) -> None:
    rows = {row["gateway"]: row for row in await asked(told, ROWS["gateway_state"])}
    assert rows.keys() == {"gw-kitchen", "gw-electric"}, "a retired one has nothing to tell"
    kitchen, electric = rows["gw-kitchen"], rows["gw-electric"]
    assert (kitchen["state"], kitchen["online"], kitchen["away"]) == ("lost", 0, 1)
    assert (kitchen["card_days"], kitchen["card_bytes"], kitchen["version"]) == (900, 2_000_000, "1.2")
    assert (kitchen["gateway_zh"], kitchen["building_en"]) == ("厨房", "Building 1")
    assert (electric["state"], electric["backlog"], electric["doubtful"]) == ("online", 12, 1)
    assert electric["card_days"] is None, "what it did not tell is no value"


async def test_a_writer_that_tells_no_status_is_not_away(told: Site) -> None:
    told.registry.hold("telegraf", ["m1"], told.clock())
    told.registry.declare([], [Gateway("gw-planned", State.ACTIVE)], [])
    rows = {row["gateway"]: row for row in await asked(told, ROWS["gateway_state"])}
    assert [rows["telegraf"][name] for name in ("state", "online", "away")] == ["unknown", None, None]
    # One of which nothing was ever heard is.
    assert [rows["gw-planned"][name] for name in ("state", "online", "away")] == ["unknown", 0, 1]


async def test_an_alarm_of_another_system_is_no_silent_device(told: Site) -> None:
    counted = 'SELECT count("silent") AS devices, sum("silent") AS silent FROM device_state'
    before = await asked(told, counted)
    told.registry.declare([], [], [Device("gw-electric", "outside-low-1", State.ACTIVE, "outside-alarm", area="b1")])
    assert await asked(told, counted) == before
    rows = {row["device"]: row for row in await asked(told, ROWS["device_state"])}
    assert rows["outside-low-1"]["silent"] is None


async def test_anothers_events_leave_none_out(told: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.influxql.told.events._MOST", 2)
    later = [
        EventRow("gw-electric", f"gw-electric-9{number}", told.clock(), "linli.link.down", "bus-1", "{}", told.clock())
        for number in range(3)
    ]
    told.store.append(NOTHING, {}, events=later)
    found = await asked(told, "SELECT id FROM event", Reads(gateways=("gw-kitchen",)))
    assert [row["id"] for row in found] == ["gw-kitchen-1"]


async def test_lines_and_devices_on_them(told: Site) -> None:
    (link,) = await asked(told, ROWS["link_state"])
    assert (link["link"], link["state"], link["use"], link["silent"]) == ("bus-1", "degraded", 0.31, 1)
    units = {row["device"]: row for row in await asked(told, ROWS["unit_state"])}
    assert (units["meter-2"]["timeouts"], units["meter-2"]["late"], units["meter-2"]["median"]) == (9, 2, None)
    assert units["meter-1"]["median"] == 0.042


async def test_devices_and_their_points(told: Site) -> None:
    rows = {row["device"]: row for row in await asked(told, ROWS["device_state"])}
    assert rows["cold-room-1"]["label_en"] == "Cold room 1 [cold-room-1]"
    assert rows["cold-room-1"]["device_kind"] == "cold_room"
    assert rows["meter-1"]["silent"] == 0
    points = {row["point"]: row for row in await asked(told, "SELECT * FROM point_state WHERE device = 'meter-2'")}
    (power,) = points.values()
    assert (power["state"], power["number"], power["quantity_zh"]) == ("bad", None, "有功功率")


async def test_the_books(told: Site) -> None:
    rows = {row["gateway"]: row for row in await asked(told, ROWS["account"])}
    assert (rows["gw-electric"]["polled"], rows["gw-electric"]["unexplained"]) == (10, 2)
    assert rows["gw-electric"]["time"] % (DAY // 1000) == 0
    loss = next(row for row in await asked(told, ROWS["loss"]) if row["gateway"] == "gw-kitchen")
    assert (loss["cause"], loss["messages"], loss["readings"]) == ("age", 2, 80)


@pytest.mark.parametrize("name", ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC"])
async def test_days_of_books_begin_where_the_communitys_days_do(told: Site, name: str) -> None:
    """Over a change of the clocks too, and each in a window of its own."""
    zone = ZoneInfo(name)
    dates = [date(2026, 3, 7) + timedelta(days=number) for number in range(24)]
    book = {"gw-electric": [balance((each - date(1970, 1, 1)).days, number) for number, each in enumerate(dates)]}
    told.context = replace(told.context, balances=lambda _losses, _day: book, zone=zone)
    rows = await asked(told, "SELECT unexplained FROM account")
    begins = [datetime.fromtimestamp(row["time"] / 1000, zone) for row in rows]
    assert [(it.date(), it.hour, it.minute) for it in begins] == [(each, 0, 0) for each in dates]
    window = f"time >= {rows[0]['time']}ms AND time <= {rows[-1]['time']}ms"
    text = f"SELECT sum(unexplained) AS n FROM account WHERE {window} GROUP BY time(1d) tz('Local')"
    assert [(row["time"], row["n"]) for row in await asked(told, text)] == [
        (row["time"], row["unexplained"]) for row in rows
    ]


async def test_completeness_by_day(told: Site) -> None:
    now = told.clock()
    rows = await asked(told, f"SELECT * FROM completeness WHERE time >= {now * 1000} - 2d AND time <= {now * 1000}")
    assert {row["point"] for row in rows} == {one.name for one in told.store.all_series()}
    room = next(row for row in rows if row["quantity"] == "air_temperature")
    assert (room["expected"], room["received"] + room["missing"]) == (120, 120)
    assert room["share"] == pytest.approx(room["good"] / 120)
    assert await asked(told, f"SELECT * FROM completeness WHERE time < {now * 1000} - 5d") == []


async def test_events_of_the_time_that_is_asked_for_are_told_and_no_others(told: Site) -> None:
    """Read are those alone, of those alone who are asked for."""
    now = told.clock() * 1000
    hour = now - HOUR * 1000
    for number, at in enumerate((hour - 1_000, hour, hour + 1_000, now + 2 * DAY * 1000, -5_000_000)):
        event = EventRow("gw-kitchen", f"e{number}", at // 1000, "linli.link.up", "", "{}", told.clock())
        told.store.append(NOTHING, {}, events=[event])

    async def ids(condition: str) -> list[str]:
        rows = await asked(told, f"SELECT id FROM event WHERE type = 'linli.link.up' AND {condition}")
        return [row["id"] for row in rows]

    assert await ids(f"time >= {hour} AND time <= {now}") == ["e1", "e2"]
    assert await ids(f"time > {hour} AND time < {hour + 1_000}") == []
    assert await ids(f"time >= {hour - 1_000} AND time < {hour + 1_001}") == ["e0", "e1", "e2"]
    assert await ids(f"time > {hour - 999} AND time <= {hour + 999}") == ["e1"]
    # Without a lower bound there is none; what a clock ahead of time told is there for whoever asks for it.
    assert await ids(f"time <= {hour}") == ["e4", "e0", "e1"]
    assert await ids(f"time > {now}") == ["e3"]
    assert await ids("time < '1960-01-01T00:00:00Z'") == []
    assert [row["n"] for row in await asked(told, f"SELECT count(id) AS n FROM event WHERE time > {hour}")] == [5]


async def test_more_events_than_one_answer_may_hold_are_refused(told: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.influxql.told.events._MOST", 2)
    assert len(await asked(told, "SELECT id FROM event WHERE type =~ /device/")) == 2
    async with client_of(told) as client:
        given = {"db": "linli", "q": "SELECT id FROM event"}
        response = await client.get("/query", params=given, headers={"Authorization": f"Token {SECRET}"})
    (result,) = response.json()["results"]
    assert result["error"] == "more than 2 events: ask for a shorter time, or for one type of them"


async def test_events_say_whose_they_are(told: Site) -> None:
    rows = {row["type"]: row for row in await asked(told, ROWS["event"])}
    assert rows["linli.device.silent"]["said_zh"] == "一号冷库：不应答"
    assert rows["linli.link.down"]["said_en"] == "bus-1: line down"
    assert rows["linli.device.swapped"]["device"] == "meter-1"
    odd = EventRow("gw-kitchen", "odd", told.clock(), "linli.node.new-thing", "", "{}", told.clock())
    told.store.append(NOTHING, {}, events=[odd])
    (row,) = await asked(told, "SELECT said_zh FROM event WHERE type = 'linli.node.new-thing'")
    assert row["said_zh"] == "厨房：node.new-thing", "what has no name is called by its type"


async def test_nobody_is_told_of_what_it_may_not_see(told: Site) -> None:
    """Whoever sees one building sees of every measurement what lies in it, and no word of anything else."""
    for name in NAMES:
        window = f" WHERE time >= {told.clock() * 1000} - 2d AND time <= {told.clock() * 1000}"
        text = ROWS[name] + (window if name == "completeness" else "")
        only_link = name == "link_state"
        assert len(await asked(told, text)) > (0 if only_link else 1), name
        kitchen = await asked(told, text, Reads(areas=("b1",)))
        said = json.dumps(kitchen, ensure_ascii=False)
        for hidden in ("b2", "meter-2", '"empty"'):
            assert hidden not in said, name
        assert {(row.get("gateway"), row.get("device")) for row in kitchen} <= {
            (None, None),
            ("gw-kitchen", None),
            ("gw-kitchen", "cold-room-1"),
            ("gw-electric", "meter-1"),
        }, name
        assert bool(kitchen) is not only_link, name
        assert await asked(told, text, Reads()) == [], name


async def test_what_is_moved_is_seen_where_it_is_with_the_next_question(told: Site) -> None:
    """What is known of places is kept, and no moment longer than it is true."""
    names = 'SHOW TAG VALUES FROM "device_state" WITH KEY = "device"'
    async with client_of(told, Reads(areas=("b2",))) as client:
        assert [row["value"] for row in await rows_of(client, names)] == ["meter-2"]
        told.registry.declare([], [], [Device("gw-electric", "meter-2", State.ACTIVE, area="b1")])
        assert await rows_of(client, names) == []
        assert await rows_of(client, "SELECT last(value) FROM active_power") == []
        told.registry.declare(
            [Area("b3", "b2", "dwelling")], [], [Device("gw-electric", "meter-1", State.ACTIVE, area="b3")]
        )
        assert [row["value"] for row in await rows_of(client, names)] == ["meter-1"]
        told.registry.retire("gw-electric", "meter-1")
        assert await rows_of(client, names) == []


@pytest.mark.parametrize(
    ("name", "field"),
    [("device_state", "silent"), ("device_state", "age"), ("point_state", "number"), ("gateway_state", "card_bytes")],
)
async def test_what_is_told_adds_up_to_its_rows(told: Site, name: str, field: str) -> None:
    rows = await asked(told, f'SELECT * FROM "{name}"')
    found = await asked(
        told,
        f'SELECT count("{field}") AS c, sum("{field}") AS s, spread("{field}") AS d FROM "{name}" GROUP BY building',
    )
    for one in found:
        values = [row[field] for row in rows if (row["building"] or "") == one["building"] and row[field] is not None]
        assert (one["c"], one["d"]) == (len(values), max(values) - min(values))
        assert one["s"] == pytest.approx(sum(values))
        assert isinstance(one["s"], type(values[0])), "a sum of whole numbers is one"
    assert sum(one["c"] for one in found) == sum(row[field] is not None for row in rows) > 0


async def test_the_completeness_of_a_place_adds_up_to_its_points(told: Site) -> None:
    window = f" WHERE time >= {told.clock() * 1000} - 2d AND time <= {told.clock() * 1000}"
    rows = await asked(told, f"SELECT * FROM completeness{window}")
    whole = "sum(fulfilled) / sum(expected) AS s"
    found = await asked(
        told, f"SELECT mean(share) AS m, sum(missing) AS n, {whole} FROM completeness{window} GROUP BY building"
    )
    for one in found:
        own = [row for row in rows if (row["building"] or "") == one["building"]]
        assert one["m"] == pytest.approx(sum(row["share"] for row in own) / len(own))
        assert one["n"] == sum(row["missing"] for row in own)
        good = sum(min(row["good"], row["expected"]) for row in own)
        assert one["s"] == pytest.approx(good / sum(row["expected"] for row in own))
    assert {one["building"] for one in found} == {row["building"] or "" for row in rows}
