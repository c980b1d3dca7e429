"""When a backup is due and which may go, at any time and in any zone."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, SECOND, from_datetime, to_datetime
from linli_platform.backup.manifest import BackupName, parse_name
from linli_platform.backup.schedule import Keep, expired, next_due

ZONES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "UTC", "America/St_Johns"]).map(ZoneInfo)
INSTANTS = st.integers(946_684_800, 4_102_444_800).map(lambda second: second * SECOND)
OWNER = "0" * 32


def at(text: str, zone: str = "UTC") -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def test_it_is_due_at_the_next_turn_of_the_clock() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert next_due(at("2026-11-25T02:29", "Asia/Shanghai"), time(2, 30), zone) == at("2026-11-24T18:30")
    assert next_due(at("2026-11-25T02:30", "Asia/Shanghai"), time(2, 30), zone) == at("2026-11-25T18:30")


def test_a_night_without_that_time_has_it_an_hour_later_and_one_with_two_has_the_first() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert next_due(at("2026-03-29T00:00"), time(2, 30), zone) == at("2026-03-29T01:30")
    assert next_due(at("2026-10-24T22:30"), time(2, 30), zone) == at("2026-10-25T00:30")


@given(INSTANTS, st.times().map(lambda moment: moment.replace(second=0, microsecond=0)), ZONES)
def test_it_is_always_due_within_a_day_and_a_bit(after: int, wanted: time, zone: ZoneInfo) -> None:
    due = next_due(after, wanted, zone)
    assert after < due <= after + DAY + HOUR
    shown = to_datetime(due).astimezone(zone)
    assert (shown.hour, shown.minute) == (wanted.hour, wanted.minute) or shown.utcoffset() != to_datetime(
        due - 2 * HOUR
    ).astimezone(zone).utcoffset()


@given(st.lists(INSTANTS, max_size=60), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), ZONES)
def test_the_newest_stays_and_each_kept_period_keeps_its_newest(
    instants: list[int], days: int, weeks: int, months: int, zone: ZoneInfo
) -> None:
    names = [BackupName(moment, OWNER) for moment in instants]
    keep = Keep(days, weeks, months)
    gone = expired(names, keep, zone)
    left = sorted(set(names) - set(gone))
    if names:
        assert max(names) in left
        assert len(left) <= 1 + days + weeks + months
    assert expired(left, keep, zone) == []
    newest_days = sorted({to_datetime(name.taken_at).astimezone(zone).date() for name in names}, reverse=True)[:days]
    assert {to_datetime(name.taken_at).astimezone(zone).date() for name in left} >= set(newest_days)


def test_a_year_of_nights_leaves_seven_days_four_weeks_six_months() -> None:
    names = [BackupName(at("2026-01-01T02:30") + night * DAY, OWNER) for night in range(365)]
    left = set(names) - set(expired(names, Keep(), UTC))
    assert sorted(to_datetime(name.taken_at).date().isoformat() for name in left) == [
        *("2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-30"),
        *("2026-12-13", "2026-12-20", "2026-12-25", "2026-12-26", "2026-12-27"),
        *("2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31"),
    ]


@given(INSTANTS, st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_name_comes_back_from_its_text(moment: int, owner: str) -> None:
    assert parse_name(str(BackupName(moment, owner))) == BackupName(moment, owner)


@given(st.text())
def test_no_other_text_is_a_name(text: str) -> None:
    assert parse_name(text) is None
