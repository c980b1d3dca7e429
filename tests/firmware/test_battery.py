"""A node on a battery: when it speaks, what it does near its end, and what ends a time awake."""

import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_sim.nodes.battery import Spent, Supply, calling, years
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import Machine
from linli_sim.processes import Program, command, free_port

Told = list[Any]


def _wake(machine: Machine, *cases: dict[str, Any]) -> tuple[list[Told], list[str]]:
    found = machine.check("battery", list(cases))
    assert isinstance(found, dict)
    return found["told"], found["said"]


def _spoke(told: list[Told]) -> list[int]:
    return [delivered for _, delivered, *_ in told]


def test_it_reads_at_every_wake_and_speaks_at_every_fourth(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, *[{}] * 10)
    assert [read for read, *_ in told] == [1] * 10
    assert _spoke(told) == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_what_cannot_wait_goes_at_once(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, {}, {"urgent": True}, {}, {"pins": [6]}, {}, {}, {}, {})
    assert _spoke(told) == [1, 1, 0, 1, 0, 0, 0, 1]


def test_a_pulse_at_the_time_of_a_reading_is_read_and_is_no_news(unix_port: Machine) -> None:
    """A meter that runs has its contact closed half of the time: each reading was sent, and not every fourth."""
    told, _ = _wake(unix_port, {}, *[{"pins": [5], "later_s": 901}] * 8)
    assert [read for read, *_ in told] == [1] * 9
    assert _spoke(told) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    # And one between two readings is counted, and nothing else.
    told, _ = _wake(unix_port, {}, {"pins": [5], "later_s": 10}, {"pins": [5, 6], "later_s": 10})
    assert [(read, spoke) for read, spoke, *_ in told] == [(1, 1), (0, 0), (1, 1)]


def test_what_cannot_wait_goes_the_other_way_at_once(unix_port: Machine) -> None:
    """A leak at the attempt that shows a key which nobody takes any more was told a quarter of an hour later."""
    told, said = _wake(unix_port, {}, {"urgent": True, "no_key": 1}, {}, {}, {}, {"no_key": 1}, {})
    assert _spoke(told) == [1, 2, 0, 0, 0, 1, 1]
    assert said == ["no key"] * 2
    # That it was not heard either way is told, and counts, as one attempt does.
    told, said = _wake(unix_port, *[{"urgent": True, "no_key": 2}] * 2, *[{"no_key": 1}] * 3)
    assert _spoke(told) == [2, 2, 0, 1, 0]
    assert said == ["no key"] * 5


def test_a_gateway_that_is_away_is_tried_ever_more_rarely(unix_port: Machine) -> None:
    told, said = _wake(unix_port, *[{"away": True}] * 120)
    tries = [place for place, spoke in enumerate(_spoke(told)) if spoke]
    assert tries == [0, 1, 3, 7, 15, 31, 55, 79, 103]
    assert said == ["away"] * len(tries)


AWAY = {"urgent": True, "away": True}
ONE_NETWORK = Spent(9_500, 8_600, 0)
"""Boot, and eight seconds of looking for a network that is not there."""
MOST = Spent(20_000, 19_000, 0)
"""The longest that a time awake may be."""


def test_a_call_nobody_answers_is_tried_every_two_minutes_whatever_failed_before_it(unix_port: Machine) -> None:
    # The gateway was away for days before the button was pressed, and stays away.
    told, _ = _wake(unix_port, *[{"away": True}] * 40, {"pins": [6], "call": 1, **AWAY}, *[{"call": 1, **AWAY}] * 300)
    calls = told[40:]
    assert _spoke(calls) == [1] * 301
    slept = [seconds for _, _, seconds, *_ in calls]
    assert slept[:6] == [10, 20, 40, 80, 120, 120]
    assert max(slept[:254]) == 120
    assert 8 * 3600 < sum(slept[:254]) < 9 * 3600
    # A battery that is empty calls nobody: from then on once in a quarter of an hour.
    assert slept[254:] == [900] * 47


def test_what_is_no_call_keeps_its_long_back_off_before_and_after_one(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, *[{"away": True}] * 9, {"call": 1, **AWAY}, *[{"away": True}] * 30)
    assert [place for place, spoke in enumerate(_spoke(told[10:])) if spoke] == [15]
    assert [slept for _, _, slept, *_ in told[10:]] == [900] * 30


