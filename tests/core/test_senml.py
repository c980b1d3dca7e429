"""SenML packs: what goes in comes out, by JSON and CBOR; whatever else comes in is refused by name."""

import json
import math
from decimal import Decimal
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import SECOND
from linli_core.model import Phase, Point, Quality, Reading, Reason, missing
from linli_core.wire import senml

NOW = 1_795_000_000 * SECOND
POINTS = (
    Point("meter-1", "energy_import", tariff=1),
    Point("meter-1", "voltage", phase=Phase.L1),
    Point("room-1", "air_temperature"),
    Point("room-1", "door_open"),
    Point("meter-2", "serial_number"),
)
DECIMALS = st.decimals(-(10**9), 10**9, places=3)
READINGS = st.builds(
    Reading,
    st.sampled_from(POINTS),
    st.one_of(DECIMALS, st.integers(-(2**53), 2**53), st.booleans(), st.text(max_size=20)),
    st.integers(NOW - 10**13, NOW + 10**13),
    st.sampled_from([Quality.GOOD, Quality.UNCERTAIN]),
    device_time=st.none() | st.integers(NOW - 10**13, NOW),
) | st.builds(missing, st.sampled_from(POINTS), st.just(NOW), st.sampled_from(Reason))


def one(**record: Any) -> bytes:
    base = {"bn": "gw-a/", "bt": NOW / SECOND, "epoch": "e", "seq": 1, "n": "meter-1/voltage", "u": "V"}
    return json.dumps([base | record]).encode()


def resolved(payload: bytes) -> list[senml.ResolvedRecord]:
    records, refused = senml.resolve(senml.decode(payload), NOW)
    assert refused == []
    return records


@given(st.lists(READINGS, min_size=1, max_size=12), st.sampled_from([senml.encode, senml.encode_cbor]))
def test_readings_come_back_as_they_went(readings: list[Reading], encode: Any) -> None:
    pack = senml.decode(senml.stamp(encode("gw-a", readings), "epoch-1", 7))
    assert (pack.epoch, pack.seq) == ("epoch-1", 7)
    records, refused = senml.resolve(pack, NOW)
    assert refused == []
    assert [record.name for record in records] == [f"gw-a/{reading.point.name}" for reading in readings]
    assert [record.time for record in records] == [reading.observed_at for reading in readings]
    assert [record.device_time for record in records] == [reading.device_time for reading in readings]
    assert [(record.quality, record.reason) for record in records] == [(r.quality, r.reason) for r in readings]
    assert [record.value for record in records] == [reading.value for reading in readings]


def test_a_registers_digits_survive() -> None:
    body = senml.encode("gw-a", [Reading(POINTS[0], Decimal("12345.670"), NOW)])
    assert body == b'[{"bver":26,"bn":"gw-a/","bt":1795000000,"n":"meter-1/energy_import.t1","u":"Wh","v":12345.670}]'
    (record,) = resolved(body)
    assert str(record.value) == "12345.670"


def test_what_is_missing_is_no_number() -> None:
    body = senml.encode("gw-a", [missing(POINTS[1], NOW, Reason.NO_COMMUNICATION)])
    (sent,) = json.loads(body)
    assert not {"v", "vs", "vb"} & set(sent)
    (record,) = resolved(body)
    assert (record.value, record.quality, record.reason) == (None, Quality.BAD, Reason.NO_COMMUNICATION)


def test_base_fields_hold_until_they_change() -> None:
    body = json.dumps(
        [
            {"bn": "gw-a/meter-1/", "bt": 1_795_000_000, "bu": "V", "bv": 200, "n": "voltage", "v": 31},
            {"n": "voltage", "v": 30, "t": -1},
            {"bn": "gw-a/meter-2/"},
            {"n": "active_power", "u": "kW", "v": -199, "later": "label"},
        ]
    ).encode()
    assert [(record.name, record.value, record.unit, record.time) for record in resolved(body)] == [
        ("gw-a/meter-1/voltage", 231, "V", NOW),
        ("gw-a/meter-1/voltage", 230, "V", NOW - SECOND),
        ("gw-a/meter-2/active_power", 1000, "W", NOW),
    ]


def test_a_relative_time_is_before_now_and_only_outside_a_log() -> None:
    record = {"n": "gw-a/meter-1/voltage", "u": "V", "v": 1, "t": -5}
    assert resolved(json.dumps([record]).encode())[0].time == NOW - 5 * SECOND
    _, refused = senml.resolve(senml.decode(json.dumps([{**record, "epoch": "e", "seq": 1}]).encode()), NOW)
    assert [exc.reason for exc in refused] == [RefusalReason.TIME_OUT_OF_RANGE]


