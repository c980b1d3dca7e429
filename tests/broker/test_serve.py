"""``linli-broker serve`` as a process: how it starts, refuses to start, and ends."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from linli_broker.cli import main
from linli_broker.engine import Plan
from linli_broker.serve import Broker
from linli_broker.settings import Listener, Settings
from linli_sim.processes import Program, ProgramFailed, command

# Answers the first CONNECT of its life, then hangs up on everybody.
WEDGED = """
import socket, sys
answers = 1
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        client, _ = server.accept()
        with client:
            if answers and client.recv(100):
                client.sendall(bytes.fromhex("20020000"))
                answers -= 1
"""


def program(tmp_path: Path, *arguments: str) -> Program:
    argv = [command("linli-broker"), "serve", "--data", str(tmp_path / "broker"), *arguments]
    return Program("linli-broker", argv, tmp_path / "broker.log", "ready")


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def test_says_where_it_is_ready_and_ends_in_good_order(tmp_path: Path, engine: str, port: int) -> None:
    broker = program(tmp_path, "--engine", engine, "--listen", f"127.0.0.1:{port}")
    assert await broker.start() == f"linli-broker: ready on 127.0.0.1:{port} ({engine})"
    assert await broker.stop() == 0


async def test_an_engine_that_dies_is_not_hidden(broker: Program, engine: str) -> None:
    os.kill(child_of(broker.pid), signal.SIGKILL)
    assert await broker.wait() == 128 + signal.SIGKILL
    assert f"linli-broker: {engine} was ended by signal 9 (SIGKILL)" in broker.tail()


async def test_the_engine_does_not_outlive_a_killed_broker(broker: Program, port: int) -> None:
    # kill() returns when nobody holds the output any more, so the engine is gone too.
    await broker.kill()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_an_engine_that_lives_and_answers_nobody_is_started_again(tmp_path: Path, port: int) -> None:
    said: list[str] = []
    twice = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            twice.set()

    script = tmp_path / "wedged.py"
    script.write_text(WEDGED)
    plan = Plan("wedged", (sys.executable, str(script), str(port)), {}, watched=True)
    settings = Settings(listeners=(Listener(f"127.0.0.1:{port}"),))
    broker = Broker(settings, plan, say, reread=lambda: plan, watch_seconds=0.01)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(broker.run())
        await twice.wait()
        broker.stop()
    assert running.result() == 0
    ready = f"ready on 127.0.0.1:{port} (wedged)"
    assert said[:3] == [ready, "wedged lives and answers nobody; starting it again", ready]


async def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path, engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ProgramFailed) as failed:
            await program(tmp_path, "--engine", engine, "--listen", f"127.0.0.1:{port}").start()
    assert str(failed.value).splitlines() == [
        "linli-broker ended with 2 before it was ready:",
        (
            f"linli-broker: listeners[0].address: port {port} of 127.0.0.1 is taken by another program; stop it "
            f"(ss -ltnp 'sport = :{port}' names it), or choose another port with --listen HOST:PORT"
        ),
    ]


@pytest.mark.parametrize(
    ("listen", "found", "remedy"),
    [
        ("127.0.0.1:0", "port 0 would be another one at every start", "give the port gateways are told, 1883"),
        ("127.0.0.1:70000", "found port 70000", "choose one from 1 to 65535"),
        ("1883", "'1883' is no HOST:PORT", "write a host, a colon and a port, such as 127.0.0.1:1883"),
        ("::1:1883", "'::1:1883' is no HOST:PORT (an IPv6 host stands in brackets)",
         "write a host, a colon and a port, such as 127.0.0.1:1883"),
        (
            "0.0.0.0:1883",
            "0.0.0.0:1883 can be reached from other machines, without TLS and without knowing who connects",
            ("listen on 127.0.0.1, or give this listener tls = { ca, certificate, key } and name the gateways "
            "under [access] (docs/operator.md)"),
        ),
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, listen: str, found: str, remedy: str
) -> None:
    assert main(["serve", "--data", str(tmp_path / "broker"), "--listen", listen]) == 2
    assert capsys.readouterr().err == f"linli-broker: listeners[0].address: {found}; {remedy}\n"
    assert not (tmp_path / "broker").exists()
