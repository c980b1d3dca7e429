"""What others' alarms come to, and nothing that anybody could post ends in anything but readings or a named refusal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason
from linli_core.instant import HOUR, MINUTE, SECOND, Instant, to_rfc3339
from linli_core.model import is_id
from linli_core.wire.line_protocol import Precision, parse
from linli_platform.alarms.outside import OutsideAlarm, understand

NOW: Instant = 1_795_000_000 * SECOND
NEVER = "0001-01-01T00:00:00Z"


def alert(status: str = "firing", **changes: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "Disk full", "instance": "nas-1", "severity": "critical"},
        "annotations": {"summary": "95 % used"},
        "startsAt": to_rfc3339(NOW - HOUR),
        "endsAt": NEVER if status == "firing" else to_rfc3339(NOW - MINUTE),
        "fingerprint": "0a1b2c3d4e5f6071",
        "generatorURL": "http://grafana/alerting/1",
    } | changes


def one(found: dict[str, Any]) -> OutsideAlarm:
    understood = understand([found], NOW)
    assert not understood.refused
    (alarm,) = understood.alarms
    return alarm


def test_a_firing_alert_is_true_since_it_began() -> None:
    alarm = one(alert())
    assert alarm == OutsideAlarm("outside-high-0a1b2c3d4e5f6071", "Disk full: 95 % used", NOW - HOUR, None)
    assert alarm.lines() == (
        f"outside_alarm,point=outside-high-0a1b2c3d4e5f6071/outside_alarm value=true {NOW - HOUR}\n"
    )


def test_a_resolved_one_tells_of_both_ends_for_the_first_word_may_be_lost() -> None:
    lines = one(alert("resolved")).lines().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == [str(NOW - HOUR), str(NOW - MINUTE)]
    assert [line.split(" ")[1] for line in lines] == ["value=true", "value=false"]


@pytest.mark.parametrize(
    ("labels", "device"),
    [
        ({"severity": "Critical"}, "outside-high-"),
        ({"severity": "warning"}, "outside-medium-"),
        ({"severity": "info"}, "outside-low-"),
        ({"priority": "P1"}, "outside-high-"),
        ({"team": "x"}, "outside-medium-"),
    ],
)
def test_its_priority_is_what_its_sender_says(labels: dict[str, str], device: str) -> None:
    assert one(alert(labels=labels)).device.startswith(device)


@pytest.mark.parametrize("severity", ["high", "medium", "low"])
def test_its_end_can_be_posted_by_hand_from_its_name(severity: str) -> None:
    """As docs/boards-in-grafana.md says: priority and mark are in the name of the device."""
    device = one(alert(labels={"alertname": "Disk full", "severity": severity})).device
    end = {"status": "resolved", "fingerprint": device.rpartition("-")[2], "labels": {"severity": severity}}
    ended = one(end)
    assert (ended.device, ended.ends_at) == (device, NOW)
    assert ended.lines().endswith(f"value=false {NOW}\n")
    assert ended.lines().count("\n") == 1


def test_without_a_mark_its_labels_tell_it_from_others() -> None:
    first, second = alert(fingerprint="../../x"), alert(fingerprint="../../x", labels={"alertname": "Other"})
    assert one(first).device == one(first).device != one(second).device


def test_a_clock_ahead_and_times_that_are_not_known_keep_nothing_waiting() -> None:
    assert one(alert(startsAt=to_rfc3339(NOW + HOUR))).starts_at == NOW
    assert one(alert(startsAt=NEVER)).starts_at == NOW
    ended = one(alert("resolved", startsAt=to_rfc3339(NOW + HOUR), endsAt=to_rfc3339(NOW + 2 * HOUR)))
    assert (ended.starts_at, ended.ends_at) == (NOW, NOW)
    assert ended.lines().count("\n") == 1
    assert "value=false" in ended.lines()


def test_a_strangers_words_stay_on_one_line_and_short() -> None:
    alarm = one(alert(annotations={"summary": "a\r\nBcc: all@example.org \x1b[31m" + "x" * 500}))
    assert alarm.title.startswith("Disk full: a Bcc: all@example.org [31mx")
    assert len(alarm.title) == 120


@pytest.mark.parametrize(
    ("bad", "where", "reason"),
    [
        (7, "alerts[1]", RefusalReason.MALFORMED),
        (alert("pending"), "alerts[1].status", RefusalReason.MALFORMED),
        (alert(labels={}), "alerts[1].labels", RefusalReason.NO_VALUE),
        (alert(labels={"a": 1}), "alerts[1].labels", RefusalReason.WRONG_TYPE),
        (alert(annotations=["x"]), "alerts[1].annotations", RefusalReason.WRONG_TYPE),
        (alert(startsAt="yesterday"), "alerts[1].startsAt", RefusalReason.TIME_OUT_OF_RANGE),
        (alert("resolved", endsAt=5), "alerts[1].endsAt", RefusalReason.TIME_OUT_OF_RANGE),
    ],
)
def test_a_bad_one_is_named_and_the_others_are_taken(bad: object, where: str, reason: RefusalReason) -> None:
    understood = understand([alert(), bad, alert("resolved")], NOW)
    assert len(understood.alarms) == 2
    (refused,) = understood.refused
    assert (refused.where, refused.reason) == (where, reason)


texts = st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none(), max_size=4)
whatever = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["firing", "resolved", "x", 1]),
        "labels": texts | st.just({"alertname": "a"}) | st.integers(),
        "annotations": texts | st.none(),
        "startsAt": st.sampled_from([to_rfc3339(NOW - HOUR), NEVER, "", "9999-99-99", "0001-01-02T00:00:00Z"]),
        "endsAt": st.sampled_from([to_rfc3339(NOW), NEVER, None, "2026-11-26T08:00:00.123456789+08:00"]),
        "fingerprint": st.text(max_size=40) | st.integers(),
    },
)


@given(st.lists(whatever | st.integers() | st.none(), max_size=5))
def test_whatever_is_posted_is_taken_as_lines_that_are_sound_or_refused(alerts: list[Any]) -> None:
    understood = understand(alerts, NOW)
    assert len(understood.alarms) + len(understood.refused) == len(alerts)
    for alarm in understood.alarms:
        assert is_id(alarm.device)
        assert alarm.title.isprintable()
        assert alarm.starts_at <= NOW
        parsed = parse(alarm.lines().encode(), Precision.of("us"))
        assert not parsed.bad
        assert len(parsed.points) in (1, 2)
