"""CloudEvents: there and back, refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import from_rfc3339
from linli_core.wire import event

AT = from_rfc3339("2026-11-23T03:28:44.5Z")
SILENT = event.Event("1", "linli.device.silent", "linli/gw-a", AT, "meter-1", {"since": 5})


def test_an_event_is_a_cloudevent_and_comes_back() -> None:
    payload = event.stamp(event.encode(SILENT), "e", 3)
    assert json.loads(payload) == {
        "epoch": "e",
        "seq": 3,
        "specversion": "1.0",
        "id": "1",
        "type": "linli.device.silent",
        "source": "linli/gw-a",
        "time": "2026-11-23T03:28:44.5Z",
        "subject": "meter-1",
        "data": {"since": 5},
    }
    assert event.decode(payload) == (SILENT, "e", 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, RefusalReason.VERSION),
        ({"time": "noon"}, RefusalReason.MALFORMED),
        ({"time": "2026-11-23T03:28:44"}, RefusalReason.MALFORMED),
        ({"id": 7}, RefusalReason.MALFORMED),
        ({"id": ""}, RefusalReason.WRONG_TYPE),
        ({"type": "x" * 300}, RefusalReason.WRONG_TYPE),
        ({"data": []}, RefusalReason.MALFORMED),
        ({"epoch": ""}, RefusalReason.NO_SEQUENCE),
        ({"seq": 0}, RefusalReason.NO_SEQUENCE),
        ({"data": {"bulk": "x" * 70_000}}, RefusalReason.TOO_LARGE),
    ],
)
def test_a_bad_event_is_refused_by_name(change: dict[str, Any], reason: RefusalReason) -> None:
    body = json.loads(event.stamp(event.encode(SILENT), "e", 3)) | change
    with pytest.raises(Refused) as caught:
        event.decode(json.dumps(body).encode())
    assert caught.value.reason is reason


@given(st.data())
def test_an_event_cut_anywhere_is_refused(data: st.DataObject) -> None:
    payload = event.stamp(event.encode(SILENT), "e", 3)
    with pytest.raises(Refused):
        event.decode(payload[: data.draw(st.integers(0, len(payload) - 1))])