def test_a_call_that_the_gateway_has_and_nobody_has_heard_asks_again_as_often(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, *[{"call": 1}] * 6)
    assert _spoke(told) == [1] * 6
    assert [slept for _, _, slept, *_ in told] == [10, 20, 40, 80, 120, 120]


def test_a_call_is_worth_the_end_of_a_low_battery_and_rests_after_a_breakdown(unix_port: Machine) -> None:
    low = {"mv": 2190}
    told, _ = _wake(
        unix_port, {**low}, {**low}, {**low, "call": 1, **AWAY}, {**low, "call": 1, **AWAY},
        {**low, "call": 1, "broke_down": True}, {**low, "call": 1}, {**low}, {**low, "urgent": True},
    )  # fmt: skip
    assert _spoke(told) == [1, 0, 1, 1, 0, 1, 0, 0]
    assert [slept for _, _, slept, *_ in told] == [3600, 3600, 10, 20, 40, 80, 3600, 3600]
    assert [kept for *_, kept in told] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_model_tells_what_a_call_in_vain_costs() -> None:
    """What docs/adr/0050-battery.md says: 254 attempts are its first eight hours, 96 a day after that."""
    assert calling(ONE_NETWORK, attempts=254) == pytest.approx(0.040, abs=0.0005)
    assert calling(MOST, attempts=254) == pytest.approx(0.086, abs=0.0005)
    assert calling(ONE_NETWORK, attempts=96) == pytest.approx(0.015, abs=0.0005)


def test_a_low_battery_ends_the_radio_after_one_last_word_until_it_has_clearly_recovered(unix_port: Machine) -> None:
    told, _ = _wake(
        unix_port,
        {"mv": 2900}, {"mv": 2199}, {"mv": 2190}, {"mv": 2250, "urgent": True},
        {"mv": 2349}, {"mv": 2350}, {"mv": 2300},
    )  # fmt: skip
    assert _spoke(told) == [1, 1, 0, 0, 0, 1, 0]
    assert [low for _, _, _, low, *_ in told] == [False, True, True, True, True, False, False]
    # It reads still, four times as rarely, and writes its counts down each time.
    assert [read for read, *_ in told] == [1] * 7
    assert [slept for _, _, slept, *_ in told] == [900, 3600, 3600, 3600, 3600, 900, 900]
    assert [kept for *_, kept in told] == [0, 1, 2, 3, 4, 4, 4]


def test_water_is_worth_the_end_of_a_low_battery_until_it_was_told_once(unix_port: Machine) -> None:
    low = {"mv": 2190}
    wet = {**low, "wet": True}
    told, _ = _wake(
        unix_port, low, low, {**wet, **AWAY}, {**wet, **AWAY}, wet, wet, low, wet, {**wet, "broke_down": True},
    )  # fmt: skip
    assert _spoke(told) == [1, 0, 1, 1, 1, 0, 0, 1, 0]
    # It broke down under it: not at once again, but again.
    told, _ = _wake(unix_port, low, low, {**wet, "broke_down": True}, wet, wet)
    assert _spoke(told) == [1, 0, 0, 1, 0]


def test_water_is_tried_at_every_reading_for_a_day_though_the_gateway_is_away(unix_port: Machine) -> None:
    wet = {"mv": 2900, "wet": True, "away": True}
    told, _ = _wake(unix_port, *[{"mv": 2900, "away": True}] * 40, *[wet] * 200)
    assert sum(_spoke(told)[:40]) < 8
    assert 80 < sum(_spoke(told)[40:136]) <= 96
    assert sum(_spoke(told)[136:]) < 8


def test_after_a_breakdown_of_the_supply_nothing_is_said(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, {"mv": 2300, "broke_down": True}, {"mv": 2300}, {"mv": 2400})
    assert _spoke(told) == [0, 0, 1]
    # Where nobody measures the battery, one long rest forgives it.
    told, _ = _wake(unix_port, {"broke_down": True}, {})
    assert [low for _, _, _, low, *_ in told][-1] is False


