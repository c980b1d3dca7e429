"""What foreign lines become: readings by name, or a refusal by line."""

import math

import pytest

from linli_core.errors import ConfigError, RefusalReason
from linli_core.instant import DAY
from linli_core.wire.line_protocol import parse
from linli_platform.ingest.line_mapping import FieldMap, LineMapper, Mapped, Rules, check_maps

NOW = 1_795_000_000_000_000
AT = NOW * 1_000
RULES = Rules(
    "telegraf-1",
    (
        FieldMap("modbus", "t_air", "air_temperature", device_tag="name"),
        FieldMap("modbus", "t_f", "air_temperature", unit="degF", device_tag="name"),
        FieldMap("modbus", "kwh", "energy_import.t1", unit="kWh", device="main-meter", tags={"slave_id": "1"}),
        FieldMap("modbus", "kwh", "energy_import", unit="kWh", device="spare-meter", tags={"slave_id": "2"}),
        FieldMap("modbus", "door", "door_open", device_tag="name"),
    ),
    {"Cold room 1": "cold-room-1"},
)


def mapped(*lines: str) -> Mapped:
    parsed = parse("\n".join(lines).encode())
    assert not parsed.bad
    return LineMapper(RULES).map(parsed.points, NOW, 946_684_800_000_000, NOW + DAY)


def readings(found: Mapped) -> list[tuple[str, int, float | str | None, int, int]]:
    return [
        (name, time, found.texts.get(row, None if math.isnan(value) else value), quality, line)
        for row, (name, time, value, quality, line) in enumerate(
            zip(found.names, found.times, found.values, found.quality, found.lines, strict=True)
        )
    ]


def test_our_own_form_is_taken_as_it_is() -> None:
    found = mapped(
        f"energy_import,device=m1,gateway=telegraf-1,point=m1/energy_import.t1 quality=0i,value=1234.5 {AT}",
        f"energy_import,device=m1 value=7i {AT}",
        f"energy_import,point=m1/energy_import quality=64i,value=8 {AT}",
        f"energy_import,point=m1/energy_import quality=137i,raw=9 {AT + 1_000}",
        f"energy_import,point=m1/energy_import quality=129i {AT + 2_000}",
        f'meter_identity,device=m1 quality=0i,text="SN 4711" {AT}',
        f"door_open,device=m1 value=true {AT}",
        "air_temperature,device=m1 value=3.5",
    )
    assert not found.refused
    assert readings(found) == [
        ("m1/energy_import.t1", NOW, 1234.5, 0, 1),
        ("m1/energy_import", NOW, 7.0, 0, 2),
        ("m1/energy_import", NOW, 8.0, 64, 3),
        ("m1/energy_import", NOW + 1, 9.0, 137, 4),
        ("m1/energy_import", NOW + 2, None, 129, 5),
        ("m1/meter_identity", NOW, "SN 4711", 0, 6),
        ("m1/door_open", NOW, 1.0, 0, 7),
        ("m1/air_temperature", NOW, 3.5, 0, 8),
    ]


def test_fields_of_others_become_what_the_token_says() -> None:
    found = mapped(
        f"modbus,name=Cold\\ room\\ 1,slave_id=9 t_air=3.5,door=false {AT}",
        f"modbus,name=cold-room-2 t_f=41 {AT}",
        f"modbus,slave_id=1 kwh=1.2345 {AT}",
        f"modbus,slave_id=2 kwh=2i {AT}",
        f"weather,device=mast,host=pi air_temperature=-1.5,relative_humidity=80i {AT}",
    )
    assert not found.refused
    assert readings(found) == [
        ("cold-room-1/air_temperature", NOW, 3.5, 0, 1),
        ("cold-room-1/door_open", NOW, 0.0, 0, 1),
        ("cold-room-2/air_temperature", NOW, 5.0, 0, 2),
        ("main-meter/energy_import.t1", NOW, 1234.5, 0, 3),
        ("spare-meter/energy_import", NOW, 2000.0, 0, 4),
        ("mast/air_temperature", NOW, -1.5, 0, 5),
        ("mast/relative_humidity", NOW, 80.0, 0, 5),
    ]