@pytest.mark.parametrize(
    ("record", "reason", "where"),
    [
        ({"v": "230"}, RefusalReason.WRONG_TYPE, "record[0].v"),
        ({"v": True}, RefusalReason.WRONG_TYPE, "record[0].v"),
        ({"v": math.nan}, RefusalReason.NOT_FINITE, "record[0].v"),
        ({"v": 10**400}, RefusalReason.NOT_FINITE, "record[0].v"),
        ({"v": 1, "t": "noon"}, RefusalReason.WRONG_TYPE, "record[0].t"),
        ({"v": 1, "bt": 0, "t": 100}, RefusalReason.TIME_OUT_OF_RANGE, "record[0]"),
        ({"v": 1, "t": 1e300}, RefusalReason.TIME_OUT_OF_RANGE, "record[0]"),
        ({"vb": 1}, RefusalReason.WRONG_TYPE, "record[0].vb"),
        ({"vs": 1}, RefusalReason.WRONG_TYPE, "record[0].vs"),
        ({"vs": "x" * 5000}, RefusalReason.TOO_LARGE, "record[0].vs"),
        ({"vd": "abcde"}, RefusalReason.WRONG_TYPE, "record[0].vd"),
        ({"v": 1, "vs": "1"}, RefusalReason.MANY_VALUES, "record[0]"),
        ({}, RefusalReason.NO_VALUE, "record[0]"),
        ({"v": 1, "q": "fine"}, RefusalReason.WRONG_TYPE, "record[0].q"),
        ({"v": 1, "u": "furlong"}, RefusalReason.UNKNOWN_UNIT, "record[0].u"),
        ({"v": 1, "u": "kWh"}, RefusalReason.UNKNOWN_UNIT, "record[0].u"),
        ({"v": 1, "n": "meter 1/voltage"}, RefusalReason.BAD_NAME, "record[0].n"),
        ({"v": 1, "n": "meter-1/voltage.z9"}, RefusalReason.BAD_NAME, "record[0].n"),
        ({"v": 1, "n": "meter-1/magic"}, RefusalReason.UNKNOWN_QUANTITY, "record[0].n"),
        ({"v": 1, "must_": 1}, RefusalReason.UNKNOWN_LABEL, "record[0]"),
    ],
)
def test_a_bad_record_is_refused_by_name_and_its_neighbour_lives(
    record: dict[str, Any], reason: RefusalReason, where: str
) -> None:
    (bad,) = json.loads(one(**record))
    good = {"bn": "gw-a/", "n": "meter-2/voltage", "u": "V", "v": 230, "bt": NOW / SECOND}
    for payload in (json.dumps([bad, good]).encode(), None if record.get("v") == 10**400 else cbor2.dumps([bad, good])):
        if payload is None:
            continue
        records, refused = senml.resolve(senml.decode(payload), NOW)
        assert [(exc.reason, exc.where) for exc in refused] == [(reason, where)]
        assert [(kept.name, kept.value) for kept in records] == [("gw-a/meter-2/voltage", 230)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RefusalReason.MALFORMED),
        (b"{}", RefusalReason.MALFORMED),
        (b"[]", RefusalReason.MALFORMED),
        (b"[1]", RefusalReason.MALFORMED),
        (b"[" * 100_000, RefusalReason.MALFORMED),
        (b'[{"n":"\xff"}]', RefusalReason.MALFORMED),
        (b"\xff\xff", RefusalReason.MALFORMED),
        (cbor2.dumps([{"n": "a"}]) + b"\x00", RefusalReason.MALFORMED),
        (cbor2.dumps([{b"n": 1}]), RefusalReason.MALFORMED),
        (b"[" + b" " * (1 << 20) + b"]", RefusalReason.TOO_LARGE),
        (b"[" + b",".join([b"{}"] * 10_001) + b"]", RefusalReason.TOO_MANY_RECORDS),
        (b'[{"bver":11,"n":"gw-a/meter-1/voltage","v":1}]', RefusalReason.VERSION),
    ],
)
def test_what_is_no_pack_is_refused_whole(payload: bytes, reason: RefusalReason) -> None:
    with pytest.raises(Refused) as caught:
        senml.decode(payload)
    assert caught.value.reason is reason


@given(st.lists(READINGS, min_size=1, max_size=4), st.sampled_from([senml.encode, senml.encode_cbor]), st.data())
def test_a_pack_cut_or_bent_anywhere_is_refused_or_read_never_an_accident(
    readings: list[Reading], encode: Any, data: st.DataObject
) -> None:
    whole = senml.stamp(encode("gw-a", readings), "e", 1)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Refused):
        senml.decode(whole[:cut])
    bent = bytearray(whole)
    bent[cut] ^= data.draw(st.integers(1, 255))
    try:
        pack = senml.decode(bytes(bent))
    except Refused:
        return
    senml.resolve(pack, NOW)


@given(st.binary(max_size=200))
def test_garbage_is_refused(payload: bytes) -> None:
    senml.parse_sequence(payload)
    try:
        pack = senml.decode(payload)
    except Refused:
        return
    senml.resolve(pack, NOW)


@pytest.mark.parametrize("encode", [senml.encode, senml.encode_cbor])
def test_the_place_in_the_log_is_found_without_decoding(encode: Any) -> None:
    body = senml.stamp(encode("gw-a", [Reading(POINTS[1], 1, NOW)]), "e", 12)
    assert senml.parse_sequence(body) == ("e", 12)
    assert senml.parse_sequence(b'[{"seq" : 3, "epoch": "f", "n": ') == ("f", 3)
    assert senml.parse_sequence(b'[{"seq":3}]') is None
    assert senml.parse_sequence(b"\x81\xa0") is None
