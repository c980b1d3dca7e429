"""The search for DL/T 645 and CJ/T 188 meters, against simulated meters that collide."""

import json
from collections.abc import Sequence

import pytest

from linli_core.codecs.cjt188 import Order
from linli_core.codecs.dlt645 import Edition
from linli_core.instant import from_rfc3339
from linli_edge.commissioning.scanner import Heard, Search, Wanted, load
from linli_edge.commissioning.target import Target
from linli_edge.transport.settings import SerialSettings
from linli_sim.cjt188_meter import make_meters
from linli_sim.dlt645_meter import Dlt645Meter
from linli_sim.line.stations import Station
from linli_sim.timeless_line import merged

NOW = from_rfc3339("2026-11-25T08:00:00Z")


def wanted(protocol: str) -> Wanted:
    return Wanted(Target("line", protocol, SerialSettings("/dev/ttyUSB0", 2400, "even"), given=True))


def carry_out(search: Search, stations: Sequence[Station], *, echo: bool = False) -> int:
    probes = 0
    while (probe := search.next()) is not None:
        assert search.next() is not None
        answer = merged([said for station in stations if (said := station.hear(probe.data))])
        search.take(Heard((probe.data if echo else b"") + answer, 30_000 if answer else None))
        probes += 1
        assert probes < 2000
        json.dumps(search.state())
    return probes


def meter(address: str, edition: Edition = Edition.E2007) -> Dlt645Meter:
    return Dlt645Meter(address, lambda: {0x9010: bytes(4)}, edition)


@pytest.mark.parametrize("echo", [False, True])
def test_one_meter_is_found_by_the_widest_question(*, echo: bool) -> None:
    search = load("dlt645").start(wanted("dlt645"), None)
    assert carry_out(search, [meter("202107072529")], echo=echo) == 2
    (found,) = search.found()
    assert found.address == "202107072529"
    assert found.device == {"address": "202107072529", "edition": "2007", "profile": "dlt645-standard"}
    assert not search.hints()


def test_meters_that_answer_at_once_are_told_apart_digit_by_digit() -> None:
    addresses = ["202107072501", "202107072502", "202107082502", "202207072502", "000000000099"]
    search = load("dlt645").start(wanted("dlt645"), None)
    probes = carry_out(search, [meter(address) for address in addresses])
    assert {found.address for found in search.found()} == set(addresses)
    # Two widest, a hundred for the lowest byte, a hundred for each byte below which two still collide.
    assert probes == 2 + 100 * 5


def test_both_editions_are_found_on_one_line() -> None:
    old, new = meter("151800160485", Edition.E1997), meter("202107072529")
    search = load("dlt645").start(wanted("dlt645"), None)
    carry_out(search, [old, new])
    assert {(found.device["address"], found.device["edition"]) for found in search.found()} == {
        ("202107072529", "2007"),
        # Asked by the wildcard a meter of 1997 may answer with it: then it must be the only one.
        ("AAAAAAAAAAAA", "1997"),
    }


def test_a_search_that_was_stopped_goes_on_where_it_was() -> None:
    stations = [meter("202107072501"), meter("202107072502")]
    search = load("dlt645").start(wanted("dlt645"), None)
    for _ in range(10):
        probe = search.next()
        assert probe is not None
        search.take(Heard(merged([said for station in stations if (said := station.hear(probe.data))]), 1))
    again = load("dlt645").start(wanted("dlt645"), json.loads(json.dumps(search.state())))
    assert again.estimate() == search.estimate()
    carry_out(again, stations)
    assert {found.address for found in again.found()} == {"202107072501", "202107072502"}
    with pytest.raises(ValueError, match="no question"):
        load("dlt645").start(wanted("dlt645"), {"queue": ["x"]})
    with pytest.raises(ValueError, match="Expected"):
        load("dlt645").start(wanted("dlt645"), {"place": "x"})


def test_a_silent_line_is_said_and_its_time_known_before() -> None:
    search = load("dlt645").start(wanted("dlt645"), None)
    assert search.estimate().probes == 2
    assert search.estimate().time > 2 * 700_000
    carry_out(search, [])
    assert [hint.kind for hint in search.hints()] == ["nobody"]
    assert search.estimate().probes == 0


def test_meters_of_several_kinds_are_told_apart_by_what_they_meter() -> None:
    meters = list(make_meters(4, 1, lambda: NOW).values())
    search = load("cjt188").start(wanted("cjt188"), None)
    carry_out(search, meters)
    assert {(found.address, *found.profiles) for found in search.found()} == {
        (made.address, f"cjt188-{kind}")
        for made, kind in zip(meters, ("water", "hot-water", "heat", "gas"), strict=True)
    }


def test_two_of_one_kind_cannot_be_told_apart_and_that_is_said() -> None:
    meters = list(make_meters(5, 1, lambda: NOW).values())
    meters[4].address = "22022026000006"
    for made in meters:
        made.order = Order.LOW_FIRST
    search = load("cjt188").start(wanted("cjt188"), None)
    carry_out(search, meters)
    assert {profile for found in search.found() for profile in found.profiles} == {
        "cjt188-hot-water",
        "cjt188-heat",
        "cjt188-gas",
    }
    (hint,) = search.hints()
    assert (hint.kind, hint.values["ids"]) == ("collision", "10")
