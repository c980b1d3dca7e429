"""Points that are read more, or less, often than the rest of their device."""

from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_edge.config.gateway import parse_config
from linli_edge.driver import PlannedPoll
from linli_edge.drivers.cjt188.driver import plan as cjt188_plan
from linli_edge.drivers.dlt645.driver import plan as dlt645_plan
from linli_edge.drivers.modbus.driver import plan as modbus_plan
from linli_sim.virtual_line import VirtualDevice, VirtualLine

MS = 1000
START = 1_790_000_000 * SECOND


def settings(driver: str, **device: Any) -> Any:
    raw = {
        "gateway": {"id": "gw", "data": "var"},
        "uplink": {"host": "127.0.0.1"},
        "links": [{"id": "bus", "driver": driver, "host": "192.0.2.1", "port": 10001, "devices": [device]}],
    }
    return parse_config(raw, Path("/nowhere")).links[0].config


def told(driver: str, **device: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(driver, **device)
    return str(caught.value)


def intervals(polls: Any) -> dict[str, int]:
    return {point.local_name: planned.interval for planned in polls for point in planned.points}


def meter(**more: Any) -> dict[str, Any]:
    return {"id": "m", "unit": 1, "profile": "eastron-sdm630", "interval": "1 min", **more}


def test_a_point_of_a_profile_is_read_more_often_and_another_less() -> None:
    wanted = {"active_power": "100 ms", "energy_import": "15 min"}
    polls = modbus_plan(settings("modbus", **meter(intervals=wanted)))
    found = intervals(polls)
    assert (found.pop("active_power"), found.pop("energy_import")) == (100 * MS, 15 * MINUTE)
    assert min(found.values()) == MINUTE
    assert polls[0].interval == 100 * MS


def test_a_point_of_its_own_says_itself_how_often() -> None:
    point = {"quantity": "frequency", "address": 9, "type": "uint16", "unit": "Hz"}
    points = [{**point, "interval": "500 ms"}, {**point, "quantity": "voltage", "unit": "V", "address": 10}]
    found = intervals(modbus_plan(settings("modbus", id="m", unit=1, interval="1 min", points=points)))
    assert found == {"frequency": 500 * MS, "voltage": MINUTE}


def test_points_that_share_an_interval_share_requests() -> None:
    wanted = {"voltage.l1": "1 s", "voltage.l2": "1 s", "voltage.l3": "1 s"}
    (often, *_) = modbus_plan(settings("modbus", **meter(intervals=wanted)))
    assert [point.local_name for point in often.points] == ["voltage.l1", "voltage.l2", "voltage.l3"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"active_powr": "1 s"}, 'intervals.active_powr: the device has no such point; did you mean "active_power"?'),
        ({"active_power": "50 ms"}, 'intervals.active_power: found "50 ms"'),
        ({"active_power": "25 h"}, 'intervals.active_power: found "25 h"'),
        ({"active_power": 5}, "intervals.active_power: found 5"),
    ],
)
def test_mistakes(wanted: dict[str, Any], said: str) -> None:
    assert f"links[0].devices[0].{said}" in told("modbus", **meter(intervals=wanted))


@pytest.mark.parametrize(
    ("driver", "device", "often", "seldom"),
    [
        ("dlt645", {"address": "000000000001", "profile": "dlt645-standard"}, "02030000", "00010000"),
        ("cjt188", {"address": "11223344556677", "profile": "cjt188-water"}, "901F", "D120"),
    ],
)
def test_identifiers_of_a_meter(driver: str, device: dict[str, Any], often: str, seldom: str) -> None:
    reads = [{"identifiers": [often], "interval": "5 s"}, {"identifiers": [seldom]}]
    plan = dlt645_plan if driver == "dlt645" else cjt188_plan
    polls = plan(settings(driver, id="m", interval="1 h", reads=reads, **device))
    assert [planned.interval for planned in polls] == [5 * SECOND, HOUR]
    assert "reads: beside read" in told(driver, id="m", reads=reads, read=[often], **device)


def test_a_point_read_often_starves_no_other_of_its_line() -> None:
    # 20 ms each: the frequent one alone takes a fifth of the line; 40 others take four fifths of a second a second.
    polls = [PlannedPoll("m", "m", 100 * MS, ()), *(PlannedPoll(f"m#{n}", "m", SECOND, ()) for n in range(2, 40))]
    bench = VirtualLine(polls, {"m": VirtualDevice(20 * MS)}, START)
    bench.run(MINUTE)
    dues = bench.dues()
    assert len(dues["m"]) >= 0.95 * 600
    assert all(len(dues[f"m#{n}"]) >= 58 for n in range(2, 40))
