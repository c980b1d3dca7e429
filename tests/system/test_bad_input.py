"""A hostile client at the real broker: every bad message is refused with its reason, and nothing else suffers."""

import asyncio
import json
import math
import subprocess
import time
from collections.abc import Mapping

import aiomqtt
import cbor2
import pytest

from linli_core.errors import RefusalReason
from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_sim.processes import command
from linli_sim.rig import Rig
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system

HOSTILE = "gw-hostile"
EPOCH = "e1"
TELEMETRY = topic(HOSTILE, Channel.TELEMETRY)
OVERSIZED = 300_000


def pack(seq: int, **fields: object) -> bytes:
    """Return a pack of one sound record, but for the fields given."""
    sound: Mapping[str, object] = {
        "bn": f"{HOSTILE}/",
        "bt": round(time.time(), 3),
        "epoch": EPOCH,
        "seq": seq,
        "n": "meter-1/voltage",
        "u": "V",
        "v": 230.5,
    }
    return json.dumps([{**sound, **fields}]).encode()


def not_a_number(seq: int) -> bytes:
    record = {-2: f"{HOSTILE}/", -3: time.time(), "epoch": EPOCH, "seq": seq, 0: "meter-1/voltage", 1: "V", 2: math.nan}
    return cbor2.dumps([record])


BAD: tuple[tuple[RefusalReason, bytes], ...] = (
    (RefusalReason.MALFORMED, b'[{"bn":'),
    (RefusalReason.MALFORMED, b"\x80\x00"),
    (RefusalReason.WRONG_TYPE, pack(1, v="high")),
    (RefusalReason.NOT_FINITE, not_a_number(2)),
    (RefusalReason.TIME_OUT_OF_RANGE, pack(3, bt=100)),  # 1970: a clock that was never set
    (RefusalReason.TIME_OUT_OF_RANGE, pack(4, bt=1 << 28)),
    (RefusalReason.TIME_OUT_OF_RANGE, pack(5, bt=4_102_444_800)),  # 2100
    (RefusalReason.TOO_LARGE, pack(6, n="meter-1/voltage", padding="x" * OVERSIZED)),
    (RefusalReason.UNKNOWN_UNIT, pack(7, u="furlong")),
    (RefusalReason.UNKNOWN_QUANTITY, pack(8, n="meter-1/happiness")),
    (RefusalReason.FOREIGN_GATEWAY, pack(9, bn="gw-victim/")),
)


async def test_bad_messages_are_refused_and_counted_and_a_good_one_is_stored(rig: Rig) -> None:
    async with aiomqtt.Client("127.0.0.1", rig.port, identifier=HOSTILE) as client:
        status = Status(HOSTILE, "online", epoch=EPOCH, next_seq=11, boot_id="b1", number=1)
        await client.publish(topic(HOSTILE, Channel.STATUS), encode_message(status), qos=1)
        await client.publish(f"linli/1/zz/{HOSTILE}/telemetry", pack(1), qos=1)
        await client.publish(f"{TELEMETRY}/more", pack(1), qos=1)
        for _, payload in BAD:
            await client.publish(TELEMETRY, payload, qos=1)
        await client.publish(TELEMETRY, pack(10), qos=1)

        point = f"{HOSTILE}/meter-1/voltage"

        async def stored() -> object:
            latest = await rig.get("/latest", gateway=HOSTILE)
            return latest.get(point)

        # Over the same connection, after all that.
        good = await eventually(stored, "the good pack in the store")
        assert isinstance(good, dict)
        assert (good["value"], good["quality"]) == (230.5, "good")

    # The two on topics that are none of ours named this gateway, so its page shows them too.
    expected = {"unknown_topic": 1, "wrong_shard": 1}
    for reason, _ in BAD:
        expected[reason.value] = expected.get(reason.value, 0) + 1

    async def refusals() -> dict[str, int]:
        detail = await rig.get(f"/gateways/{HOSTILE}")
        found = {item["reason"]: item["count"] for item in detail["refusals"]}
        return found if sum(found.values()) >= len(BAD) + 2 else {}

    assert await eventually(refusals, f"{len(BAD) + 2} refusals on the gateway's page") == expected
    metrics = (await rig.get_text("/metrics")).splitlines()
    for reason_name, count in expected.items():
        assert f'linli_refused_total{{reason="{reason_name}"}} {count:.1f}' in metrics
    assert "linli_broker_connected 1.0" in metrics

    detail = await rig.get(f"/gateways/{HOSTILE}")
    assert all(item["example"] for item in detail["refusals"])
    # Each that said which message of the log it was stands in the ledger, so it is not sent for ever.
    assert {loss["first"] for loss in detail["losses"]} == {1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert (await rig.get("/counts"))["readings"] == 1
    assert rig.platform.running


async def quarantine(rig: Rig, *words: str) -> tuple[int, str]:
    """Run ``linli-platform quarantine`` against the running platform; return its exit code and what it says."""
    settings = rig.folder / "asking.toml"
    settings.write_text(f'[api]\nlisten = "{rig.url.removeprefix("http://")}"\n')
    argv = [command("linli-platform"), "quarantine", *words, "--config", str(settings)]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_the_quarantine_is_worked_off_by_command(rig: Rig) -> None:
    async with aiomqtt.Client("127.0.0.1", rig.port, identifier=HOSTILE) as client:
        status = Status(HOSTILE, "online", epoch=EPOCH, next_seq=3, boot_id="b1", number=1)
        await client.publish(topic(HOSTILE, Channel.STATUS), encode_message(status), qos=1)
        for seq, unit in ((1, "furlong"), (2, "parsec")):
            await client.publish(TELEMETRY, pack(seq, u=unit), qos=1)

        async def set_aside() -> bool:
            return len(await rig.get("/quarantine")) == 2

        await eventually(set_aside, "two messages in the quarantine")
    code, said = await quarantine(rig, "list", "--gateway", HOSTILE)
    assert code == 0
    second, first = said.splitlines()
    assert first.startswith("1  ")
    assert "refused:unknown_unit" in first
    assert second.startswith("2  ")
    code, said = await quarantine(rig, "show", "1")
    assert (code, json.loads(said.splitlines()[1])[0]["u"]) == (0, "furlong")
    code, said = await quarantine(rig, "replay", "--all")
    assert code == 1
    assert "1: 0 readings and 0 events stored, 0 known; still refused: unknown_unit: record[0].u: " in said
    code, said = await quarantine(rig, "replay")
    assert (code, said) == (
        2,
        "linli-platform: quarantine replay: neither or both of N and --all; give the number of one, or --all\n",
    )
    assert await quarantine(rig, "discard", "1") == (0, "1 is let go; the loss ledger keeps its line\n")
    code, said = await quarantine(rig, "discard", "1")
    assert code == 2
    assert "the platform says no: number: no message 1 is in the quarantine; see /api/v1/quarantine" in said
    assert len((await rig.get(f"/gateways/{HOSTILE}"))["losses"]) == 2
