"""The fast way through a pack and the full decoder say the same, or the fast one says nothing."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import Refused
from linli_core.model import Quality, Reason, quality_code
from linli_platform.ingest.columns import ColumnDecoder, Columns
from linli_platform.ingest.decode import MessageDecoder
from linli_platform.ingest.settings import Limits

NOW = 1_764_000_000_000_000
POINTS = {
    "meter-1/energy_import": "Wh",
    "meter-1/voltage.l1": "V",
    "meter-2/active_power": "W",
    "room-1/air_temperature": "Cel",
}


def pack(*records: dict[str, Any], **base: Any) -> bytes:
    body = [dict(record) for record in records]
    body[0] = {"bn": "gw-a/", "bt": NOW / 1e6, "epoch": "e1", "seq": 1, **base, **body[0]}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


NAMES = st.sampled_from(list(POINTS))
VALUES = st.one_of(
    st.builds(lambda v: {"v": v}, st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9))),
    st.builds(lambda v: {"vb": v}, st.booleans()),
    st.builds(lambda v: {"vs": v}, st.sampled_from(["open", "},{", '"', "门"])),
    st.just({"q": "bad/no_communication"}),
    st.just({"v": 1.5, "q": "uncertain/clock_doubt"}),
    st.just({"v": 1.5, "q": "bad/unheard_of"}),
    st.builds(lambda dt: {"v": 2.0, "dt": dt}, st.sampled_from([1.75e9, 946684800.5, 0, -62135596800.0, -1.5])),
    st.just({"vs": "open", "dt": 1.75e9}),
    st.just({"q": "bad/not_implemented", "dt": 1.75e9}),
)
RECORDS = st.builds(
    lambda name, value, time: {"n": name, "u": POINTS[name], "t": time, **value},
    NAMES,
    VALUES,
    st.integers(-10_000_000, 10_000_000).map(lambda micro: micro / 1e6),
)


@given(records=st.lists(RECORDS, min_size=1, max_size=8))
def test_both_ways_say_the_same(records: list[dict[str, Any]]) -> None:
    payload = pack(*records)
    full = MessageDecoder(Limits())._in_full(payload, "gw-a", NOW)
    fast = ColumnDecoder().decode(payload, "gw-a")
    assert full.refused == []
    if fast is None:
        overflows = not math.isfinite(math.fsum(abs(float(record.get("v", 0))) / 1e300 for record in records) * 1e300)
        assert overflows or any("},{" in str(record.get("vs")) for record in records)
        return
    values = [None if math.isnan(value) else value for value in fast.values]
    assert values == [None if math.isnan(value) else value for value in full.values]
    assert (fast.names, fast.times, fast.quality, fast.texts) == (full.names, full.times, full.quality, full.texts)
    assert (fast.epoch, fast.seq, fast.device_times) == (full.epoch, full.seq, full.device_times)


@pytest.mark.parametrize("label", ['"dt":', '"dt" :', '"\\u0064t":', '"d\\u0074" : '])
def test_a_devices_time_is_seen_however_its_label_is_written(label: str) -> None:
    payload = pack({"n": "meter-1/energy_import", "u": "Wh", "v": 7, "dt": 5}).replace(b'"dt":', label.encode())
    columns = ColumnDecoder().decode(payload, "gw-a")
    assert columns is not None
    assert columns.device_times == {0: 5_000_000}


@pytest.mark.parametrize(
    ("stamp", "known"),
    [(0, True), (-62135596800, True), (-62135596801, False), (253402300799, True), (253402300800, False)],
)
def test_what_no_calendar_has_is_no_time_and_costs_no_reading(stamp: int, known: bool) -> None:
    payload = pack({"n": "meter-1/energy_import", "u": "Wh", "v": 7, "dt": stamp})
    decoder = MessageDecoder(Limits())
    for _ in range(3):  # parsed, then recognised
        taken = decoder.telemetry(payload, "gw-a", NOW)
        assert (list(taken.values), taken.refused) == ([7.0], [])
        assert dict(taken.device_times) == ({0: stamp * 1_000_000} if known else {})


def test_a_device_time_stays_with_its_record_when_others_are_refused() -> None:
    payload = pack(
        {"n": "meter-1/energy_import", "u": "Wh", "v": 7, "t": -9e8, "dt": 11},
        {"n": "meter-1/voltage.l1", "u": "V", "v": 230},
        {"n": "meter-2/active_power", "u": "W", "v": 5, "dt": 12},
    )
    taken = MessageDecoder(Limits()).telemetry(payload, "gw-a", NOW)
    assert (list(taken.names), len(taken.refused)) == (["meter-1/voltage.l1", "meter-2/active_power"], 1)
    assert taken.device_times == {1: 12_000_000}


def test_a_plain_pack_takes_the_fast_way() -> None:
    payload = pack(
        {"n": "meter-1/energy_import", "u": "Wh", "v": 7},
        {"n": "meter-1/voltage.l1", "u": "V", "q": "bad/no_communication", "t": -1.5},
        {"n": "room-1/air_temperature", "u": "Cel", "vs": "n/a"},
    )
    columns = ColumnDecoder().decode(payload, "gw-a")
    assert columns is not None
    assert math.isnan(columns.values[1])
    assert columns.times == [NOW, NOW - 1_500_000, NOW]
    assert columns.quality == [0, quality_code(Quality.BAD, Reason.NO_COMMUNICATION), 0]
    assert columns.texts == {2: "n/a"}
    assert ColumnDecoder().decode(pack({"n": "meter-1/energy_import", "u": "Wh", "v": 7}), "gw-a") == Columns(
        "e1", 1, ["meter-1/energy_import"], [NOW], [7.0], [0], {}
    )


ENERGY = {"n": "meter-1/energy_import", "u": "Wh", "v": 1}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"[{}]",
        b"\x81\xa0",
        pack(ENERGY, bn="gw-b/"),
        pack(ENERGY, epoch=""),
        pack(ENERGY, seq=0),
        pack(ENERGY, bt=5),
        pack(ENERGY, bver=11),
        pack(ENERGY, bu="Wh"),
        pack(ENERGY, {**ENERGY, "u": "J"}),
        pack(ENERGY, {**ENERGY, "n": "meter-1/magic"}),
        pack(ENERGY, {**ENERGY, "n": "meter 1/energy_import"}),
        pack(ENERGY, {**ENERGY, "x_": 1}),
        pack(ENERGY, {**ENERGY, "bn": "gw-b/"}),
        pack(ENERGY, {**ENERGY, "vs": "1"}),
        pack(ENERGY, {**ENERGY, "v": "1"}),
        pack(ENERGY, {**ENERGY, "q": "splendid"}),
        pack(ENERGY, {"n": "meter-1/energy_import", "u": "Wh"}),
        pack(ENERGY, {"n": "meter-1/energy_import", "u": "Wh", "q": "good"}),
        pack(ENERGY, {**ENERGY, "v": float("nan")}),
        pack(ENERGY, {**ENERGY, "v": 1e308}, {**ENERGY, "v": 1e308}),
        pack(ENERGY, ENERGY)[:-1],
        pack(ENERGY, ENERGY) + b"]",
        pack(ENERGY).replace(b"Wh", b"\xff\xfe"),
    ],
)
def test_what_is_not_canonical_is_left_to_the_full_decoder(payload: bytes) -> None:
    assert ColumnDecoder().decode(payload, "gw-a") is None


@given(st.binary(max_size=100))
def test_any_bytes_are_a_pack_or_refused(payload: bytes) -> None:
    try:
        MessageDecoder(Limits()).telemetry(payload, "gw-a", NOW)
    except Refused as refused:
        assert str(refused)  # noqa: PT017 - any of the reasons will do
