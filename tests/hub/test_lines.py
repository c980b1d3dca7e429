"""What the gateways' lines say, as Prometheus reads it."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from linli_core.wire.messages import LinkState, Status, UnitState
from linli_platform import lines
from linli_platform.lines import LineCollector


@pytest.fixture
def collector() -> LineCollector:
    collector = LineCollector()
    unit = UnitState("meter-1", 0.25, 0.042, requests=10, answers=7, timeouts=3)
    bus = LinkState(
        "bus-1", "modbus", "degraded", 2, ("meter-2",), 0.31, 1.4, units=(unit,), unlisted=1, fruitless=("meter-3",)
    )
    collector.heard(Status("gw-1", "online", links=(bus,)))
    return collector


def told(collector: LineCollector) -> list[str]:
    registry = CollectorRegistry()
    registry.register(collector)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_a_line_and_its_devices_are_told(collector: LineCollector) -> None:
    found = told(collector)
    line, unit = '{gateway="gw-1",link="bus-1"}', 'device="meter-1",gateway="gw-1",link="bus-1"'
    for expected in (
        f"linli_line_up{line} 1.0",
        f"linli_line_use{line} 0.31",
        f"linli_line_stretched{line} 1.4",
        f"linli_line_devices{line} 2.0",
        f"linli_line_devices_silent{line} 1.0",
        f"linli_line_devices_fruitless{line} 1.0",
        f"linli_unit_requests_total{{{unit}}} 10.0",
        f'linli_unit_outcomes_total{{{unit},outcome="timeouts"}} 3.0',
        f"linli_unit_line_share{{{unit}}} 0.25",
        f"linli_unit_answer_seconds{{{unit}}} 0.042",
        "linli_units_unlisted 1.0",
    ):
        assert expected in found


def test_a_gateway_that_is_lost_tells_nothing_old(collector: LineCollector) -> None:
    collector.heard(Status("gw-1", "lost"))
    assert told(collector) == ["linli_units_unlisted 0.0"]


def test_only_so_many_devices_are_told_one_by_one(collector: LineCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_UNITS", 3)
    units = tuple(UnitState(f"meter-{number}") for number in range(5))
    collector.heard(Status("gw-2", "online", links=(LinkState("bus", units=units),)))
    found = told(collector)
    assert len([line for line in found if line.startswith("linli_unit_requests_total")]) == 3
    assert "linli_units_unlisted 4.0" in found
