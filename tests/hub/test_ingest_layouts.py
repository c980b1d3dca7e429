"""A message like one that came before is not parsed again, and says what parsing it would have said."""

import json
import math
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.model import Quality, Reason, quality_code
from linli_platform.ingest import layouts as ingest_layouts
from linli_platform.ingest.columns import ColumnDecoder, Columns
from linli_platform.ingest.layouts import Layouts, Likeness

NOW = 1_764_000_000_000_000
POINTS = {
    "meter-1/energy_import": "Wh",
    "room-1/relative_humidity": "%RH",
    "meter-2/active_power": "W",
    "door-1/door_open": "",
}

Rec = dict[str, Any]


def pack(*records: Rec, seq: int = 1, **base: Any) -> bytes:
    body = [dict(record) for record in records]
    body[0] = {"epoch": "e1", "seq": seq, "bver": 26, "bn": "gw-a/", "bt": NOW // 1_000_000, **base, **body[0]}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def record(name: str, **more: Any) -> Rec:
    unit = POINTS[name]
    return {"n": name, **({"u": unit} if unit else {}), **more}


def learnt(payload: bytes) -> Layouts:
    layouts = Layouts()
    columns = ColumnDecoder().decode(payload, "gw-a")
    assert columns is not None
    layouts.learn(payload, "gw-a", columns)
    return layouts


def columns_of(found: Likeness) -> Columns:
    layout = found.layout
    times = found.times if isinstance(found.times, list) else [found.times] * len(layout.names)
    names, quality, texts = list(layout.names), list(layout.quality), dict(layout.texts)
    return Columns(layout.epoch, found.seq, names, times, found.values, quality, texts, dict(found.device_times))


def shown(columns: Columns) -> tuple[Any, ...]:
    values = [None if math.isnan(value) else value for value in columns.values]
    told = (columns.texts, columns.device_times)
    return (columns.epoch, columns.seq, columns.names, columns.times, values, columns.quality, *told)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**18), 10**18), st.sampled_from([0, -0.0, 1e-300])
)
MOMENTS = st.integers(-10_000_000, 10_000_000).map(lambda micro: micro / 1e6)
FORMS = st.sampled_from(["v", "vt", "t", "vb", "vs", "bad", "vq", "dt"])


def test_what_a_devices_clock_says_is_known_in_every_message() -> None:
    def message(seq: int, *, stamp: float) -> bytes:
        return pack(record("meter-1/energy_import", v=seq), record("meter-2/active_power", v=2.5, dt=stamp), seq=seq)

    layouts = learnt(message(1, stamp=1.7e9))
    for seq, stamp in ((2, 1.7e9 + 60), (3, 946684800.25), (4, -1.5)):
        found = layouts.read(message(seq, stamp=stamp), "gw-a")
        assert found is not None
        assert found.device_times == {1: round(stamp * 1e6)}


def filled(name: str, form: str, value: float, moment: float) -> Rec:
    rest: dict[str, Rec] = {
        "v": {"v": value},
        "vt": {"v": value, "t": moment},
        "t": {"q": "bad/no_communication", "t": moment},
        "vb": {"vb": True},
        "vs": {"vs": 'open %b "12:30"'},
        "bad": {"q": "bad/no_communication"},
        "vq": {"v": value, "q": "uncertain/clock_doubt"},
        "dt": {"v": value, "dt": 1.7e9 + moment},
    }
    return record(name, **rest[form])


SHAPES = st.lists(st.tuples(st.sampled_from(list(POINTS)), FORMS), min_size=1, max_size=8)


