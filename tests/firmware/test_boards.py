"""The board's own part, over stand-ins for what MicroPython has on boards: how it joins, measures, sleeps and wakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from linli_sim.nodes.vm import FIRMWARE, Machine
from linli_sim.processes import free_port

POWER_ON, OUT_OF_SLEEP = 1, 4


ROPE = [{"kind": "leak_rope", "pin": 2, "power": 3}]
CONTACTS = [{"kind": "leak_switch", "pin": 3}, {"kind": "reed", "pin": 4}, {"kind": "pulse", "pin": 5}]


def _live(
    machine: Machine,
    folder: Path,
    chip: str,
    lives: list[list[Any]],
    sensors: Any = CONTACTS,
    actions: Any = (),
    **more: Any,
) -> dict[str, Any]:
    config = {
        "node": "leak-1",
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False},
        "wifi": [{"ssid": "wrong"}, {"ssid": "right", "password": "secret"}],
        "power": "battery",
        "battery_pin": 1,
        "interval": 900,
        "sensors": sensors,
        "actions": actions,
    }
    (folder / "node.json").write_text(json.dumps(config), encoding="utf-8")
    found = machine.check("boards", {"chip": chip, "root": str(folder), "lives": lives, **more})
    assert isinstance(found, dict)
    return found


def test_an_esp32_reads_logs_and_sleeps_and_is_woken_by_a_pin(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, "c3", [[POWER_ON, {"4": 0}], [OUT_OF_SLEEP, {"3": 0, "4": 0, "5": 0}]])
    first, second = found["lives"]
    assert (first["uid"], first["woke"], first["pins"]) == ("7c2c6701", False, [])
    # The leak pin and the pulse were waited for low; the door, shut, for high.
    assert (second["woke"], sorted(second["pins"])) == (True, [3, 5])
    assert second["state"]["epoch"] == first["state"]["epoch"]
    assert second["state"]["next_seq"] > first["state"]["next_seq"] > 1
    said = found["said"]
    assert [entry for entry in said if entry[0] == "gpio"][:2] == [["gpio", [4], True], ["gpio", [3, 5], False]]
    sleeps = [entry[1] for entry in said if entry[0] == "deepsleep"]
    assert len(sleeps) == 2
    assert all(800 < seconds <= 900 for seconds in sleeps)
    # The radio is off before it sleeps.
    assert [entry for entry in said if entry[0] in {"wlan", "deepsleep"}][-2:] == [
        ["wlan", False],
        ["deepsleep", sleeps[1]],
    ]
    assert found["fed"] > 0


def test_the_network_that_let_it_in_last_comes_first_also_when_its_address_is_to_be_asked_for_again(
    unix_port: Machine,
) -> None:
    """Four times a day two cells looked for eight seconds for the first network, where only the second is."""
    wifi = [{"ssid": "wrong", "password": ""}, {"ssid": "right", "password": ""}]
    found = unix_port.check("boards", {"chip": "c3", "wifi": wifi, "leases": [3600, -3600, 90_000]})
    assert found == [[["10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1"], "right"], ["right"], ["right"]]
    gone = unix_port.check("boards", {"chip": "c3", "wifi": wifi[:1], "leases": [3600]})
    assert gone == [["wrong"]]


def test_what_a_node_has_delivered_before_it_slept_is_not_told_as_undelivered(
    tmp_path: Path, unix_port: Machine
) -> None:
    found = _live(unix_port, tmp_path, "c3", [[POWER_ON, {"4": 0}], [OUT_OF_SLEEP, {"4": 0}]], acked=2)
    assert (found["log"]["acked"], found["log"]["backlog"]) == (2, found["log"]["next_seq"] - 3)


def test_a_pin_that_the_board_has_not_ends_no_program(tmp_path: Path, unix_port: Machine) -> None:
    sensors = [
        {"kind": "leak_switch", "pin": 3},
        {"kind": "leak_rope", "pin": 2, "power": 30, "channel": 1},
        {"kind": "reed", "pin": 31},
        {"kind": "pulse", "pin": 32, "quantity": "water_volume"},
    ]
    actions = [{"kind": "buzzer", "pin": pin, "when": "water_leak"} for pin in (30, 8)]
    absent = [30, 31, 32]
    lives = [[POWER_ON, {"3": 0}], [OUT_OF_SLEEP, {"3": 0}]]
    found = _live(unix_port, tmp_path, "rp2", lives, sensors, actions, absent=absent)
    for life in found["lives"]:
        read = {name: (value, quality) for name, _, value, quality in life["records"][-1]}
        missing = (None, "bad/configuration")
        assert (read["water_leak"], read["water_leak.c1"]) == ((True, ""), missing)
        assert (read["door_open"], read["water_volume"]) == (missing, missing)
        assert life["status"]["unmade"] == 1
        assert life["status"]["points"] == ["water_leak", "water_leak.c1", "door_open", "water_volume"]
    # What is left of it acts.
    assert ["pin", 8, 1] in found["said"]
    told = [entry[1] for entry in found["said"] if entry[0] == "say" and "made" in entry[1]]
    assert set(told) == {f"{kind} cannot be made: invalid pin" for kind in ("leak_rope", "reed", "pulse", "buzzer")}


def test_a_battery_that_cannot_be_measured_ends_no_program(tmp_path: Path, unix_port: Machine) -> None:
    """GPIO5 of a C3, GPIO11-20 of an S3: their converter is the radio's as long as that is on."""
    found = _live(unix_port, tmp_path, "c3", [[POWER_ON, {"4": 0, "adc_sick": 1}]])
    assert "deepsleep" in [entry[0] for entry in found["said"]]
    assert found["lives"][0]["millivolts"] is None
    assert ["say", "the battery cannot be measured: ESP_ERR_TIMEOUT"] in found["said"]