@pytest.mark.parametrize("hangs", ["sensor", "gateway"])
def test_a_time_awake_that_takes_too_long_is_ended_and_counted(unix_port: Machine, hangs: str) -> None:
    told, said = _wake(unix_port, {"hangs": hangs}, {"hangs": hangs}, {})
    assert [overruns for *_, overruns, _ in told] == [1, 2, 2]
    assert said == ["awake for more than 0.1 s: what is not done is ended"] * 2
    assert [slept for _, _, slept, *_ in told] == [900] * 3


def test_a_pulse_is_counted_and_is_no_reading(unix_port: Machine) -> None:
    told, _ = _wake(unix_port, {}, {"pins": [5]}, {"pins": [5]}, {"pins": [5, 6]}, {})
    assert [read for read, *_ in told] == [1, 0, 0, 1, 1]


@pytest.mark.parametrize("garbage", [1, 13, 14, 40])
def test_what_power_up_left_in_the_memory_does_no_harm(unix_port: Machine, garbage: int) -> None:
    told, _ = _wake(unix_port, {"garbage": garbage, "mv": 2900}, {"mv": 2900}, {"mv": 2900})
    assert told[0][0] == 1
    assert 1 in _spoke(told)


async def test_the_whole_program_keeps_still_on_a_low_battery_and_comes_back(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    port = free_port()
    config = {
        "node": "leak-1",
        "gateway": {"host": "127.0.0.1", "port": port, "tls": False, "answer_s": 1},
        "power": "battery",
        "interval": 1,
        "deliver_every": 1,
        "sensors": [{"kind": "leak_switch", "pin": 6}],
    }
    node = SimNode(tmp_path / "node", config)
    argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(tmp_path / "broker")]
    async with (
        Program("broker", argv, tmp_path / "broker.log", ready="ready on "),
        aiomqtt.Client("127.0.0.1", port) as us,
    ):
        await us.subscribe("node/leak-1/status", qos=1)
        heard = aiter(us.messages)

        async def until_low(low: object) -> None:
            while True:
                status = json.loads((await anext(heard)).payload)
                if status["low"] is low and status["state"] == "online":
                    assert (status["interval"], status["reads"]) == ((4, 4) if low else (1, 1))
                    ack = {"kind": "ack", "epoch": status["epoch"], "seq": status["next_seq"] - 1, "sent_at": 1}
                    await us.publish("node/leak-1/ack", json.dumps(ack), qos=1)
                    return

        await node.start()
        await until_low(False)
        await node.tell("battery 2150")
        await until_low(True)
        await node.tell("battery 2400")
        await until_low(False)
        await node.end()


async def test_the_whole_program_on_a_battery_calls_on_though_its_gateway_was_away_for_long(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    config = {
        "node": "help-1",
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False, "answer_s": 1},
        "power": "battery",
        "sensors": [{"kind": "button", "pin": 4, "debounce_ms": 0}],
    }
    node = SimNode(tmp_path / "node", config)
    await node.start()

    def tried() -> int:
        return sum("no connection" in line for line in node.said)

    async def passes(nights: int) -> int:
        """Return how often it tried the gateway between so many sleeps."""
        before, mornings = tried(), node.said.count("morning")
        await node.tell(f"nights {nights}")
        await node.until_again("morning", mornings)
        return tried() - before

    assert await passes(40) < 8
    (failed,) = {line for line in node.said if "no connection" in line}
    await node.tell("pin 4 0")
    await node.until_again(failed, tried())
    await node.tell("pin 4 1")
    assert await passes(20) == 19
    await node.end()


def test_the_model_of_the_battery() -> None:
    # 10 mA for an hour a day at 3.3 V from cells of 3.3 V without loss, nothing else: 100 days of 1,000 mAh.
    supply = Supply(
        computing=10, radio=0, sending=0, asleep=0, usable_mah=1000, cells_v=3.3, efficiency=1, self_discharge=0
    )
    hour = Spent(3_600_000, 0, 0)
    assert years(hour, hour, interval_s=86_400, every=1, supply=supply) == pytest.approx(100 / 365.25, rel=0.001)
    awake = Spent(2_000, 1_500, 0)
    assert years(awake, Spent(1_000, 0, 0), interval_s=900, every=4) > years(awake, awake, interval_s=900, every=4)
