"""Killed between handing over and writing it down: told again once, under the same number, and never a third time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linli_platform.notify import AppriseSender, load_routes

if TYPE_CHECKING:
    from tests.hub.notify.conftest import Receiver, Town

PROGRAM = """
import asyncio, sys
from datetime import UTC
from pathlib import Path
from linli_platform.notify import AppriseSender, NotifyService, Writer, load_routes
from linli_platform.registry import Registry

class Words:
    def where(self, gateway, device, point, lang): return gateway
    def value(self, line, lang): return ""

async def main():
    routes = load_routes(Path(sys.argv[2]))
    with Registry(Path(sys.argv[1])) as registry:
        writer, hiding = Writer(Words(), UTC, routes.page), lambda *_: None
        sender = AppriseSender(routes.targets)
        clock = lambda: int(sys.argv[3])
        async with NotifyService(registry, routes, sender, writer, clock, UTC, hiding) as service:
            await service.settled()

asyncio.run(main())
"""


@pytest.mark.system
async def test_killed_while_handing_over_it_is_told_once_more_and_says_so(
    town: Town, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "hook.url").write_text(receiver.url())
    file = tmp_path / "notify.toml"
    file.write_text(
        'page = "https://linli.example"\n'
        f'[[targets]]\nid = "hook"\nurl_file = "{tmp_path}/hook.url"\nlang = "en"\n'
        '[[routes]]\nid = "all"\nto = ["hook"]\n'
    )
    routes = load_routes(file)
    async with town.desk(routes, AppriseSender(routes.targets)):
        pass  # from here on, what happens is told
    for number in range(3):
        town.raised("food.warm", f"gw-1/room-{number}/air_temperature")

    pid: Future[int] = Future()
    receiver.on_post = lambda: os.kill(pid.result(), signal.SIGKILL)
    told = (town.registry.path, file, str(town.now))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *told)
    pid.set_result(process.pid)
    assert await process.wait() == -signal.SIGKILL
    receiver.on_post = lambda: None
    assert len(receiver.posts) == 1
    for _ in range(2):
        async with town.desk(routes, AppriseSender(routes.targets)) as desk:
            await desk.settled()
    first, second = (post["message"] for post in receiver.posts)
    assert all(f"/alarms/{number}" in message for number in (1, 2, 3) for message in (first, second))
    assert first.endswith("Message 1")
    assert second.endswith("Message 1 (sent again: it is not certain that it came)")
