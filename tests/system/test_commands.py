"""A value from the platform's command line into a device of another stack, and back: real processes all the way."""

import asyncio
import json
from pathlib import Path

import pytest

from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.timekeeping import wall_clock
from linli_sim.compiled import NotBuilt
from linli_sim.libmodbus import LibmodbusSlave, slave_program
from linli_sim.modbus_registers import Unit
from linli_sim.processes import Program, command, free_port

pytestmark = pytest.mark.system

CONFIG = """
[gateway]
id = "gw-1"
data = "gateway"
[uplink]
host = "127.0.0.1"
port = {broker}

[commands]
enabled = true
[[commands.allow]]
device = "cold-1"
points = ["temperature_setpoint"]
minimum = -25.0
maximum = -15.0
confirm = false
[[commands.allow]]
device = "cold-1"
points = ["{relay}"]

[[links]]
id = "cold"
driver = "modbus"
host = "127.0.0.1"
port = {device}
[[links.devices]]
id = "cold-1"
unit = 1
interval = "1 s"
points = [
    {{ quantity = "temperature_setpoint", type = "int16", scale = 0.1, unit = "Cel", address = 0, writable = true }},
    {{ quantity = "{relay}", table = "coil", address = 5, writable = true }},
]
"""


async def told(*argv: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_setpoint_and_a_relay_are_written_read_back_and_on_record(tmp_path: Path) -> None:
    try:
        await asyncio.to_thread(slave_program)
    except NotBuilt as exc:
        pytest.skip(f"no foreign device to write to: {exc}")
    broker, relay = free_port(), "door_open"
    unit = Unit()
    unit.put("holding", 0, [0xFFFF - 199])  # -20.0
    unit.put("coil", 5, [1])
    config = tmp_path / "gateway.toml"
    async with (
        LibmodbusSlave({1: unit}, more=["writable 1 1"]) as slave,
        Program(
            "broker",
            [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{broker}", "--data", str(tmp_path / "broker")],
            tmp_path / "broker.log",
            r"ready on",
        ),
    ):
        config.write_text(CONFIG.format(broker=broker, device=slave.port, relay=relay))
        run = [command("linli-edge"), "run", str(config)]
        async with Program("gateway", run, tmp_path / "gateway.log", r"uplink to .* stands"):
            ask = [command("linli-platform"), "command", "gw-1"]
            end = ["--mqtt", f"127.0.0.1:{broker}", "--by", "li", "--wait", "200"]
            status, output = await told(*ask, "cold-1/temperature_setpoint", "-18.5", *end)
            assert (status, output) == (
                0,
                "ok  cold-1/temperature_setpoint  state=done  before=-20.0  after=-18.5\n",
            )
            status, output = await told(*ask, "cold-1/temperature_setpoint", "-5", *end)
            assert status == 1
            assert "reason=bad_value" in output
            status, output = await told(*ask, f"cold-1/{relay}", "off", *end)
            assert (status, "not confirmed" in output) == (1, True)
            status, output = await told(*ask, f"cold-1/{relay}", "off", *end, "--confirm")
            assert (status, "before=True  after=False" in output) == (0, True)
            status, output = await told(
                command("linli-edge"), "write", str(config), "cold-1/temperature_setpoint", "-17", "--lang", "en"
            )
            assert status == 0
            assert "was -18.5, is now -17 (read back from the device)" in output
        status, output = await told(command("linli-edge"), "write", str(config), "cold-1/temperature_setpoint", "-17")
        assert status == 2
        assert "no running gateway takes commands here" in output
    async with Outbox.open(tmp_path / "gateway" / "outbox.db", OutboxLimits(), wall_clock) as outbox:
        messages = await outbox.read(list(range(1, outbox.stats().next_seq)))
    events = [json.loads(message.body) for message in messages if b"linli.command." in message.body]
    steps = [event["type"].removeprefix("linli.command.") for event in events]
    assert steps == ["begun", "done", "refused", "asked", "asked", "begun", "done", "begun", "done"]
    assert events[1]["data"]["by"] == "li"
    assert (events[1]["data"]["before"], events[1]["data"]["after"]) == (-20.0, -18.5)
    assert events[-1]["data"]["via"] == "local"
