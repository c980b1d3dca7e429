"""Sharing out what may be under way, and saying so with the acks."""

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from linli_platform.ingest.pressure import Pressure

if TYPE_CHECKING:
    from tests.hub.conftest import GatewayStandIn, Site

GOOD = {"n": "meter-1/energy_import", "u": "Wh", "v": 1.5}


def test_few_gateways_send_as_they_like_and_many_share() -> None:
    pressure = Pressure(2_000)
    assert pressure.window(0) is None
    pressure.heard(["a", "b", "c"], 0)
    assert pressure.window(0) is None
    pressure.heard([f"gw-{number}" for number in range(200)], 5)
    assert pressure.window(5) == 2_000 // 203
    assert pressure.window(12) == 10, "the three fell silent"
    assert pressure.window(15) is None


@given(st.integers(1, 100_000), st.integers(1, 5_000))
def test_all_together_never_have_more_under_way_than_is_allowed_or_one_each(under_way: int, gateways: int) -> None:
    pressure = Pressure(under_way)
    pressure.heard(map(str, range(gateways)), 0)
    window = pressure.window(0)
    if window is not None:
        assert window >= 1
        assert window * gateways <= max(under_way, gateways)


def test_a_store_that_refuses_stops_every_backlog_until_it_takes_again() -> None:
    pressure = Pressure(2_000)
    assert (pressure.stop(), pressure.stop(), pressure.window(0)) == (True, False, 0)
    assert (pressure.go_on(), pressure.go_on(), pressure.window(0)) == (True, False, None)


async def test_a_full_disk_is_told_with_the_acks_and_taken_back(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        assert (await gateway.announce()).window is None
        hub.store.failures = 2
        await gateway.send(1, GOOD)
        while (ack := await gateway.acks.get()).window != 0:
            pass
        assert ack.seq == 0, "nothing is committed, and yet it says so"
        assert (await gateway.acked(1)).window is None
