"""A chip's time awake: what it loads, when its radio begins, what it writes; and the bundle that it loads from."""

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_core.wire.messages import Ack, encode_message
from linli_edge.nodes.build import compiler
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.shared import ON_BOARD
from linli_sim.nodes.chip import Awake, Chip, Pace, flash_image
from linli_sim.nodes.vm import Machine
from linli_sim.processes import Program, command, free_port

AT_ONCE = Pace(
    boot_ms=0, join_ms=0, dhcp_ms=0, tls_ms=0, air_ms=0, module_ms=0, look_ms=0, read_ms=0, kb_ms=0, write_ms=0,
    shared_ms=0, slower=1,
)  # fmt: skip
TIMER, PIN = 4, 7
MOST_MODULES = 32
"""Of a time awake that delivers, without a bundle; what it would be with each module more is 12 ms on a chip."""
MOST_BEFORE_RADIO = 10
"""And what a probe needs: three."""
JOINS, WEIGHS = "begins to join", "measures its battery"

CONTACT = {"kind": "reed", "pin": 4}
ROPE = {"kind": "leak_rope", "pin": 3, "power": 7}
PULSE = {"kind": "pulse", "pin": 5}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flash_image(tmp_path_factory.mktemp("image"))


def _chip(folder: Path, image: Path, sensors: list[dict[str, Any]]) -> Chip:
    """Return a chip that wakes from its sleep; nobody answers it."""
    config = {
        "node": "leak-1",
        "power": "battery",
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False},
        "wifi": [{"ssid": "facility", "password": "a password"}],
        "sensors": sensors,
    }
    chip = Chip(folder, image, config, AT_ONCE)
    chip.program_it()
    (folder / "rtc.bin").write_bytes(b"")
    return chip


def _did(awake: Awake) -> list[str]:
    return [what for _, what in awake.did]


@pytest.mark.usefixtures("unix_port")
async def test_a_time_awake_loads_few_modules_and_begins_with_the_radio(tmp_path: Path, image: Path) -> None:
    chip = _chip(tmp_path, image, [ROPE, CONTACT, {"kind": "ds18b20", "pin": 1}])
    chip.levels["1"] = 0
    chip.config["battery_pin"] = 2
    chip.program_it()
    # The first checks its configuration; what nobody heard is tried again at the next.
    await chip.wake()
    awake = await chip.wake()
    did = _did(awake)
    assert awake.loads <= MOST_MODULES
    assert len([what for what in did[: did.index(JOINS)] if what.startswith("load")]) <= MOST_BEFORE_RADIO + 3
    # Its probe, which takes longer, begins to convert even before, and the rest of the program is not there yet.
    assert did.index("1-Wire 44") < did.index(JOINS) < did.index("load /a/linli_app/sensors/contact.mpy")
    assert did.index(JOINS) < did.index("load /a/linli_app/program.mpy")
    # Under the radio two cells seem emptier than they are, and would be silent months too early.
    assert did.index(WEIGHS) < did.index(JOINS)
    # One write: the reading. Nothing that is noted for the next time goes onto flash.
    assert [what for what in did if what.startswith("write")] == ["write /log/0"]
    # What is built in is not looked for on the flash.
    assert [what for what in did if what.startswith("look") and what.rpartition("/")[0] not in LOOKED] == []


LOOKED = {"look ", "look /log", "look /clock", "look /starts"}


async def test_a_bundle_is_all_that_a_time_awake_finds_on_its_flash(
    tmp_path: Path, image: Path, unix_port: Machine
) -> None:
    chip = _chip(tmp_path, image, [ROPE, CONTACT])
    assert unix_port.check("bundle", {"folder": str(chip.flash / "a")}) is True
    await chip.wake()
    awake = await chip.wake()
    assert awake.loads == 1, "the loader, and nothing else"
    assert JOINS in _did(awake)


@pytest.mark.usefixtures("unix_port")
async def test_a_pin_that_wakes_it_is_told_at_once_and_a_pulse_is_not(tmp_path: Path, image: Path) -> None:
    for place, (sensor, speaks) in enumerate(((CONTACT, True), (PULSE, False))):
        chip = _chip(tmp_path / str(place), image, [sensor])
        chip.levels[str(sensor["pin"])] = 1
        await chip.wake()
        await chip.wake()
        # Nobody answered twice: the next word is due at the third time awake from now, and not before.
        assert JOINS not in _did(await chip.wake())
        chip.reason, chip.levels[str(sensor["pin"])] = PIN, 0
        assert (JOINS in _did(await chip.wake())) is speaks


