"""The node's pure parts, on both ports: configuration, limits, time."""

import json
from typing import Any

from linli_sim.nodes.vm import Machine

NODE = {"node": "door-1", "gateway": {"host": "192.168.1.10"}, "sensors": [{"kind": "reed", "pin": 4}]}


def _work(machine: Machine, part: str, case: object) -> Any:
    found = machine.check("vectors", {part: [case]})
    assert isinstance(found, dict)
    return found[part][0]


def test_a_configuration_is_filled_up_with_its_defaults(machine: Machine) -> None:
    config = _work(machine, "config", json.dumps(NODE))
    assert config["gateway"] == {"host": "192.168.1.10", "port": 8884, "shared_port": 8885, "tls": True, "answer_s": 10}
    assert config["interval"] == 900
    assert config["sensors"] == [{"kind": "reed", "pin": 4}]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"node": "Door 1"}, 'node: found "Door 1"; write lower case, digits and hyphens, 63 at most'),
    ({"interval": 0}, "interval: found 0; write a whole number from 1 to 86400"),
    ({"interval": True}, "interval: found true; write a whole number from 1 to 86400"),
    ({"power": "sun"}, 'power: found "sun"; write one of battery, mains'),
    ({"gateway": {"host": "a", "tls": 1}}, "gateway.tls: found 1; write true or false"),
    ({"gateway": {}}, "gateway.host: missing; add it"),
    ({"sensors": []}, "sensors: found []; write a list of 1 to 16 objects"),
    ({"sensors": [{"kind": "rood"}]}, 'sensors[0].kind: found "rood"; write one of float, reed, scd4x'),
    ({"sensors": [{"kind": "reed"}]}, "sensors[0].pin: missing; add it"),
    ({"sensors": [{"kind": "reed", "pin": 4, "pim": 4}]}, "sensors[0].pim: unknown key; known here: pin"),
    ({"wifi": [{"ssid": "x" * 33}]}, f'wifi[0].ssid: found "{"x" * 33}"; write a text of 1 to 32 characters'),
    (
        {"power": "battery", "sensors": [{"kind": "reed", "pin": 4}, {"kind": "scd4x"}]},
        'sensors[1].kind: found "scd4x" on a battery; write "power": "mains": it draws 15 mA all the time',
    ),
    # What is told goes over the serial line, and into /last_error.
    (
        {"wifi": [{"ssid": "x", "password": "y" * 64}]},
        "wifi[0].password: found something else; write a text of 0 to 63 characters",
    ),
    ({"actions": [{"kind": "buzzer", "above": "1"}]}, 'actions[0].above: found "1"; write a number from -1000 to 1000'),
    (
        {"power": "battery", "actions": [{"kind": "buzzer", "above": 1}, {"kind": "relay"}]},
        'actions[1].kind: found "relay" on a battery; write "power": "mains": a relay lets go while the node sleeps',
    ),
]


def test_a_mistake_says_where_what_and_what_to_write(unix_port: Machine) -> None:
    found = unix_port.check("vectors", {"config": [json.dumps({**NODE, **change}) for change, _ in MISTAKES]})
    assert isinstance(found, dict)
    assert found["config"] == [told for _, told in MISTAKES]


def test_all_mistakes_are_told_at_once_on_both_ports(machine: Machine) -> None:
    told = _work(machine, "config", json.dumps({"sensors": [{"kind": "rood"}], "interval": -1, "nod": 1}))
    assert sorted(line.split(":")[0] for line in told.splitlines()) == [
        "gateway", "gateway.host", "interval", "nod", "node", "sensors[0].kind",
    ]  # fmt: skip
    for text in ("{", "[]", "x" * 9000):
        assert _work(machine, "config", text).startswith("the configuration: ")


def test_a_limit_trips_after_its_delay_and_clears_beyond_its_hysteresis(machine: Machine) -> None:
    case = {
        "limit": {"limit": 8, "above": True, "hysteresis": 1, "on_delay": 100},
        "values": [
            [9, 0],
            [9, 99],
            [9, 100],
            [7.5, 101],
            [None, 102],
            [7, 103],
            [6.9, 104],
            [9, 105],
            [8, 150],
            [9, 260],
        ],
    }
    assert _work(machine, "threshold", case) == [
        [False, False],
        [False, False],
        [True, True],
        [False, True],
        [False, True],  # a missing value proves nothing
        [False, True],
        [True, False],
        [False, False],
        [False, False],  # the delay begins again
        [False, False],
    ]
    below = {"limit": {"limit": 2, "above": False}, "values": [[3, 0], [1, 1], [2, 2], [2.5, 3]]}
    assert _work(machine, "threshold", below) == [[False, False], [True, True], [True, False], [False, False]]


