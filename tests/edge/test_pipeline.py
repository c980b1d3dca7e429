"""From readings to messages: what is kept, what is marked, what is left out, and when a pack goes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_core.model import Point, Quality, Reading, Reason, Value, missing
from linli_edge.eviction import EvictionRule
from linli_edge.fruitless import DeviceFruitful, DeviceFruitless
from linli_edge.link import LinkDown, LinkOverloaded, LinkRelieved, LinkUp, Report
from linli_edge.outbox import Message, OutboxFull
from linli_edge.pipeline import Bounds, PackSettings, Pipeline
from linli_edge.registers.book import RegisterBook
from linli_edge.report_by_exception import Reported, ReportRule
from linli_edge.scheduler import DeviceBack, DeviceSilent
from linli_edge.timekeeping import Timekeeper

NOW: Instant = 1_790_000_000 * SECOND
ENERGY = Point("m1", "energy_import")
POWER = Point("m1", "active_power")


class Time(Protocol):
    now: Instant

    @property
    def timekeeper(self) -> Timekeeper: ...
    async def advance(self, microseconds: int) -> None: ...


@dataclass
class Log:
    """An outbox that can be full."""

    messages: list[Message] = field(default_factory=list)
    full: bool = False

    def append(self, message: Message) -> int:
        if self.full:
            raise OutboxFull("1 message waits for the disk")
        self.messages.append(message)
        return len(self.messages)

    def bodies(self, kind: str = "telemetry") -> list[Any]:
        return [json.loads(message.body) for message in self.messages if message.kind == kind]


def encode(gateway: str, readings: Sequence[Reading]) -> bytes:
    return json.dumps([[gateway, reading.point.name, str(reading.value)] for reading in readings]).encode()


def bounds(quantity: str) -> Bounds:
    return {"active_power": (-1e6, 1e6), "energy_import": (0.0, None)}.get(quantity, (None, None))


def pipeline(
    log: Log, *rules: ReportRule, packs: PackSettings | None = None, eviction: Sequence[EvictionRule] = ()
) -> Pipeline:
    time = Timekeeper(lambda: NOW)
    return Pipeline(
        "gw", log, encode_pack=encode, bounds=bounds, time=time, packs=packs, rules=rules, eviction=eviction
    )


def admitted(value: Value, quality: Quality = Quality.GOOD, reason: Reason | None = None) -> Reading:
    """Return what the plausibility check makes of a reading."""
    (reading,) = pipeline(Log())._admitted([Reading(POWER, value, NOW, quality, reason)])
    return reading


class TestPlausibility:
    @pytest.mark.parametrize("value", [0, 1.5, -1e6, 1e6, Decimal("12.50"), True, "open"])
    def test_what_is_plausible_passes_unchanged(self, value: Value) -> None:
        reading = admitted(value)
        assert reading.value is value
        assert reading.quality is Quality.GOOD

    @pytest.mark.parametrize("value", [1e6 + 1, -2e6, Decimal(10) ** 9])
    def test_what_is_not_is_kept_and_marked(self, value: Value) -> None:
        reading = admitted(value)
        assert (reading.value, reading.quality, reading.reason) == (value, Quality.UNCERTAIN, Reason.OUT_OF_RANGE)

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")]
    )
    def test_no_number_is_missing(self, value: Value) -> None:
        reading = admitted(value)
        assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.NOT_A_NUMBER)

    def test_a_missing_value_is_never_good(self) -> None:
        reading = admitted(None)
        assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.DEVICE_FAILURE)

    def test_a_doubt_of_the_driver_stays(self) -> None:
        assert admitted(2e6, Quality.UNCERTAIN, Reason.CLOCK_DOUBT).reason is Reason.CLOCK_DOUBT
        assert admitted(None, Quality.BAD, Reason.NO_COMMUNICATION).reason is Reason.NO_COMMUNICATION

    def test_everything_is_counted(self) -> None:
        pipe = pipeline(Log())
        pipe.take([Reading(POWER, 1.0, NOW), Reading(POWER, 9e9, NOW), missing(POWER, NOW, Reason.STALE)])
        counters = pipe.counters
        assert (counters.polled, counters.good, counters.uncertain, counters.bad) == (3, 1, 1, 1)
        assert counters.implausible == 1


class TestReportByException:
    def readings(self, values: list[Value], step: int = SECOND) -> list[Reading]:
        return [
            missing(POWER, NOW + number * step, Reason.NO_COMMUNICATION)
            if value is None
            else Reading(POWER, value, NOW + number * step)
            for number, value in enumerate(values)
        ]

    def sent(self, rule: ReportRule, readings: list[Reading]) -> list[Value]:
        pipe = pipeline(Log(), rule)
        sent = pipe._admitted(readings)
        assert pipe.counters.filtered == len(readings) - len(sent)
        return [reading.value for reading in sent]

    def test_it_is_off_by_default(self) -> None:
        pipe = pipeline(Log())
        assert len(pipe._admitted(self.readings([1.0] * 5))) == 5
        assert pipe.counters.filtered == 0

    def test_a_change_below_the_deadband_is_left_out(self) -> None:
        rule = ReportRule(deadband=5.0)
        assert self.sent(rule, self.readings([100.0, 104.0, 104.9, 105.0, 101.0, 100.0])) == [100.0, 105.0, 100.0]

    def test_without_a_deadband_every_change_is_sent(self) -> None:
        assert self.sent(ReportRule(), self.readings([1, 1, 1.0, 1.0001, "on", "on", "off"])) == [
            1,
            1.0001,
            "on",
            "off",
        ]

    def test_decimals_and_floats_compare(self) -> None:
        assert self.sent(ReportRule(deadband=1), self.readings([Decimal("1.5"), 1.6, Decimal(4)])) == [
            Decimal("1.5"),
            Decimal(4),
        ]

    def test_a_change_of_quality_is_sent(self) -> None:
        assert self.sent(ReportRule(deadband=50), self.readings([1.0, None, None, 1.0])) == [1.0, None, 1.0]

    def test_silence_has_an_end(self) -> None:
        rule = ReportRule(max_silence=10 * MINUTE)
        assert len(self.sent(rule, self.readings([1.0] * 61, MINUTE))) == 7

    def test_a_clock_set_back_does_not_silence_a_point(self) -> None:
        reported = Reported(ReportRule())
        assert reported.worth_sending(Reading(POWER, 1.0, NOW))
        assert reported.worth_sending(Reading(POWER, 1.0, NOW - HOUR))

    def test_the_first_rule_that_holds_counts(self) -> None:
        rules = (ReportRule(device="m2"), ReportRule(quantity="active_power", deadband=10), ReportRule(deadband=1))
        pipe = pipeline(Log(), *rules)
        for value in (0.0, 5.0):
            pipe.take([Reading(POWER, value, NOW), Reading(ENERGY, value, NOW)])
        assert pipe.counters.filtered == 1

    @given(st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=1), st.floats(0, 20))
    def test_what_the_platform_has_is_never_off_by_more_than_the_deadband(
        self, values: list[Value], deadband: float
    ) -> None:
        known: Reading | None = None
        reported = Reported(ReportRule(deadband=deadband))
        for reading in self.readings(values):
            if reported.worth_sending(reading):
                known = reading
            assert known is not None
            assert known.quality is reading.quality
            if isinstance(reading.value, float) and isinstance(known.value, float):
                assert abs(reading.value - known.value) < deadband or reading.value == known.value


class TestPacks:
    @asynccontextmanager
    async def running(self, time: Time, log: Log) -> AsyncIterator[Pipeline]:
        pipe = Pipeline("gw", log, encode_pack=encode, bounds=bounds, time=time.timekeeper)
        task = asyncio.create_task(pipe.run(), name="pipeline")
        yield pipe
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_readings_wait_for_company_and_no_longer(self, fake_time: Time) -> None:
        log = Log()
        async with self.running(fake_time, log) as pipe:
            pipe.take([Reading(ENERGY, 1.0, NOW)])
            await fake_time.advance(SECOND // 4)
            pipe.take([Reading(POWER, 2.0, NOW + 5)])
            assert not log.messages
            await fake_time.advance(SECOND // 4)
            (message,) = log.messages
            assert (message.kind, message.readings) == ("telemetry", 2)
            assert (message.observed_from, message.observed_to) == (NOW, NOW + 5)
            assert message.priority > 0
            pipe.take([Reading(POWER, 3.0, NOW)])
            await fake_time.advance(SECOND)
            assert log.bodies() == [
                [["gw", "m1/energy_import", "1.0"], ["gw", "m1/active_power", "2.0"]],
                [["gw", "m1/active_power", "3.0"]],
            ]

    def test_a_full_pack_goes_at_once(self) -> None:
        log = Log()
        pipe = pipeline(log)
        pipe.take([Reading(POWER, float(number), NOW) for number in range(250)])
        assert [message.readings for message in log.messages] == [100, 100]
        pipe.flush()
        pipe.flush()
        assert [message.readings for message in log.messages] == [100, 100, 50]
        assert pipe.counters.packs == 3
        assert pipe.counters.logged == 250

    def test_a_pack_too_large_is_halved(self) -> None:
        log = Log()
        pipe = pipeline(log, packs=PackSettings(bytes=1000))
        pipe.take([Reading(POWER, "x" * 100, NOW) for _ in range(20)])
        pipe.flush()
        assert sum(message.readings for message in log.messages) == 20
        assert all(len(message.body) <= 1000 for message in log.messages)

    def test_what_may_leave_a_full_log_first_goes_apart(self) -> None:
        log = Log()
        rules = EvictionRule(9, quantity="active_power"), EvictionRule(5, device="m2")
        pipe = pipeline(log, packs=PackSettings(records=2), eviction=rules)
        other = Point("m2", "energy_import")
        pipe.take([Reading(point, 1.0, NOW) for point in (POWER, ENERGY, other, POWER, other, ENERGY, POWER)])
        pipe.tell("linli.test", "gw", {})
        packs = [(message.priority, [name for _, name, _ in json.loads(message.body)]) for message in log.messages[:-1]]
        assert packs == [
            (9, ["m1/active_power"] * 2),
            (1, ["m1/energy_import"] * 2),
            (5, ["m2/energy_import"] * 2),
            (9, ["m1/active_power"]),
        ]
        assert log.messages[-1].priority == 0
        assert (pipe.counters.polled, pipe.counters.logged) == (7, 7)

    def test_what_a_full_outbox_does_not_take_is_counted_and_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        log = Log(full=True)
        pipe = pipeline(log)
        for _ in range(3):
            pipe.take([Reading(POWER, 1.0, NOW)] * 100)
        assert pipe.counters.refused == 300
        assert caplog.text.count("takes no more messages") == 1
        log.full = False
        pipe.take([Reading(POWER, 1.0, NOW)] * 100)
        assert pipe.counters.logged == 100
        assert "takes messages again; 300 readings were lost" in caplog.text


class TestEvents:
    @pytest.mark.parametrize(
        ("report", "name", "subject", "data"),
        [
            (
                DeviceSilent("m1", NOW, "no answer"),
                "linli.device.silent",
                "m1",
                {"link": "bus-1", "since": NOW / SECOND, "error": "no answer"},
            ),
            (DeviceBack("m1", NOW), "linli.device.back", "m1", {"link": "bus-1", "since": NOW / SECOND}),
            (
                DeviceFruitless("m1", NOW, "no marker"),
                "linli.device.fruitless",
                "m1",
                {"link": "bus-1", "since": NOW / SECOND, "error": "no marker"},
            ),
            (DeviceFruitful("m1", NOW), "linli.device.fruitful", "m1", {"link": "bus-1", "since": NOW / SECOND}),
            (LinkDown("no way", bug=False), "linli.link.down", "bus-1", {"error": "no way", "bug": False}),
            (LinkUp(5 * SECOND), "linli.link.up", "bus-1", {"downtime": 5.0}),
            (LinkOverloaded(1.2), "linli.link.overloaded", "bus-1", {"planned": 1.2}),
            (LinkRelieved(0.5), "linli.link.relieved", "bus-1", {"planned": 0.5}),
        ],
    )
    def test_a_report_is_an_urgent_event_after_the_readings_before_it(
        self, report: Report, name: str, subject: str, data: dict[str, object]
    ) -> None:
        log = Log()
        pipe = pipeline(log)
        pipe.take([Reading(POWER, 1.0, NOW)])
        pipe.report("bus-1", report)
        assert [message.kind for message in log.messages] == ["telemetry", "event"]
        assert log.messages[1].priority == 0
        (event,) = log.bodies("event")
        assert (event["type"], event["subject"], event["source"]) == (name, subject, "linli/gw")
        assert event["data"] == data
        assert event["id"]
        assert pipe.counters.as_dict()["events"] == 1


class Registers:
    """A register book that has something to tell each time it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def take_events(self, now: Instant) -> list[tuple[str, str, dict[str, object]]]:
        del now
        self.count += 1
        return [("linli.register.billing", "m1", {"number": self.count})] if self.count < 4 else []


def test_what_registers_have_to_tell_waits_for_a_log_that_is_full(fake_time: Time) -> None:
    log = Log(full=True)
    book = cast("RegisterBook", Registers())
    pipe = Pipeline("gw", log, encode_pack=encode, bounds=bounds, time=fake_time.timekeeper, registers=book)
    assert not pipe.tell_of_registers()
    assert not pipe.tell_of_registers()
    log.full = False
    assert pipe.tell_of_registers()
    assert sorted(body["data"]["number"] for body in log.bodies("event")) == [1, 2, 3]
