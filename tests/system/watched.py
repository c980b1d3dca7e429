"""A demo as a person runs it: until they have seen what they wanted to see, and press Ctrl-C."""

import asyncio
import json
import os
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linli_sim.processes import command
from linli_sim.waiting import PATIENCE, eventually

Ask = Callable[..., Awaitable[Any]]
"""Asks the platform's API for a path, with a query."""


@dataclass(frozen=True)
class Ended:
    """How a demo ended."""

    status: int
    out: str
    err: str


async def watch(data: Path, seen: Callable[[Ask], Awaitable[object]], *words: str) -> Ended:
    """Run a demo whose books are printed, on a machine that has no recordings; stop it once all was seen."""
    process = await asyncio.create_subprocess_exec(
        *(command("linli-sim"), "demo", "--json", "--data", str(data), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Every meter is simulated.
        env={**os.environ, "LINLI_VECTORS": str(data / "none")},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    url = asyncio.get_running_loop().create_future()

    async def listen(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            said.append(line.decode())
            if not url.done() and (found := re.search(r"http://127\.0\.0\.1:\d+", said[-1])):
                url.set_result(found[0])

    async def ask(path: str, **query: str | int) -> Any:
        asked = f"{await url}/api/v1{path}?{urllib.parse.urlencode(query)}"
        return json.loads(await asyncio.to_thread(_get, asked))

    async def told() -> object:
        assert process.returncode is None, "".join(said)
        return await seen(ask)

    listening = asyncio.create_task(listen(process.stderr), name="what the demo says")
    try:
        await eventually(told, "what is to be seen of the demo")
        process.send_signal(signal.SIGINT)
        out = (await process.stdout.read()).decode()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        await listening
    return Ended(status, out, "".join(said))


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        body: bytes = answer.read()
    return body