@pytest.mark.usefixtures("unix_port")
async def test_news_goes_with_the_certificate_at_once_where_the_shared_key_leads_nowhere(
    tmp_path: Path, image: Path
) -> None:
    chip = _chip(tmp_path, image, [CONTACT])
    chip.config["gateway"]["tls"] = True
    chip.program_it()
    authority = KeyFolder(tmp_path / "pki")
    authority.create()
    identity, keys = authority.issue("leak-1"), chip.flash / "keys"
    keys.mkdir()
    for name, content in (
        ("ca.der", identity.authority), ("node.der", identity.certificate), ("node.key", identity.key),
        (ON_BOARD, b"leak-1:" + b"5a" * 32),
    ):  # fmt: skip
        (keys / name).write_bytes(content)
    await chip.wake()
    for number, (level, reason, attempts) in enumerate([(1, TIMER, 1), (0, PIN, 1), (1, PIN, 2)]):
        chip.levels["4"], chip.reason = level, reason
        await chip.wake()
        assert sum("no connection" in line for line in chip.said) == attempts, number


@pytest.mark.usefixtures("unix_port")
async def test_what_was_kept_goes_out_in_one_piece_and_the_new_reading_after_it(tmp_path: Path, image: Path) -> None:
    chip = _chip(tmp_path, image, [CONTACT])
    chip.config["deliver_every"] = 3
    chip.program_it()
    port, taken = chip.config["gateway"]["port"], list[int]()
    argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(tmp_path / "broker")]
    broker = Program("broker", argv, tmp_path / "broker.log", ready=r"ready on ")

    async def answer(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            said = json.loads(message.payload)
            first = said[0] if isinstance(said, list) else said
            if first is not said:
                taken.append(first["seq"])
            if first is not said or said["state"] == "online":
                ack = Ack(epoch=first["epoch"], seq=max(taken, default=0), sent_at=time.time_ns() // 1000)
                await client.publish("node/leak-1/ack", encode_message(ack))

    async with broker, aiomqtt.Client("127.0.0.1", port) as client, asyncio.TaskGroup() as group:
        for topic in ("status", "telemetry"):
            await client.subscribe(f"node/leak-1/{topic}")
        answering = group.create_task(answer(client), name="answer")
        did = [_did(await chip.wake()) for _ in range(4)]
        answering.cancel()
    sent = [sum(what.startswith("sends") for what in each) for each in did]
    # Its greeting, what it kept, what it read, its last word.
    assert (sent, taken) == ([3, 0, 0, 4], [1, 2, 3, 4])


NAMES = {
    "linli_app/__init__": "", "linli_app/one": "one",
    "linli_app/sensors/__init__": "", "linli_app/sensors/two": "two",
}  # fmt: skip


def _modules(folder: Path) -> dict[str, str]:
    """Compile modules that say their names; return where each is, by where it goes in a slot."""
    found = {}
    for name, said in NAMES.items():
        source, target = folder / "source.py", folder / f"{name.replace('/', '-')}.mpy"
        source.write_text(f"NAME = {said!r}\nMORE = {'x' * 3000!r}\n", encoding="utf-8")
        subprocess.run([compiler(), "-s", source.name, "-o", str(target), str(source)], check=True)
        found[f"/{name}.mpy"] = str(target)
    return found


def test_a_bundle_says_the_same_as_its_files_and_a_damaged_one_nothing(tmp_path: Path, unix_port: Machine) -> None:
    found = unix_port.check("bundle", {"modules": _modules(tmp_path), "step": 997, "until": 40000})
    assert isinstance(found, dict)
    assert found["files"] == ["/a", "one", "two", "/a/linli_app/one.mpy", "missing"]
    # A loader of before bundles cannot use one: made at each start, it would wear the flash and a weak battery.
    assert found["loaders"] == [False, True]
    assert (found["made"], found["fed"]) == (True, len(NAMES))
    assert found["bundle"] == ["/run", "one", "two", "/run/linli_app/one.mpy", "missing"]
    assert found["again"] == [False, False]
    assert found["damaged"] == ["/a"] * 5
    # A program that ended at its start is started again from its files: a changed module would end it for ever.
    assert found["changed"] == ["/a"] * 7
    assert found["woke"] == "/run"
    # A program of before bundles takes the next one, and leaves the bundle of another beside it: its files run.
    assert found["stale"] == [["/run", "/run", True], *[["/a", "/a", False]] * 3]
    # Wherever the power goes while it is made, there is a program: from its files, or from all of the bundle.
    assert found["cuts"] == ['["/a", "one", "two"]', '["/run", "one", "two"]']
    # No room for it leaves nothing of it.
    assert found["full"] == [False, ["linli_app", "manifest"]]
