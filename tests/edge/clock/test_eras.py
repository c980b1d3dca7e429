"""Messages stamped without a clock: marked in the log, corrected on their way out, the same each time."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import DAY, SECOND, Instant, to_rfc3339
from linli_core.model import Point, Quality, Reading, Reason, missing
from linli_core.wire import event, senml
from linli_core.wire.event import Event
from linli_edge.clock.discipline import Correction
from linli_edge.clock.eras import corrected, era_of, mark

BEGAN: Instant = 1_700_000_000 * SECOND
POINT = Point("meter-1", "active_power")
ENERGY = Point("meter-1", "energy_import")


def sent(body: bytes, correction: Correction) -> list[dict[str, object]]:
    marked = mark("telemetry", body, "abcdef0123456789")
    assert era_of("telemetry", marked) == "abcdef0123456789"
    payload = senml.stamp(corrected("telemetry", marked, correction), "e", 7)
    pack = senml.decode(payload)
    assert (pack.epoch, pack.seq) == ("e", 7)
    assert b"era" not in payload
    records: list[dict[str, object]] = json.loads(payload, parse_float=Decimal)
    return records


def times(records: list[dict[str, object]]) -> list[Instant]:
    """Return the instants as the platform takes them from the payload, by its arithmetic."""
    base = float(str(records[0]["bt"]))
    return [round((base + float(str(record.get("t", 0)))) * SECOND) for record in records]


def test_without_an_era_a_body_is_what_it_was() -> None:
    body = senml.encode("gw", [Reading(POINT, 1.0, BEGAN)])
    assert mark("telemetry", body, "") is body
    assert era_of("telemetry", body) == ""
    assert era_of("event", body) == ""


@given(
    delta=st.integers(-400 * DAY, 4000 * DAY),
    offsets=st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=5, unique=True),
)
def test_each_reading_comes_to_the_corrected_microsecond(delta: int, offsets: list[int]) -> None:
    readings = [Reading(POINT, float(offset), BEGAN + offset) for offset in offsets]
    records = sent(senml.encode("gw", readings), Correction(BEGAN, delta, doubt=False))
    assert times(records) == [BEGAN + offset + delta for offset in offsets]
    assert [Decimal(str(record["v"])) for record in records] == offsets
    assert not any("q" in record for record in records)


def test_digits_and_qualities_stay_and_a_doubtful_era_marks_what_was_good() -> None:
    at = BEGAN + 1
    readings = [
        Reading(ENERGY, Decimal("123456789.1230"), at),
        Reading(POINT, 5.0, at, Quality.UNCERTAIN, Reason.OUT_OF_RANGE),
        missing(POINT, at, Reason.NO_COMMUNICATION),
    ]
    body = senml.encode("gw", readings)
    sure = sent(body, Correction(BEGAN, DAY, doubt=False))
    assert [record.get("q") for record in sure] == [None, "uncertain/out_of_range", "bad/no_communication"]
    assert sure[0]["v"] == Decimal("123456789.1230")
    doubtful = sent(body, Correction(BEGAN, 0, doubt=True))
    assert doubtful[0]["q"] == "uncertain/clock_doubt"
    assert doubtful[1]["q"] == "uncertain/out_of_range"


def test_what_a_device_had_kept_from_before_stays_where_it_was() -> None:
    earlier = BEGAN - 3 * DAY + 250_000
    readings = [Reading(ENERGY, 1.0, earlier, device_time=earlier), Reading(ENERGY, 2.0, BEGAN + SECOND)]
    records = sent(senml.encode("gw", readings), Correction(BEGAN, 5 * DAY + 123_456, doubt=False))
    assert times(records) == [earlier, BEGAN + SECOND + 5 * DAY + 123_456]
    assert Decimal(str(records[0]["dt"])) * SECOND == earlier


@pytest.mark.parametrize("delta", [DAY, -DAY, SECOND])
def test_the_platform_books_a_pack_under_the_day_that_the_gateway_did(delta: int) -> None:
    at = BEGAN // DAY * DAY + DAY // 2
    body = senml.encode("gw", [Reading(POINT, 1.0, at + SECOND), Reading(ENERGY, 1.0, at)])
    marked = mark("telemetry", body, "ab")
    payload = senml.stamp(corrected("telemetry", marked, Correction(at, delta, doubt=False)), "e", 7)
    assert senml.booked_day(senml.decode(payload)) == (at // DAY if abs(delta) == DAY else None)


@pytest.mark.parametrize("day", [True, -1, "3", 1 << 70, None])
def test_a_day_that_is_none_is_no_day(day: object) -> None:
    assert senml.booked_day(senml.Pack("e", 1, ({"day": day},))) is None


@pytest.mark.parametrize("delta", [DAY, -DAY, 0])
def test_an_event_and_the_times_it_tells_move_together(delta: int) -> None:
    data: dict[str, object] = {
        "before_at": to_rfc3339(BEGAN - SECOND),
        "after_at": to_rfc3339(BEGAN + SECOND),
        "odd_at": "the gate",
        "since": (BEGAN + SECOND) / SECOND,
        "value": 7,
    }
    told = Event("id", "linli.device.back", "linli/gw", BEGAN + 2 * SECOND, "meter-1", data)
    marked = mark("event", event.encode(told), "ab")
    assert era_of("event", marked) == "ab"
    payload = event.stamp(corrected("event", marked, Correction(BEGAN, delta, doubt=False)), "e", 3)
    found, epoch, seq = event.decode(payload)
    assert (epoch, seq) == ("e", 3)
    assert found.time == BEGAN + 2 * SECOND + delta
    assert found.data == data | {
        "after_at": to_rfc3339(BEGAN + SECOND + delta),
        "since": (BEGAN + SECOND + delta) / SECOND,
    }


def test_a_doubtful_event_says_so() -> None:
    told = Event("id", "linli.link.up", "linli/gw", BEGAN)
    body = corrected("event", mark("event", event.encode(told), "ab"), Correction(BEGAN, 0, doubt=True))
    assert msgspec.json.decode(body)["data"] == {"clock_doubt": True}
