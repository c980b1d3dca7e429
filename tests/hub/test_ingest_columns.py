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
    st.just({"v": 2.0, "dt": 1.75e9}),
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
    assert (fast.epoch, fast.seq) == (full.epoch, full.seq)


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