BAD = [
    (
        "cpu,host=pi usage_idle=1",
        RefusalReason.UNKNOWN_QUANTITY,
        "line 1: nothing says what field 'usage_idle' of 'cpu' is: map it in the token's file, or name it as",
    ),
    ("modbus,slave_id=3 kwh=1", RefusalReason.UNKNOWN_QUANTITY, "line 1: nothing says what field 'kwh' of 'modbus' is"),
    ("weather air_temperature=1", RefusalReason.UNKNOWN_QUANTITY, "line 1: nothing says what field 'air_temperature'"),
    ("modbus t_air=1", RefusalReason.BAD_NAME, "line 1: no tag 'name', which names the device"),
    (
        "modbus,name=Room\\ 7 t_air=1",
        RefusalReason.BAD_NAME,
        "line 1: device 'Room 7' is no id; give it one under devices in the token's file",
    ),
    (
        "energy_import value=1",
        RefusalReason.BAD_NAME,
        "line 1: '/energy_import' is no point; tag point names it (device/quantity), or tag device the device",
    ),
    (
        "energy_import,point=m1/voltage value=1",
        RefusalReason.BAD_NAME,
        "line 1: point 'm1/voltage' under measurement 'energy_import' and device ''",
    ),
    (
        "energy_import,device=m2,point=m1/energy_import value=1",
        RefusalReason.BAD_NAME,
        "line 1: point 'm1/energy_import' under measurement",
    ),
    (
        "energy_import,device=m1,gateway=gw-a value=1",
        RefusalReason.FOREIGN_GATEWAY,
        "line 1: gateway 'gw-a'; this token writes as 'telegraf-1'",
    ),
    (
        "energy_import,device=m1 value=1 1795000000000",
        RefusalReason.TIME_OUT_OF_RANGE,
        "line 1: 1795000000 µs since 1970: before 2000, or ahead of the present (is the precision right?)",
    ),
    (
        "energy_import,device=m1 value=1 1995000000000000000",
        RefusalReason.TIME_OUT_OF_RANGE,
        "line 1: 1995000000000000 µs since 1970",
    ),
    (
        'energy_import,device=m1 value="12"',
        RefusalReason.WRONG_TYPE,
        "line 1: 'value' is text; energy_import is a number",
    ),
    (
        "energy_import,device=m1 value=t",
        RefusalReason.WRONG_TYPE,
        "line 1: 'value' is true or false; energy_import is a number",
    ),
    ("energy_import,device=m1 value=1,raw=1", RefusalReason.MANY_VALUES, "line 1: value and raw: one value a line"),
    ("energy_import,device=m1 quality=0i", RefusalReason.NO_VALUE, "line 1: neither a value nor a quality that is bad"),
    (
        "energy_import,device=m1 value=1,quality=128i",
        RefusalReason.WRONG_TYPE,
        "line 1: value with quality 128: value is usable, raw is bad",
    ),
    (
        "energy_import,device=m1 raw=1,quality=0i",
        RefusalReason.WRONG_TYPE,
        "line 1: raw with quality 0: value is usable",
    ),
    ("energy_import,device=m1 value=1,quality=999i", RefusalReason.WRONG_TYPE, "line 1: quality '999' is no code"),
    ("energy_import,device=m1 value=1,quality=63i", RefusalReason.WRONG_TYPE, "line 1: quality '63' is no code"),
    ('energy_import,device=m1 value=1,quality="good"', RefusalReason.WRONG_TYPE, "line 1: quality 'good' is no code"),
]


@pytest.mark.parametrize(("line", "reason", "said"), BAD, ids=[each[0][:40] for each in BAD])
def test_what_cannot_be_understood_is_refused_by_line(line: str, reason: RefusalReason, said: str) -> None:
    found = mapped(line)
    assert not found.names
    ((number, refused),) = found.refused
    assert number == 1
    assert refused.reason is reason
    assert str(refused).startswith(said)


def test_a_raw_number_alone_is_of_a_reading_that_is_bad() -> None:
    assert readings(mapped(f"energy_import,device=m1 raw=1 {AT}")) == [("m1/energy_import", NOW, 1.0, 128, 1)]


def test_one_field_that_nobody_knows_costs_no_other_field() -> None:
    found = mapped(f"modbus,name=cold-room-2 t_air=1,firmware=5i {AT}")
    assert [name for name, *_ in readings(found)] == ["cold-room-2/air_temperature"]
    assert [(line, refused.reason) for line, refused in found.refused] == [(1, RefusalReason.UNKNOWN_QUANTITY)]


MISTAKES = [
    (FieldMap("m", "f", "Air", device="d"), "t.maps[0].point: 'Air' is no point; write quantity[.qualifier…]"),
    (FieldMap("m", "f", "airs", device="d"), "t.maps[0].point: no quantity is called 'airs'; choose one of docs/"),
    (FieldMap("m", "f", "voltage", "kWh", device="d"), "t.maps[0].unit: "),
    (FieldMap("m", "f", "voltage"), "t.maps[0]: one of device and device_tag is needed; name the device, or the tag"),
    (FieldMap("m", "f", "voltage", device="d", device_tag="t"), "t.maps[0]: one of device and device_tag is needed"),
    (FieldMap("m", "f", "voltage", device="D 1"), "t.maps[0].device: 'D 1' is no id; use lower case, digits and hyph"),
]


@pytest.mark.parametrize(("wrong", "said"), MISTAKES)
def test_a_map_that_means_nothing_is_told_where_it_stands(wrong: FieldMap, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_maps([wrong], {}, "t")
    assert str(caught.value).startswith(said)


def test_a_device_without_an_id_is_told() -> None:
    with pytest.raises(ConfigError, match=r"t\.devices\.Room: 'Room 1' is no id"):
        check_maps([], {"Room": "Room 1"}, "t")
