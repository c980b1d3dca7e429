"""Others' alarms through a running platform: posted as Grafana does, seen among its alarms, for whom they are."""

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.hub.test_outside import alert
from tests.hub.test_service import PlatformProcess

from linli_core.instant import HOUR, MINUTE, SECOND, Instant, to_rfc3339
from linli_platform.tokens import make_secret
from linli_sim.waiting import eventually

GRAFANA, GRAFANA_DIGEST = make_secret()
READER, READER_DIGEST = make_secret()
TOKENS = f"""
[[tokens]]
name = "grafana"
sha256 = "{GRAFANA_DIGEST}"
writes_as = "grafana-1"

[[tokens]]
name = "reader"
sha256 = "{READER_DIGEST}"
reads = {{ everything = true }}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """One platform for all; to this door no broker is needed."""
    folder = tmp_path_factory.mktemp("outside")
    tokens, config = folder / "tokens.toml", folder / "platform.toml"
    tokens.write_text(TOKENS, encoding="utf-8")
    tokens.chmod(0o600)
    config.write_text(f'[influx]\ntokens = "{tokens}"\n', encoding="utf-8")
    process = PlatformProcess(folder / "data", 0, 1)
    process.start("--config", str(config))
    try:
        yield process
    finally:
        process.end()


def now() -> Instant:
    return int(time.time() * SECOND)


def post(running: PlatformProcess, body: object, secret: str = GRAFANA) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{running.url}/api/v1/alarms/outside?by=x&print=y", raw, headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())


async def alarms(running: PlatformProcess, device: str, count: int) -> list[dict[str, Any]]:
    """Return the alarms of a device, the newest first, once there are so many transitions of the newest."""

    async def ask() -> list[dict[str, Any]]:
        found = await asyncio.to_thread(running.get, f"/api/v1/alarms?gateway=grafana-1&device={device}")
        rows: list[dict[str, Any]] = json.loads(found)
        if not rows:
            return []
        rows[0] = json.loads(await asyncio.to_thread(running.get, f"/api/v1/alarms/{rows[0]['id']}"))
        return rows if len(rows[0]["changes"]) >= count else []

    return await eventually(ask, f"{count} changes of {device}", limit=300)


async def test_what_grafana_posts_is_one_alarm_that_rings_and_returns(running: PlatformProcess) -> None:
    mark = "00000000000000a1"
    began = now() - 2 * HOUR
    firing = alert(fingerprint=mark, startsAt=to_rfc3339(began))
    # What Grafana says besides is passed over, and the same again changes nothing.
    for body in ({"receiver": "Linli", "status": "firing", "alerts": [firing], "title": "x"}, {"alerts": [firing]}):
        assert await asyncio.to_thread(post, running, body) == (200, {"taken": 1, "refused": [], "dropped": 0})
    (alarm,) = await alarms(running, f"outside-high-{mark}", 1)
    assert (alarm["rule"], alarm["priority"], alarm["state"]) == ("system.outside-high", "high", "unacknowledged")
    # It is two hours old, and what nobody was told of yet still rings.
    assert alarm["retrospective"] is False
    assert alarm["raised_at"] == to_rfc3339(began)
    found = json.loads(running.get("/api/v1/devices?gateway=grafana-1"))
    titles = {device["id"]: device["titles"] for device in found}
    assert titles[f"outside-high-{mark}"] == {"zh": "Disk full: 95 % used", "en": "Disk full: 95 % used"}
    resolved = alert("resolved", fingerprint=mark, startsAt=to_rfc3339(began), endsAt=to_rfc3339(began + HOUR))
    assert (await asyncio.to_thread(post, running, {"alerts": [resolved]}))[0] == 200
    (alarm,) = await alarms(running, f"outside-high-{mark}", 2)
    assert (alarm["state"], alarm["returned_at"]) == ("returned_unacknowledged", to_rfc3339(began + HOUR))


async def test_an_alarm_of_which_only_the_end_arrived_is_in_the_record(running: PlatformProcess) -> None:
    mark = "00000000000000a2"
    ended = alert("resolved", fingerprint=mark, startsAt=to_rfc3339(now() - HOUR), endsAt=to_rfc3339(now() - MINUTE))
    assert (await asyncio.to_thread(post, running, {"alerts": [ended], "truncatedAlerts": 3}))[1]["dropped"] == 3
    (alarm,) = await alarms(running, f"outside-high-{mark}", 2)
    assert [change["event"] for change in alarm["changes"]] == ["raise", "return"]


async def test_of_many_the_bad_one_is_named_and_the_others_are_taken(running: PlatformProcess) -> None:
    body = {"alerts": [alert(fingerprint=f"{number:016x}", startsAt="") for number in range(300)]}
    body["alerts"][7] = {"status": "firing"}
    status, taken = await asyncio.to_thread(post, running, body)
    assert (status, taken["taken"], taken["dropped"]) == (200, 299, 1)
    assert taken["refused"] == ["alerts[7].labels: none: they are what tells one alarm from another"]
    status, problem = await asyncio.to_thread(post, running, {"alerts": [body["alerts"][7]]})
    assert (status, problem["type"]) == (422, "/problems/no-alert")


@pytest.mark.parametrize(
    ("body", "who", "status", "kind"),
    [
        ({"alerts": []}, "", 401, "token-needed"),
        ({"alerts": []}, "wrong", 401, "token-needed"),
        ({"alerts": []}, "reader", 403, "may-not-write"),
        ({"status": "firing"}, "grafana", 422, "invalid-request"),
        (b"no json", "grafana", 422, "invalid-request"),
        # Of who may not write nothing is read, whatever it is.
        (b"no json", "reader", 403, "may-not-write"),
        (b'{"alerts": ' + b"[" * 300_000, "grafana", 422, "invalid-request"),
        (b'{"alerts": [{"status": "firing", "labels": {"\xff": "x"}}]}', "grafana", 422, "invalid-request"),
    ],
)
def test_who_may_not_or_posts_something_else_is_told_so(
    running: PlatformProcess, body: object, who: str, status: int, kind: str
) -> None:
    # By name: secrets are made by chance, and cases are to be called alike in every process.
    secret = {"grafana": GRAFANA, "reader": READER}.get(who, who)
    answer, problem = post(running, body, secret)
    assert (answer, problem["type"]) == (status, f"/problems/{kind}")
    assert problem["remedy"]


def test_more_than_may_be_is_refused_by_its_length_before_it_is_read(running: PlatformProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(running.url.rpartition(":")[2]))
    connection.putrequest("POST", "/api/v1/alarms/outside")
    connection.putheader("Authorization", f"Bearer {GRAFANA}")
    connection.putheader("Content-Length", str(4 * 1024 * 1024 + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["remedy"]) == (413, "send 4096 KiB at most")
    connection.close()


def test_a_storm_of_new_alarms_is_taken_as_a_whole(running: PlatformProcess) -> None:
    """What is answered with 200 Grafana does not tell again: none of it may be left out as one device too many."""
    said = {"summary": "95 % used", "description": "x" * 1_500}
    body = {
        "alerts": [
            alert(fingerprint=f"{number:016x}", startsAt="", annotations=said)
            for number in range(0x10000, 0x10000 + 700)
        ]
    }
    assert post(running, body) == (200, {"taken": 700, "refused": [], "dropped": 0})
