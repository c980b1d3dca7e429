"""Names of points, quality and instants: each there and back."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import from_datetime, from_rfc3339, from_seconds, to_datetime, to_rfc3339, to_seconds
from linli_core.model import (
    Phase,
    Point,
    Quality,
    Reason,
    Statistic,
    parse_point,
    quality_code,
    quality_from_code,
    quality_from_label,
    quality_label,
)
from linli_core.wire.messages import Ack, Evicted, Status, decode_ack, decode_status, encode_message
from linli_core.wire.topics import NUMBERED, Channel, parse_topic, shard_of, topic

NUMBERS = st.none() | st.integers(0, 9999)
POINTS = st.builds(
    Point,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.none() | st.sampled_from(Phase),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.none() | st.sampled_from(Statistic),
    NUMBERS,
)
INSTANTS = st.integers(from_rfc3339("1990-01-01T00:00:00Z"), from_rfc3339("2106-01-01T00:00:00Z"))


@given(POINTS)
def test_a_points_name_means_that_point(point: Point) -> None:
    assert parse_point(point.name) == point


@pytest.mark.parametrize("name", ["", "meter-1", "Meter/voltage", "meter-1/voltage.", "m/voltage.t1.c1", "m/v.l4"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no point name"):
        parse_point(name)


@given(st.sampled_from(Quality), st.none() | st.sampled_from(Reason))
def test_quality_survives_as_byte_and_as_label(quality: Quality, reason: Reason | None) -> None:
    assert quality_from_code(quality_code(quality, reason)) == (quality, reason)
    assert quality_from_label(quality_label(quality, reason)) == (quality, reason)
    assert 0 <= quality_code(quality, reason) < 256


def test_a_reason_of_a_later_version_is_dropped_a_quality_is_not() -> None:
    assert quality_from_label("bad/unheard_of") == (Quality.BAD, None)
    with pytest.raises(ValueError, match="no quality is called 'fine'"):
        quality_from_label("fine")


@given(INSTANTS)
def test_an_instant_survives_every_form(instant: int) -> None:
    assert from_rfc3339(to_rfc3339(instant)) == instant
    assert from_datetime(to_datetime(instant)) == instant
    assert from_seconds(to_seconds(instant)) == instant


def test_a_naive_datetime_names_no_instant() -> None:
    with pytest.raises(ValueError, match="names no instant"):
        from_datetime(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), st.sampled_from(Channel))
def test_a_topic_means_its_gateway_and_channel(gateway: str, channel: Channel) -> None:
    command = "c-1" if channel in NUMBERED else ""
    address = parse_topic(topic(gateway, channel, command))
    assert (address.gateway, address.channel, address.command) == (gateway, channel, command)
    assert 0 <= int(shard_of(gateway), 16) < 64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("linli/1/00", RefusalReason.UNKNOWN_TOPIC),
        ("linli/2/00/gw/telemetry", RefusalReason.UNKNOWN_TOPIC),
        (f"linli/1/{shard_of('gw')}/gw/gossip", RefusalReason.UNKNOWN_TOPIC),
        (f"linli/1/{shard_of('GW')}/GW/telemetry", RefusalReason.UNKNOWN_TOPIC),
        ("linli/1/zz/gw/telemetry", RefusalReason.WRONG_SHARD),
        (f"linli/1/{shard_of('gw')}/gw/command", RefusalReason.UNKNOWN_TOPIC),
        (f"linli/1/{shard_of('gw')}/gw/command/", RefusalReason.UNKNOWN_TOPIC),
        (f"linli/1/{shard_of('gw')}/gw/reply/A/b", RefusalReason.UNKNOWN_TOPIC),
        (f"linli/1/{shard_of('gw')}/gw/telemetry/1", RefusalReason.UNKNOWN_TOPIC),
    ],
)
def test_a_foreign_topic_is_refused_by_name(text: str, reason: RefusalReason) -> None:
    with pytest.raises(Refused) as caught:
        parse_topic(text)
    assert caught.value.reason is reason


def test_status_and_ack_come_back_and_garbage_does_not() -> None:
    status = Status("gw", "online", "e", next_seq=4, evicted=(Evicted(1, 2, "space", readings=7),))
    assert decode_status(encode_message(status)) == status
    ack = Ack("e", 3, ((5, 6),))
    assert decode_ack(encode_message(ack)) == ack
    decoders: list[Any] = [decode_status, decode_ack]
    for decode in decoders:
        for payload in (b"", b"{}", b"[]", b"\xff", b'{"epoch":1}'):
            with pytest.raises(Refused):
                decode(payload)
