"""Sharing out what may be under way, and saying so with the acks."""

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from linli_platform.ingest.pressure import Pressure

if TYPE_CHECKING:
    from tests.hub.conftest import GatewayStandIn, Site

GOOD = {"n": "meter-1/energy_import", "u": "Wh", "v": 1.5}


def settled(pressure: Pressure, gateway: str, now: float) -> int | None:
    """What a gateway is given once it has begun."""
    return [pressure.window(gateway, now) for _ in range(12)][-1]


def test_few_gateways_send_as_they_like_and_many_share() -> None:
    pressure = Pressure(2_000)
    pressure.heard(["a", "b", "c"], 0)
    assert settled(pressure, "a", 0) is None
    pressure.heard([f"gw-{number}" for number in range(200)], 5)
    assert settled(pressure, "a", 5) == 2_000 // 203
    assert settled(pressure, "gw-1", 12) == 10, "the three fell silent"
    pressure.heard(["gw-1"], 16)
    assert settled(pressure, "gw-1", 16) is None


def test_who_comes_back_begins_with_little() -> None:
    pressure = Pressure(2_000)
    given = []
    for second in range(10):
        pressure.heard(["a"], second)
        given.append(pressure.window("a", second))
    assert given == [2, 4, 8, 16, 32, 64, 128, 256, None, None]
    assert pressure.window("a", 30) == 2, "it fell silent, and comes back"


def test_a_broker_that_comes_and_goes_lets_nobody_begin_with_much() -> None:
    pressure = Pressure(2_000)
    said = [pressure.window("a", second) for second in range(12)]  # all are told anew each time it is back
    assert said == [2] * 12
    pressure.heard(["a"], 12)
    assert [pressure.window("a", 12) for _ in range(3)] == [2, 4, 8]


def test_what_may_be_under_way_is_what_is_worked_off_in_a_moment() -> None:
    pressure = Pressure(800)
    now = 100.0
    for _ in range(100):
        now += 0.5
        pressure.worked_off(500, 0.4, now)
    assert pressure.under_way == 250, "a thousand a second"
    pressure.heard([f"gw-{number}" for number in range(100)], now)
    assert settled(pressure, "gw-1", now) == 2
    for _ in range(100):
        now += 1.0
        pressure.worked_off(300, 0.9, now)
    assert pressure.under_way == 75, "the machine became slow"


def test_neither_a_quiet_hour_nor_one_slow_commit_says_what_can_be_worked_off() -> None:
    pressure = Pressure(800)
    now = 100.0
    for _ in range(1_000):
        now += 1.0
        pressure.worked_off(3, 0.02, now)
    assert pressure.under_way == 800
    now += 0.01
    pressure.worked_off(900, 0.01, now)
    assert pressure.under_way < 900, "a commit that was done at once counts for as long as it took"
    for _ in range(100):
        now += 30.0
        pressure.worked_off(1, 30.0, now)
    assert pressure.under_way == 64, "a disk that hangs"


@given(st.integers(1, 100_000), st.integers(1, 500))
def test_all_together_never_have_more_under_way_than_is_allowed_or_one_each(under_way: int, gateways: int) -> None:
    pressure = Pressure(under_way)
    names = [str(number) for number in range(gateways)]
    pressure.heard(names, 0)
    given = [settled(pressure, name, 0) for name in names]
    limited = [window for window in given if window is not None]
    assert all(window >= 1 for window in limited)
    assert sum(limited) <= max(under_way, gateways)


def test_a_store_that_refuses_stops_every_backlog_until_it_takes_again() -> None:
    pressure = Pressure(2_000)
    assert (pressure.stop(), pressure.stop(), pressure.window("a", 0)) == (True, False, 0)
    assert (pressure.go_on(), pressure.go_on(), pressure.window("a", 0)) == (True, False, 2)


async def test_a_full_disk_is_told_with_the_acks_and_taken_back(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        assert (await gateway.announce()).window == 2
        hub.store.failures = 2
        await gateway.send(1, GOOD)
        while (ack := await gateway.acks.get()).window != 0:
            pass
        assert ack.seq == 0, "nothing is committed, and yet it says so"
        assert (await gateway.acked(1)).window != 0
