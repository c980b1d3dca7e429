"""A platform's folder, served: API, pages and ``/query`` on a free port of this machine, without a broker."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn

from linli_core.instant import Instant
from linli_platform.alarms import AlarmService, load_rules
from linli_platform.api import ApiContext, LiveFeed, Part, create_app
from linli_platform.registry import Registry
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.tokens import Tokens
from linli_platform.web.show import shown


class _Server(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextmanager
def served(
    folder: Path, now: Instant, zone: ZoneInfo, *, token: str | None = None, tokens: Tokens | None = None
) -> Iterator[str]:
    """Serve what a folder holds, at a moment that stands still; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = threading.Event()
        loop = asyncio.new_event_loop()
        ended = asyncio.Event()

        async def serve() -> None:
            with Registry(folder / "registry.sqlite") as registry, DuckDBStore(folder / "store.duckdb") as store:
                async with AlarmService(registry, store, load_rules(), lambda: now) as alarms:
                    context = ApiContext(
                        registry=registry,
                        store=store,
                        alarms=alarms,
                        live=LiveFeed(shown, lambda: now),
                        clock=lambda: now,
                        version="0.1.0",
                        zone=zone,
                        parts=lambda: {"store": Part("ok")},
                        token=token,
                        tokens=tokens or Tokens(),
                    )
                    server = _Server(uvicorn.Config(create_app(context), log_config=None, lifespan="off"))
                    serving = asyncio.create_task(server.serve(sockets=[listener]), name="serving")
                    # The listener takes connections already; they wait until the server is there.
                    started.set()
                    await ended.wait()
                    server.should_exit = True
                    with contextlib.suppress(asyncio.CancelledError):
                        await serving

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="platform")
        thread.start()
        try:
            started.wait(timeout=60)
            yield f"http://127.0.0.1:{port}"
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()
