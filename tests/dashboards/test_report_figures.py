"""The figures of a report, from hand-made material."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from linli_core.errors import ConfigError
from linli_dashboards.report.figures import kinetic_mean, reckon, share_of
from linli_dashboards.report.material import (
    Alarm,
    Area,
    ColdDay,
    CompleteDay,
    Device,
    Gateway,
    Loss,
    Material,
    PointKey,
    Rule,
    Titles,
)
from linli_dashboards.report.month import Month, check_days, parse_month, parse_zone
from linli_dashboards.report.register import Midnights, Reckoned, Register
from linli_dashboards.report.scale import scale
from linli_dashboards.report.wrap import lines_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
OCTOBER = Month(2026, 10, SHANGHAI)
METER: PointKey = ("gw", "m", "m/energy_import")
ROOM: PointKey = ("gw", "cold-room-1", "cold-room-1/air_temperature")


class Hour(NamedTuple):
    start: datetime
    first: float
    last: float


def reckoned(hours: list[Hour], month: Month) -> Reckoned:
    register = Register(Midnights(month))
    for hour in hours:
        register.hour(int(hour.start.timestamp()), hour.first, hour.last)
    return register.reckoned()


def hours(month: Month, *, each: float = 100.0, leave_out: frozenset[int] = frozenset()) -> list[Hour]:
    """Return a register that counts so much an hour, from the hour before the month to the one after it."""
    length = round((month.end - month.start) / timedelta(hours=1))
    return [
        Hour(month.start + timedelta(hours=hour), 1_000 + each * hour, 1_000 + each * (hour + 1))
        for hour in range(-1, length + 1)
        if hour not in leave_out
    ]


def material(**given: object) -> Material:
    plain: dict[str, object] = {
        "month": OCTOBER,
        "made_at": OCTOBER.end + timedelta(hours=1),
        "version": "0",
        "area": "",
        "areas": {},
        "gateways": {"gw": Gateway("gw", "active", Titles())},
        "devices": {
            key[:2]: Device("gw", key[1], "active", kind, Titles())
            for key, kind in ((METER, "electricity_meter"), (ROOM, "cold_room"))
        },
        "complete": [],
        "newest": frozenset(),
        "alarms": [],
        "standing": [],
        "rules": {"warm": Rule("warm", "air_temperature", Titles(), 600.0)},
        "registers": {name: {} for name in ("electricity", "water", "hot_water", "gas", "heat")},
        "registers_before": {name: {} for name in ("electricity", "water", "hot_water", "gas", "heat")},
        "cold": {},
        "cold_hours": {},
        "losses": [],
    }
    return Material(**{**plain, **given})  # type: ignore[arg-type]


def alarm(number: int, raised: datetime, returned: datetime | None, seen: datetime | None = None, **more: str) -> Alarm:
    words = {"rule": "warm", "priority": "high", "category": "food"} | more
    return Alarm(
        id=number,
        gateway="gw",
        device=ROOM[1],
        point=ROOM[2],
        title=Titles(),
        raised_at=raised,
        learnt_at=raised,
        returned_at=returned,
        acknowledged_at=seen,
        **words,
    )


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=SHANGHAI)


def test_an_alarm_of_a_gateway_itself_is_one_of_its_community() -> None:
    areas = {key: Area(key, "community", Titles()) for key in ("yard", "other")}
    gateways = {"gw": Gateway("gw", "active", Titles(), "yard")}
    alarms = [alarm(1, at(3), None), structs.replace(alarm(2, at(4), None, priority="medium"), device="", point="")]
    figures = reckon(material(areas=areas, gateways=gateways, alarms=alarms))
    assert [(each.area, each.alarms, each.high) for each in figures.communities] == [("other", 0, 0), ("yard", 2, 1)]
    assert figures.raised == 2


def test_a_register_read_each_hour_tells_month_and_days() -> None:
    found = reckoned(hours(OCTOBER), OCTOBER)
    assert found.total == 31 * 2_400
    assert set(found.days.values()) == {2_400.0}
    assert len(found.days) == 31
    assert not found.partial
    assert not found.broken


def test_over_a_gap_the_total_is_known_and_the_days_are_not() -> None:
    # Nothing is heard from the 12th at 22:00 to the 14th at 03:00.
    found = reckoned(hours(OCTOBER, leave_out=frozenset(range(11 * 24 + 22, 13 * 24 + 3))), OCTOBER)
    assert found.total == 31 * 2_400
    assert set(OCTOBER) - set(found.days) == {date(2026, 10, 12), date(2026, 10, 13), date(2026, 10, 14)}


def test_a_register_that_went_back_is_told_and_its_fall_is_no_consumption() -> None:
    swapped = [
        hour if hour.start < at(10) else Hour(hour.start, hour.first - 9_000, hour.last - 9_000)
        for hour in hours(OCTOBER)
    ]
    found = reckoned(swapped, OCTOBER)
    assert found.broken
    assert found.total == 31 * 2_400
    assert date(2026, 10, 9) in found.days


def test_one_that_begins_in_the_month_is_partial_and_one_that_was_never_read_twice_is_unknown() -> None:
    late = [hour for hour in hours(OCTOBER) if hour.start >= at(20)]
    assert reckoned(late, OCTOBER).partial
    assert reckoned(late, OCTOBER).total == 12 * 2_400
    assert reckoned([], OCTOBER).total is None


def test_days_are_those_of_the_communitys_clock_where_it_is_set() -> None:
    berlin = Month(2026, 10, ZoneInfo("Europe/Berlin"))
    found = reckoned(hours(berlin), berlin)
    assert found.days[date(2026, 10, 25)] == 2_500.0  # 25 hours
    assert found.total == sum(found.days.values())


def test_the_change_is_of_meters_that_counted_both_months_whole() -> None:
    new: PointKey = ("gw", "m2", "m2/energy_import")
    registers = {
        **material().registers,
        "electricity": {METER: reckoned(hours(OCTOBER, each=110.0), OCTOBER), new: reckoned(hours(OCTOBER), OCTOBER)},
    }
    before = {**material().registers, "electricity": {METER: reckoned(hours(OCTOBER.last_year), OCTOBER.last_year)}}
    use = reckon(material(registers=registers, registers_before=before)).uses[0]
    assert use.change == pytest.approx(0.1)
    assert (use.meters, use.both, use.dayless) == (2, 1, 1)
    assert use.total == pytest.approx(31 * 2.4 * 2.1)
    assert use.days[0] == pytest.approx(2.64)
    assert use.days_before[0] == pytest.approx(2.4)


def test_without_last_year_there_is_no_change_and_not_a_fall_from_nothing() -> None:
    registers = {**material().registers, "electricity": {METER: reckoned(hours(OCTOBER), OCTOBER)}}
    use = reckon(material(registers=registers)).uses[0]
    assert use.change is None
    assert use.before is None
    assert set(use.days_before) == {None}


def test_what_is_left_out_is_in_no_sum() -> None:
    registers = {**material().registers, "electricity": {METER: reckoned(hours(OCTOBER), OCTOBER)}}
    assert reckon(material(registers=registers), {METER[:2]}).uses[0].total is None


def test_a_main_meter_is_in_no_sum_of_those_behind_it() -> None:
    main: PointKey = ("gw", "main", "main/energy_import")
    registers = {
        **material().registers,
        "electricity": {
            METER: reckoned(hours(OCTOBER), OCTOBER),
            main: reckoned(hours(OCTOBER, each=300.0), OCTOBER),
        },
    }
    devices = {**material().devices, main[:2]: Device("gw", "main", "active", "bulk_electricity_meter", Titles())}
    uses = reckon(material(registers=registers, devices=devices)).uses
    assert [(use.utility, use.is_main, use.meters, round(use.total or 0.0, 3)) for use in uses if use.meters] == [
        ("electricity", False, 1, 74.4),
        ("electricity", True, 1, 223.2),
    ]
    assert [use.is_main for use in reckon(material(registers=registers)).uses] == [False] * 5


def test_a_day_of_which_too_few_meters_tell_has_no_sum() -> None:
    keys: list[PointKey] = [("gw", f"m{number}", "x/energy_import") for number in range(3)]
    gap = hours(OCTOBER, leave_out=frozenset(range(24, 72)))
    read = {key: reckoned(hours(OCTOBER), OCTOBER) for key in keys} | {keys[0]: reckoned(gap, OCTOBER)}
    registers = {**material().registers, "electricity": read}
    use = reckon(material(registers=registers)).uses[0]
    assert use.days[0] is not None
    assert use.days[2] is None
    assert use.total == pytest.approx(3 * 31 * 2.4)


def test_what_nobody_expected_is_unknown_and_what_came_unusable_is_not_good() -> None:
    days = [
        CompleteDay("gw/m/energy_import", date(2026, 10, 1), 24, 20, 18, 1, 4),
        CompleteDay("gw/m/energy_import", date(2026, 10, 2), None, 7, 7, 0, None),
    ]
    share = share_of(days)
    assert (share.expected, share.good, share.unusable, share.missing, share.late, share.unknown) == (
        24,
        18,
        2,
        4,
        1,
        1,
    )
    assert share.part == 0.75
    assert share_of(days[1:]).part is None


def test_a_device_that_brings_only_failures_was_not_heard_from() -> None:
    days = [CompleteDay("gw/m/energy_import", date(2026, 10, 1), 24, 24, 0, 0, 0)]
    figures = reckon(material(complete=days))
    assert (figures.devices, figures.heard) == (2, 0)
    assert [key for key, _ in figures.worst] == [METER[:2]]


def test_an_alarm_of_another_system_is_no_device_that_was_not_heard_from() -> None:
    areas = {"yard": Area("yard", "community", Titles())}
    stands_for = Device("gw", "outside-high-1", "active", "outside-alarm", Titles(), "yard")
    meter = Device("gw", "m", "active", "electricity_meter", Titles(), "yard")
    devices = {(each.gateway, each.id): each for each in (stands_for, meter)}
    alarms = [structs.replace(alarm(1, at(3), None), device="outside-high-1")]
    figures = reckon(material(areas=areas, devices=devices, newest=frozenset({METER[:2]}), alarms=alarms))
    assert (figures.devices, figures.heard) == (1, 1)
    ((devices_of, heard, alarms_of),) = [(each.devices, each.heard, each.alarms) for each in figures.communities]
    assert (devices_of, heard, alarms_of) == (1, 1, 1)


def test_a_device_whose_days_are_not_counted_yet_was_heard_from_by_its_newest_reading() -> None:
    figures = reckon(material(newest=frozenset({METER[:2]})))
    assert (figures.devices, figures.heard) == (2, 1)


def test_alarms_of_one_hour_are_one_hour_and_end_with_the_month() -> None:
    alarms = [
        alarm(1, at(7, 10), at(7, 12)),
        alarm(2, at(7, 11), at(7, 13)),
        alarm(3, at(31, 22), None),
        alarm(4, at(9), at(10), category="system"),
    ]
    cold = {ROOM: [ColdDay(date(2026, 10, 7), 2.0, 4.0, 9.0)]}
    figures = reckon(material(alarms=alarms, cold=cold, cold_hours={ROOM: [4.0, 4.0]}))
    unit = figures.cold[0]
    assert unit.out == timedelta(hours=5)
    assert unit.out_days == {date(2026, 10, 7): timedelta(hours=3), date(2026, 10, 31): timedelta(hours=2)}
    assert unit.standing
    assert unit.alarms == 3


def test_an_alarm_of_the_month_before_is_time_out_of_range_and_no_alarm_of_this_month() -> None:
    before = alarm(1, at(1) - timedelta(hours=30), at(1, 6), rule="of an expression")
    cold = {ROOM: [ColdDay(date(2026, 10, 1), 2.0, 4.0, 9.0)]}
    figures = reckon(material(standing=[before], cold=cold, cold_hours={ROOM: [4.0]}))
    assert figures.cold[0].out_days == {date(2026, 10, 1): timedelta(hours=6)}
    assert figures.cold[0].alarms == 0
    assert figures.raised == 0


def test_how_alarms_were_answered() -> None:
    alarms = [
        alarm(1, at(1), at(2), at(1, 0, 5)),
        alarm(2, at(3), at(3, 1), at(3, 0, 20)),
        alarm(3, at(4), None),
        # A clock that was set back between the two.
        alarm(4, at(5), at(5, 1), at(4, 23)),
    ]
    high = reckon(material(alarms=alarms)).responses[0]
    assert (high.raised, high.acknowledged, high.standing) == (4, 3, 1)
    assert (high.middle, high.ninth) == (300.0, 1200.0)
    assert (high.in_time, high.timed) == (2, 4)


def test_losses_are_added_up_and_an_unknown_number_of_readings_stays_unknown() -> None:
    losses = [Loss("gw", 5, "space", 50, at(3)), Loss("gw", 2, "space", None, at(4)), Loss("gw", 1, "age", 9, at(5))]
    lost = reckon(material(losses=losses)).lost
    assert [(one.cause, one.ranges, one.messages, one.readings) for one in lost] == [
        ("age", 1, 1, 9),
        ("space", 2, 7, None),
    ]


def test_days_that_have_not_come_have_no_count_of_alarms() -> None:
    figures = reckon(material(alarms=[alarm(1, at(2), None)], made_at=at(3, 12)))
    assert figures.alarm_days["high"][:4] == (0, 1, 0, None)


@given(st.lists(st.floats(-30, 40), min_size=1, max_size=50))
def test_the_kinetic_mean_lies_between_the_mean_and_the_highest(temperatures: list[float]) -> None:
    found = kinetic_mean(temperatures)
    assert sum(temperatures) / len(temperatures) - 1e-6 <= found <= max(temperatures) + 1e-6


def test_the_kinetic_mean_of_a_warm_half_is_worked_by_hand() -> None:
    # 278.15 K and 298.15 K: e^-35.9518 is 2.43e-16, e^-33.5402 is 2.71e-15; their mean is 1.48e-15, e^-34.148.
    assert kinetic_mean([5.0, 25.0]) == pytest.approx(10_000 / 34.148 - 273.15, abs=0.02)


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.booleans())
def test_a_scale_holds_what_it_is_made_for(low: int, length: int, whole: bool) -> None:
    lowest, span = low / 1_000, length / 1_000  # as meters tell: to a thousandth
    axis = scale(lowest, lowest + span, whole=whole)
    assert axis.lowest <= lowest + 1e-6 * abs(lowest)
    assert axis.highest >= lowest + span - 1e-6 * max(1.0, abs(lowest + span))
    assert 2 <= len(axis.ticks) <= 8
    assert len({axis.told(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_ticks_are_written_as_they_are() -> None:
    assert [scale(0, 1).told(tick) for tick in scale(0, 1).ticks] == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    axis = scale(0, 3, whole=True)
    assert [axis.told(tick) for tick in axis.ticks] == ["0", "1", "2", "3"]


def test_chinese_breaks_anywhere_but_before_a_mark_and_words_are_broken_last() -> None:
    assert list(lines_of("读数之差；至少 95% 的表计", 6, len)) == ["读数之差；至", "少 95%", "的表计"]
    assert list(lines_of("读数之差；至少", 4, len)) == ["读数之", "差；至少"]
    assert list(lines_of("never a day of nothing", 11, len)) == ["never a day", "of nothing"]
    assert list(lines_of("unbreakable", 4, len)) == ["unbr", "eaka", "ble"]


@given(st.text(alphabet="ab 的读。，（）%5", max_size=60), st.integers(2, 20))
def test_no_letter_is_lost_by_breaking(text: str, width: int) -> None:
    lines = list(lines_of(text, width, len))
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_months() -> None:
    today = date(2026, 11, 26)
    assert str(parse_month("", SHANGHAI, today)) == "2026-10"
    assert str(parse_month("", SHANGHAI, date(2026, 1, 5))) == "2025-12"
    assert str(parse_month("2026-11", SHANGHAI, today)) == "2026-11"
    assert Month(2024, 2, SHANGHAI).last_year.days[-1] == date(2023, 2, 28)


@pytest.mark.parametrize(
    ("month", "said"),
    [
        ("October", "--month: 'October' is no month; write one such as 2026-10"),
        ("2026-13", "--month: '2026-13' is no month; write one such as 2026-10"),
        ("2026-12", "--month: 2026-12 lies ahead; name one that has begun"),
    ],
)
def test_what_is_no_month(month: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_month(month, SHANGHAI, date(2026, 11, 26))
    assert str(told.value) == said


def test_what_is_no_zone() -> None:
    with pytest.raises(ConfigError, match="no time zone is called 'Mars/Olympus'; write one such as Asia/Shanghai"):
        parse_zone("Mars/Olympus")


def test_days_of_another_clock_are_no_days_of_this_report() -> None:
    month = Month(2026, 10, ZoneInfo("Asia/Shanghai"))
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for name, offset in (("Asia/Shanghai", None), ("Asia/Singapore", None), ("", 8 * 3600), ("", None)):
        check_days(month, now, name, offset)
    with pytest.raises(ConfigError, match="counts its days by UTC, which are not those of Asia/Shanghai"):
        check_days(month, now, "UTC", 0)
    with pytest.raises(ConfigError, match=r"by a clock \+0 h from UTC"):
        check_days(month, now, "", 0)
    # In November both clocks are alike, and in the last week of October they are not.
    with pytest.raises(ConfigError, match="by Africa/Lagos, which are not those of Europe/Berlin"):
        check_days(Month(2026, 10, ZoneInfo("Europe/Berlin")), now, "Africa/Lagos", 3600)