DAY = 86_400_000
T = 1_760_000_000_000


def test_records_get_their_time_when_the_gateway_tells_it(machine: Machine) -> None:
    steps: list[list[Any]] = [
        ["count", 1000], ["start", False], ["now", None], ["stamp", None], ["time_of", [1, 1000]],
        ["count", 5000], ["set", T], ["now", None], ["time_of", [1, 1000]],
    ]  # fmt: skip
    assert _work(machine, "clock", steps) == [None, [1, 1000], [None, True], T, [T - 4000, False]]


def test_a_sleep_clock_that_runs_slow_is_put_right_between_two_anchors(machine: Machine) -> None:
    # A month without the gateway, by a count that is 2 % slow.
    steps: list[list[Any]] = [
        ["start", False], ["set", T], ["count", 30 * DAY * 98 // 100], ["time_of", [1, 15 * DAY * 98 // 100]],
        ["set", T + 30 * DAY], ["time_of", [1, 15 * DAY * 98 // 100]],
        ["count", 30 * DAY * 98 // 100 + 1000], ["set", T + 30 * DAY + 1500],
        ["time_of", [1, 15 * DAY * 98 // 100]],
    ]  # fmt: skip
    before, after, later = _work(machine, "clock", steps)
    assert before == [T + 15 * DAY * 98 // 100, True]
    assert after == [T + 15 * DAY, False]
    # Anchors that follow at once say nothing about the rate, and undo nothing.
    assert abs(later[0] - after[0]) < 2_000
    assert later[1] is False


def test_what_was_stamped_before_a_power_cut_nobody_anchored_is_doubtful_and_never_later_than_it_can_be(
    machine: Machine,
) -> None:
    steps: list[list[Any]] = [
        ["start", False], ["count", 9000],  # an era nobody anchors
        ["count", 0], ["start", False], ["count", 3000], ["time_of", [1, 5000]],
        ["set", T], ["time_of", [1, 5000]], ["time_of", [2, 1000]],
        # Deep sleep goes on counting; a count that fell back does not, whatever the board says.
        ["count", 4000], ["start", True], ["stamp", None],
        ["count", 10], ["start", True], ["stamp", None], ["time_of", [2, 1000]],
    ]  # fmt: skip
    assert _work(machine, "clock", steps) == [
        [None, True], [T - 3000, True], [T - 2000, False], [2, 4000], [3, 10], [T - 2000, False],
    ]  # fmt: skip


def test_work_with_a_limit_ends_by_it_whatever_it_does_then(unix_port: Machine) -> None:
    found = unix_port.check("tasks", None)
    assert isinstance(found, dict)
    assert found["came"] == [1, 2, "broken", "too long", "too long", "too long", "ended"]
    # A node on a battery that waited for ever for what it was told to end would be awake for ever.
    assert found["did"] == ["cleaned", "deaf", "cleaned"]
    assert found["close"] == []
    # Whoever was told to stop at the moment at which something came does not go on.
    assert found["stopped"] == [True, True]


def _kept(seq: int, since: int, count: int, text: str = "x") -> list[Any]:
    return [seq, since, json.dumps([1, count, [["serial_number", "", text, ""], ["temperature", "Cel", [215, 1], ""]]])]


KEPT = [_kept(4, 4, 40), _kept(5, 5, 50), _kept(7, 6, 70)]
AHEAD: list[tuple[dict[str, Any], int, list[int]]] = [
    ({}, 3, [4, 5, 7]),
    # The gateway has more than was thought, or less.
    ({"floor": 5}, 3, [7]),
    ({"floor": 6}, 3, [7]),
    ({"floor": 7}, 3, []),
    ({"floor": 2}, 3, []),
    # What is in doubt says so, and is written anew for it; what follows goes after it.
    ({"doubtful": [50]}, 3, [4]),
    ({"records": [_kept(4, 4, -1)]}, 1, []),
    # No more than fits.
    ({"most": 2}, 2, [4, 5]),
    ({"records": [KEPT[0], _kept(5, 5, 50, "x" * 1900), KEPT[2]]}, 1, [4]),
]


def test_what_is_made_ready_before_its_time_is_known_goes_out_as_it_would_have(unix_port: Machine) -> None:
    cases = [{"records": KEPT, "floor": 3, "doubtful": [], "most": 8, **case} for case, _, _ in AHEAD]
    assert unix_port.check("ahead", cases) == [
        {"ready": ready, "numbers": numbers, "same": True} for _, ready, numbers in AHEAD
    ]