@given(shape=SHAPES, data=st.data())
def test_it_says_what_parsing_says(shape: list[tuple[str, str]], data: st.DataObject) -> None:
    def message(seq: int) -> bytes:
        records = [filled(name, form, data.draw(NUMBERS), data.draw(MOMENTS)) for name, form in shape]
        return pack(*records, seq=seq, bt=data.draw(st.sampled_from([NOW // 1_000_000, NOW / 1e6 + 0.25])))

    first, second = message(1), message(data.draw(st.integers(1, 10**18 - 1)))
    decoder, layouts = ColumnDecoder(), Layouts()
    columns = decoder.decode(first, "gw-a")
    if columns is None:
        return
    layouts.learn(first, "gw-a", columns)
    parsed, found = decoder.decode(second, "gw-a"), layouts.read(second, "gw-a")
    if found is not None:
        assert parsed is not None
        assert shown(columns_of(found)) == shown(parsed)


@given(shape=SHAPES, place=st.integers(0, 10_000), byte=st.integers(0, 255), data=st.data())
def test_no_byte_can_be_changed_unseen(
    shape: list[tuple[str, str]], place: int, byte: int, data: st.DataObject
) -> None:
    payload = pack(*(filled(name, form, data.draw(NUMBERS), data.draw(MOMENTS)) for name, form in shape))
    columns = ColumnDecoder().decode(payload, "gw-a")
    if columns is None:
        return
    layouts = Layouts()
    layouts.learn(payload, "gw-a", columns)
    place %= len(payload)
    damaged = payload[:place] + bytes((byte,)) + payload[place + 1 :]
    found = layouts.read(damaged, "gw-a")
    if found is not None:
        parsed = ColumnDecoder().decode(damaged, "gw-a")
        assert parsed is not None
        assert shown(columns_of(found)) == shown(parsed)


def test_what_our_gateways_send_is_recognised() -> None:
    def message(seq: int, *numbers: float) -> bytes:
        first, second, third = numbers
        return pack(
            record("meter-1/energy_import", v=first),
            record("room-1/relative_humidity", v=second, t=0.25),
            record("meter-2/active_power", q="bad/no_communication", t=third),
            record("door-1/door_open", vb=True),
            seq=seq,
        )

    found = learnt(message(1, 5, 40.5, 1)).read(message(2, -7, 41, 0.75), "gw-a")
    assert found is not None
    values = [None if math.isnan(value) else value for value in found.values]
    assert (found.seq, values) == (2, [-7.0, 41.0, None, 1.0])
    assert found.times == [NOW, NOW + 250_000, NOW + 750_000, NOW]
    assert found.layout.quality == (0, 0, quality_code(Quality.BAD, Reason.NO_COMMUNICATION), 0)


PLAIN = pack(record("meter-1/energy_import", v=12.5), record("room-1/relative_humidity", v=40))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        PLAIN[:-1],
        PLAIN + b"]",
        PLAIN + b" ",
        PLAIN.replace(b"12.5", b"012.5"),
        PLAIN.replace(b"12.5", b"1-2"),
        PLAIN.replace(b"12.5", b"-"),
        PLAIN.replace(b"12.5", b"1e999"),
        PLAIN.replace(b"12.5", b"1e400000"),
        PLAIN.replace(b"12.5", b'"12.5"'),
        PLAIN.replace(b'"seq":1,', b'"seq":0,'),
        PLAIN.replace(b'"seq":1,', b'"seq":-1,'),
        PLAIN.replace(b'"seq":1,', b'"seq":1.0,'),
        PLAIN.replace(b'"seq":1,', b'"seq":01,'),
        PLAIN.replace(b'"seq":1,', b'"seq":' + b"9" * 30 + b","),
        PLAIN.replace(b'"bver":26', b'"bver":27'),
        PLAIN.replace(b"1764000000", b"5"),
        PLAIN.replace(b"1764000000", b"1e300"),
        PLAIN.replace(b"gw-a", b"gw-b"),
        PLAIN.replace(b"e1", b"e2"),
        PLAIN.replace(b"%RH", b"%"),
        PLAIN.replace(b"}]", b"},{}]"),
    ],
)
def test_what_is_not_like_it_is_left_to_the_parsers(payload: bytes) -> None:
    assert learnt(PLAIN).read(PLAIN, "gw-a") is not None
    assert learnt(PLAIN).read(payload, "gw-a") is None


@pytest.mark.parametrize(
    "payload",
    [
        pack(record("meter-1/energy_import", v=12)).replace(b'"v":12', b'"v": 12'),
        pack(record("meter-1/energy_import", v=12), record("room-1/relative_humidity", vs="x:30")).replace(
            b'"v":12', b'"v": 30'
        ),
        pack(record("meter-1/energy_import", v=12, t=1.5)).replace(b'"t":1.5', b'"t": 1.5'),
    ],
)
def test_what_cannot_be_told_for_sure_is_not_learnt(payload: bytes) -> None:
    assert learnt(payload).read(payload, "gw-a") is None


def test_one_gateways_layout_is_not_anothers() -> None:
    assert learnt(PLAIN).read(PLAIN, "gw-b") is None


def test_a_gateway_that_says_nothing_twice_is_left_alone_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    learning = Mock(wraps=ingest_layouts._learnt)
    monkeypatch.setattr(ingest_layouts, "_learnt", learning)
    layouts, decoder = Layouts(), ColumnDecoder()

    def take(payload: bytes) -> bool:
        if layouts.read(payload, "gw-a") is not None:
            return True
        columns = decoder.decode(payload, "gw-a")
        assert columns is not None
        layouts.learn(payload, "gw-a", columns)
        return False

    assert not any(take(pack(record("door-1/door_open", vs=f"text {number}"))) for number in range(400))
    assert learning.call_count < 100
    assert any(take(PLAIN) for _ in range(1_000))
    assert all(take(PLAIN) for _ in range(100))


def test_layouts_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.ingest.layouts._MOST_BYTES", 10_000)
    layouts, decoder = Layouts(), ColumnDecoder()
    for number in range(100):
        gateway = f"gw-{number}"
        payload = pack(record("meter-1/energy_import", v=1), bn=f"{gateway}/")
        columns = decoder.decode(payload, gateway)
        assert columns is not None
        layouts.learn(payload, gateway, columns)
        assert layouts.read(payload, gateway) is not None
        assert layouts.held_bytes <= 10_000
    assert layouts.read(pack(record("meter-1/energy_import", v=1), bn="gw-1/"), "gw-1") is None
