"""A community on one store, filled: its devices read for a while, the other system's week written, alarms raised."""

import asyncio
import hashlib
import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from linli_core.errors import LinliError
from linli_sim.boards.furniture import GATEWAY, declaration, lines
from linli_sim.community import AREA, COLD_ROOM, ELECTRIC, Community

READ_S: Final = 150
"""For how long the demo's devices are read: a gateway tells after a minute how often it reads what only an answer
tells, and what was due within the last minute is not counted as complete yet."""

_AT_ONCE: Final = 5_000
_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 240
_ALARMS: Final = 3
"""A cold room's door, a warm chiller, gas in the kitchen."""

_PACKS: Final = 'packs = ["food", "safety", "utility"]\n'


class NotFilled(LinliError):
    """The community did not come to what the boards need."""


@dataclass(frozen=True, slots=True)
class Playing:
    """A community that runs.

    Attributes:
        url: Of its platform.
        token: Of a caller who may see everything.
        alarms: How many stand.
    """

    url: str
    token: str
    alarms: int


@asynccontextmanager
async def playing(folder: Path, store: str, seed: int = 1) -> AsyncIterator[Playing]:
    """Run a community whose platform has these settings of a store, and fill it."""
    token = secrets.token_urlsafe(24)
    tokens = await asyncio.to_thread(_tokens, folder, token)
    settings = f'{_PACKS}[influx]\ntokens = "{tokens}"\n{store}'
    async with Community(folder, seed=seed, settings=settings, besides=declaration(AREA)) as community:
        ask = _Asker(community.url, token)
        await community.start_gateways()
        await community.set_door(is_open=True)
        now = int(time.time())
        await asyncio.to_thread(ask.write, now)
        await ask.until_seen(COLD_ROOM, READ_S)
        # Completeness is counted when the platform starts, and every five minutes.
        await community.platform.stop()
        await community.platform.start()
        await ask.counted(ELECTRIC)
        found = await ask.alarms(_ALARMS)
        await asyncio.to_thread(ask.acknowledge, found[0]["id"])
        yield Playing(community.url, token, len(found))
        await community.stop_gateways()


def _tokens(folder: Path, token: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokens.toml"
    digest = hashlib.sha256(token.encode()).hexdigest()
    text = f'[[tokens]]\nname = "boards"\nsha256 = "{digest}"\nwrites_as = "{GATEWAY}"\n'
    text += "reads = { everything = true }\n"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


class _Asker:
    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def write(self, now: int) -> None:
        """Write the other system's readings."""
        rest = lines(now)
        while some := list(islice(rest, _AT_ONCE)):
            self._ask("/write?db=linli&precision=s", "\n".join(some).encode())

    def acknowledge(self, alarm: int) -> None:
        """Say that an alarm was seen."""
        body = json.dumps({"actor": "boards", "comment": "seen"}).encode()
        self._ask(f"/api/v1/alarms/{alarm}/acknowledge", body, kind="application/json")

    async def until_seen(self, device: str, seconds: float) -> None:
        """Wait until a device's readings are in, and then for so long as readings shall flow."""
        query = f"/api/v1/points?device={device}"
        await self._until(lambda found: bool(found) and any(point["latest"] for point in found), query)
        await asyncio.sleep(seconds)

    async def counted(self, gateway: str) -> None:
        """Wait until completeness was counted of a gateway that said how often it reads."""
        query = f"/api/v1/completeness?gateway={gateway}"
        await self._until(lambda found: any(day["expected"] for day in found), query)

    async def alarms(self, least: int) -> list[dict[str, Any]]:
        """Return the alarms that stand, once there are as many as there have to be."""
        found: list[dict[str, Any]] = await self._until(lambda found: len(found) >= least, "/api/v1/alarms?active=true")
        return found

    async def _until(self, holds: Any, path: str) -> Any:
        until = time.monotonic() + _PATIENCE_S
        found: Any = None
        while time.monotonic() < until:
            found = json.loads(await asyncio.to_thread(self._ask, path))
            if holds(found):
                return found
            await asyncio.sleep(_LOOK_S)
        raise NotFilled(f"{path}: after {_PATIENCE_S} s it says {str(found)[-900:]}")

    def _ask(self, path: str, body: bytes | None = None, kind: str = "text/plain") -> bytes:
        headers = {"Content-Type": kind} | ({} if "/api/" in path else {"Authorization": f"Token {self._token}"})
        request = urllib.request.Request(self._url + path, body, headers)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 - our own
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as exc:
            raise NotFilled(f"{path}: {exc.code}: {exc.read(500).decode(errors='replace')}") from exc


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress, for people