def test_an_esp32_s3_is_woken_by_its_two_ways(tmp_path: Path, unix_port: Machine) -> None:
    leaks = [{"kind": "leak_switch", "pin": pin} for pin in (1, 2, 3)]
    doors = [{"kind": "reed", "pin": pin} for pin in (4, 5)]
    shut = {"4": 0, "5": 0}
    for number, (sensors, levels, ext1, ext0) in enumerate(
        [
            # A leak and a meter close, a shut door opens: several go low.
            (CONTACTS, {"4": 0}, ([3, 5], False), (4, True)),
            (doors, shut, ([4, 5], True), None),
            (leaks, {}, ([1, 2, 3], False), None),
            # One of them is wet: it is to open again.
            (leaks, {"1": 0}, ([2, 3], False), (1, True)),
            # Of several of both, news goes first: another leak, not that a rope is dry again.
            ([*leaks, {"kind": "leak_switch", "pin": 6}], {"1": 0, "2": 0}, ([3, 6], False), (1, True)),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = _live(unix_port, folder, "s3", [[POWER_ON, levels]], sensors)["said"]
        assert [entry[1:] for entry in said if entry[0] == "ext1"] == [list(ext1)]
        assert [entry[1:] for entry in said if entry[0] == "ext0"] == ([] if ext0 is None else [list(ext0)])
        told = ["say", "only one pin can wake this chip by going the other way"]
        assert (told in said) is (number == 4)


def test_a_pico_sleeps_lightly_and_begins_a_new_era_after_a_reset(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, "rp2", [[POWER_ON, {}], [POWER_ON, {}]], ROPE, wakes=2)
    slept = [entry[1] for entry in found["said"] if entry[0] == "lightsleep"]
    # An RP2040 whose watchdog of eight seconds ends while it sleeps does not come back: in pieces, and fed between.
    assert max(slept) <= 4000
    assert 4 * 895_000 < sum(slept) <= 4 * 900_000
    first, second = found["lives"]
    assert first["woke"] is second["woke"] is True
    # Its count goes on through sleep, and ends with the power.
    assert (first["eras"], second["eras"]) == ([1, 1], [2, 2])


def test_a_pico_with_contacts_stays_awake_for_them(tmp_path: Path, unix_port: Machine) -> None:
    # The first is over before anybody looks.
    later = [[10_005, 5, 0], [10_006, 5, 1], [40_000, 5, 0], [40_300, 5, 1], [60_000, 3, 0]]
    found = _live(unix_port, tmp_path, "rp2", [[POWER_ON, {"4": 0}]], later=later, wakes=6)
    (life,) = found["lives"]
    assert life["pulses"] == [2]
    assert [3] in life["woken"]
    assert not [entry for entry in found["said"] if entry[0] == "lightsleep"]


@pytest.mark.parametrize(
    ("edges", "pulses"),
    [
        # Open and closed by turns: it bounces as it closes, and as it opens.
        ([(0, 0), (1, 1), (2, 0), (300, 1), (301, 0), (303, 1)], 1),
        ([(0, 0), (300, 1), (301, 0), (302, 1), (900, 0), (1_200, 1), (1_201, 0), (1_203, 1)], 2),
        # Thirty milliseconds each, as a meter's optocoupler gives them.
        ([(40 * number + 30 * end, end) for number in range(10) for end in (0, 1)], 1),
        ([(60 * number + 30 * end, end) for number in range(10) for end in (0, 1)], 10),
        # Both edges came before anybody could look: it is open again.
        ([(0, 1), (0, 1), (500, 1), (500, 1)], 2),
        # One that stands still closed is one; it was so at the start, or it was told of twice.
        ([(0, 0), (9_000, 0), (18_000, 0)], 1),
        ([(-1, 0), (400, 1), (401, 0), (402, 1), (900, 0)], 1),
    ],
)
def test_a_contact_that_bounces_is_one_pulse(unix_port: Machine, edges: list[tuple[int, int]], pulses: int) -> None:
    assert unix_port.check("boards", {"chip": "c3", "edges": edges, "debounce_ms": 20}) == pulses


def test_a_rope_that_got_wet_is_told_at_the_next_reading(tmp_path: Path, unix_port: Machine) -> None:
    # Nobody answers: by itself it speaks at the first two times awake, and at the fourth.
    for later, spoke in (([], 2), ([[1_000_000, "adc", 100]], 3)):
        folder = tmp_path / str(spoke)
        folder.mkdir()
        said = _live(unix_port, folder, "rp2", [[POWER_ON, {}]], ROPE, later=later, wakes=3)["said"]
        assert [entry[1] for entry in said if entry[0] == "join"].count("right") == spoke


TIMER, BY_PIN, BY_EXT0 = 4, 7, 2


def test_what_is_over_before_the_chip_has_started_is_counted_and_heard(tmp_path: Path, unix_port: Machine) -> None:
    pulse, button, reed = ({"kind": kind, "pin": pin} for kind, pin in (("pulse", 5), ("button", 3), ("reed", 4)))
    lives = [[POWER_ON, {}], [OUT_OF_SLEEP, {}, BY_PIN], [OUT_OF_SLEEP, {}, TIMER], [OUT_OF_SLEEP, {"5": 0}, BY_PIN]]
    for number, (chip, sensors, found) in enumerate(
        [
            ("c3", [pulse], [0, 1, 1, 2]),
            ("c3", [button], [False, True, True, True]),
            # Which of two it was this chip does not tell; the other one does.
            ("c3", [pulse, button], [0, 0, 0, 1]),
            ("s3", [button, reed], [False, False, False, False]),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = _live(unix_port, folder, chip, lives, sensors)["lives"]
        is_count = pulse in sensors
        assert [life["pulses"][0] if is_count else bool(life["call"]) for life in told] == found
    lives = [[POWER_ON, {"4": 0}], [OUT_OF_SLEEP, {"4": 0}, BY_EXT0]]
    _, second = _live(unix_port, tmp_path / "3", "s3", lives, [button, reed])["lives"]
    assert second["call"]


def test_a_radio_that_fails_ends_an_attempt_and_not_the_program(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, "c3", [[POWER_ON, {}], [OUT_OF_SLEEP, {}]], ROPE, sick=True)
    assert ["say", "the radio fails: Wifi Internal State Error"] in found["said"]
    assert [entry[0] for entry in found["said"]].count("deepsleep") == 2


def test_a_watchdog_is_fed_while_the_radio_waits_for_a_network(tmp_path: Path, unix_port: Machine) -> None:
    for chip in ("c3", "rp2"):
        said = _live(unix_port, tmp_path, chip, [[POWER_ON, {"4": 0}]], ROPE, join_ms=600)["said"]
        wrong, right = [entry[2] for entry in said if entry[0] == "join"]
        assert right >= wrong + 2


def test_an_esp32_measures_a_battery_beyond_a_volt(tmp_path: Path, unix_port: Machine) -> None:
    (life,) = _live(unix_port, tmp_path, "c3", [[POWER_ON, {"4": 0}]])["lives"]
    assert life["millivolts"] == 2900


def test_a_board_that_no_pin_wakes_is_told_of_before_it_sleeps_through_a_leak(
    tmp_path: Path, unix_port: Machine
) -> None:
    (life,) = _live(unix_port, tmp_path, "old", [[POWER_ON, {}]])["lives"]
    assert life["refused"].startswith("sensors[0].pin: no pin wakes this board: put MicroPython 1.27 or newer on it")
    deaf = [{"kind": "leak_switch", "pin": 7}, {"kind": "reed", "pin": 2}]
    (life,) = _live(unix_port, tmp_path, "c3", [[POWER_ON, {}]], deaf)["lives"]
    told = "sensors[0].pin: pin 7 does not wake this board from its sleep; take one of GPIO0-5"
    assert life == {"refused": f'{told}, or a charger: "power": "mains"'}
    (life,) = _live(unix_port, tmp_path, "old", [[POWER_ON, {}]], ROPE)["lives"]
    assert life["state"]["next_seq"] > 1


def test_a_pico_without_a_radio_says_that_it_can_be_no_node(tmp_path: Path, unix_port: Machine) -> None:
    (life,) = _live(unix_port, tmp_path, "pico", [[POWER_ON, {}]])["lives"]
    assert life == {"refused": "this board has no radio: of the Raspberry Pi Picos only those with a W can be a node"}


ROOM = 2048
"""Of an ESP32's RTC memory, MicroPython keeps so much."""
ERA = [4_294_967_295, *[9_999_999_999_999] * 4]
LEASE = ['"' * 32, 9_999_999_999, ["255.255.255.255"] * 4]
LAID_OUT = {
    "rests": 15, "acked": 8, "clock": 1 + len(json.dumps([ERA] * 8)), "lease": len(json.dumps(LEASE)), "shared": 1,
}  # fmt: skip
"""What a node on a battery asks for at most, besides what its sensors do: see where ``board.memory`` is called."""
COUNTED = {f"count{pin}": 12 for pin in range(16)} | {"wakes": 32}
"""Sixteen meters, each of which wakes it."""


def _held(machine: Machine, parts: dict[str, int] | list[tuple[str, int]], **more: Any) -> dict[str, Any]:
    given = list(parts.items()) if isinstance(parts, dict) else parts
    case = {"chip": "s3", "before": [], "parts": [[name, size, "x"] for name, size in given], **more}
    found = machine.check("boards", case)
    assert isinstance(found, dict)
    return found


def test_all_that_sixteen_meters_note_through_deep_sleep_fits_its_memory(unix_port: Machine) -> None:
    parts = LAID_OUT | COUNTED
    found = _held(unix_port, parts)
    assert found["told"] == [[True, size] for size in parts.values()]
    assert found["left"] == parts
    assert found["size"] < ROOM * 2 // 3


def test_what_does_not_fit_is_told_and_costs_nothing_of_the_rest(unix_port: Machine) -> None:
    # One byte of layout, each part its name, three bytes of its own, its content.
    parts = [("a", 40), ("b", 20), ("a", 41), ("c", 1), ("a", 0), ("b", 60)]
    found = _held(unix_port, parts, room=1 + 44 + 24)
    assert found["told"] == [[True, 40], [True, 20], [False, 0], [True, 1], [True, 0], [False, 0]]
    assert found["left"] == {"a": 0, "b": 0, "c": 1}


def test_what_power_up_or_an_earlier_program_left_in_the_memory_does_no_harm(unix_port: Machine) -> None:
    for before in (b'{"acked": "00"}', b"\x02\xff", b"\x02\x01a\xff\xff", b"\x02\x01", b"\xa5" * ROOM):
        found = _held(unix_port, {"a": 3, "b": 2000}, before=list(before))
        assert (found["told"], found["size"]) == ([[True, 3], [True, 2000]], 1 + 7 + 2004)


@pytest.mark.parametrize("room", [ROOM, 90])
def test_no_pulse_is_lost_where_its_count_has_no_room_in_the_memory(
    tmp_path: Path, unix_port: Machine, room: int
) -> None:
    """The smaller one holds what every node notes, and not one count: each pulse goes to flash then."""
    meters = [{"kind": "pulse", "pin": pin, "channel": pin, "window": 1000} for pin in range(6)]
    closed, opened = [OUT_OF_SLEEP, {"1": 0, "5": 0}, BY_PIN], [OUT_OF_SLEEP, {}, BY_PIN]
    lives = [[POWER_ON, {}], closed, opened, closed, opened, closed]
    found = _live(unix_port, tmp_path, "c3", lives, meters, room=room)
    assert [life["pulses"] for life in found["lives"]] == [[0, n, 0, 0, 0, n] for n in (0, 1, 1, 2, 2, 3)]
    assert found["noted"] == [0, 12 * (room == ROOM), 0, 0, 0, 12 * (room == ROOM)]
    (after,) = _live(unix_port, tmp_path, "c3", [[POWER_ON, {}]], meters)["lives"]
    # A power cut takes what the memory held, and nothing that flash holds.
    assert after["pulses"] == ([0] * 6 if room == ROOM else [0, 3, 0, 0, 0, 3])


SOUND = "import sys\ndef main():\n    sys.modules['checks_ran'].append('{name}')\n"
BROKEN = "raise ValueError('broken')\n"


def _start(
    machine: Machine, programs: dict[str, str], state: dict[str, Any] | None, starts: int, *, worn: bool = False
) -> dict[str, Any]:
    main = str(FIRMWARE / "board" / "main.py")
    found = machine.check(
        "loader", {"main": main, "programs": programs, "state": state, "starts": starts, "worn": worn}
    )
    assert isinstance(found, dict)
    return found


def test_the_loader_starts_the_slot_and_begins_again_when_it_ends(unix_port: Machine) -> None:
    found = _start(unix_port, {"a": SOUND.format(name="a")}, None, 2)
    assert found["ran"] == ["a", "reset", "a", "reset"]
    assert found["error"] == ""


def test_the_loader_gives_up_a_program_that_does_not_start(unix_port: Machine) -> None:
    trial = {"active": "a", "trial": "b", "tries": 0, "number": 2}
    found = _start(unix_port, {"a": SOUND.format(name="a"), "b": BROKEN}, trial, 5)
    # Ten seconds each time, in which somebody at the serial line can interrupt.
    assert found["ran"] == [10, "reset", 10, "reset", 10, "reset", "a", "reset", "a", "reset"]
    assert "broken" in found["error"]
    assert found["state"] == {"active": "a", "trial": None, "tries": 0, "number": 2}


def test_a_flash_that_takes_nothing_keeps_no_board_from_starting(unix_port: Machine) -> None:
    trial = {"active": "a", "trial": "b", "tries": 0, "number": 2}
    programs = {"a": SOUND.format(name="a"), "b": SOUND.format(name="b")}
    # A trial that cannot be counted would never end: what has proven itself runs.
    assert _start(unix_port, programs, trial, 2, worn=True)["ran"] == ["a", "reset", "a", "reset"]
    # Nor does it stand still where what went wrong cannot be written down.
    assert _start(unix_port, {"a": BROKEN}, None, 2, worn=True)["ran"] == [10, "reset", 10, "reset"]
