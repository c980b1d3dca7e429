"""The platform as one process: opens its parts in order, runs them together, closes them in reverse."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Self

import uvicorn

from linli_core.errors import ConfigError
from linli_platform.alarms import AlarmService, load_rules
from linli_platform.alarms.answering import CallAnswers
from linli_platform.api import ApiContext, LiveFeed, Part, create_app
from linli_platform.backup.restore import refuse_half_restored
from linli_platform.backup.service import BackupService
from linli_platform.clock import Clock, wall_clock
from linli_platform.completeness import CompletenessService
from linli_platform.config import Settings, broker_address, read_secret
from linli_platform.ingest.worker import Ingest
from linli_platform.metrics import Metrics
from linli_platform.notify import AppriseSender, NotifyService, Routes, Writer, load_routes
from linli_platform.registry import Registry
from linli_platform.registry.lease import LeaseLost
from linli_platform.stages import COMPLETENESS, LIVE, RULES
from linli_platform.store import Fenced
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.engines import store_of
from linli_platform.store.upkeep import Upkeep
from linli_platform.tokens import Tokens
from linli_platform.tokens import load as load_tokens
from linli_platform.web.show import shown
from linli_platform.web.words import PageWords

_log = logging.getLogger(__name__)


class Platform:
    """Composition root of ``linli-platform serve``.

    ``async with Platform(settings) as platform`` opens everything and binds the port; :meth:`run` serves until
    :meth:`stop`, then commits what was taken in; leaving the block closes the files.

    Attributes:
        settings, clock, metrics: As given, or made.
        store, registry, ingest, alarms, notices, live, backups, completeness, upkeep: The parts, once open.
        url: Where API and pages are served, once open.
    """

    store: DuckDBStore
    registry: Registry
    ingest: Ingest
    alarms: AlarmService
    notices: NotifyService
    live: LiveFeed
    backups: BackupService
    completeness: CompletenessService
    upkeep: Upkeep
    url: str

    def __init__(self, settings: Settings, *, clock: Clock = wall_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self._stack = AsyncExitStack()
        self._stopping = asyncio.Event()
        self._listener: socket.socket | None = None
        self._server: _Server | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        address = broker_address(settings.mqtt, settings.shards)
        refuse_half_restored(settings.store_path)
        token = read_secret(settings.api.token_file, "api.token_file") if settings.api.token_file else None
        tokens = load_tokens(Path(settings.influx.tokens)) if settings.influx.tokens else Tokens()
        rules = load_rules(Path(settings.rules) if settings.rules else None, settings.packs)
        routes = load_routes(Path(settings.notify.file)) if settings.notify.file else Routes()
        self._listener = stack.enter_context(_bind(*settings.listen))
        _make(Path(settings.data))
        self.registry = stack.enter_context(Registry(settings.registry_path))
        self.store = await stack.enter_async_context(_opened(store_of(settings)))
        self.ingest = Ingest(
            self.store,
            self.registry,
            address,
            clock=self.clock,
            metrics=self.metrics,
            limits=settings.limits,
            grouping=settings.grouping,
            writers=tokens.writers(),
            shards=settings.shards,
        )
        await self.ingest.open()
        self.alarms = await stack.enter_async_context(
            AlarmService(self.registry, self.store, rules, self.clock, zone=settings.tzinfo)
        )
        self.notices = await stack.enter_async_context(
            NotifyService(
                self.registry,
                routes,
                AppriseSender(routes.targets),
                Writer(PageWords(self.registry, self.store), settings.tzinfo, routes.page),
                self.clock,
                settings.tzinfo,
                self.alarms.hiding.of,
            )
        )
        self.backups = BackupService(
            settings.backup, self.store, settings.registry_path, Path(settings.data), self.clock
        )
        self.completeness = CompletenessService(self.store, settings.tzinfo, self.clock)
        await self.completeness.open()
        self.upkeep = Upkeep(self.store, self.clock, self.metrics, settings.store.retention)
        self.live = LiveFeed(shown)
        self.ingest.listen(self.alarms.on_committed, RULES)
        self.ingest.hurry(self.alarms.presses)
        self.metrics.stages.waiting(RULES, lambda: self.alarms.unwritten)
        self.ingest.listen(self.live.on_committed, LIVE)
        self.ingest.listen(self.completeness.on_committed, COMPLETENESS)
        self.ingest.listen_to_gateways(self.live.on_gateway)
        self.alarms.listen(self.live.on_alarm)
        self.alarms.listen(self.notices.on_alarm)
        answers = CallAnswers(self.ingest.command, self.alarms.engine.rules, self.clock)
        answers.take_up(await self.alarms.standing())
        self.alarms.listen(answers.on_alarm)
        self.ingest.listen_to_gateways(answers.on_gateway)
        host, port = self._listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        context = ApiContext(
            registry=self.registry,
            store=self.store,
            alarms=self.alarms,
            notices=self.notices,
            live=self.live,
            backups=self.backups,
            replay=self.ingest.replay,
            balances=self.ingest.balances,
            zone=self.completeness.zone,
            clock=self.clock,
            version=version("linli"),
            parts=self._parts,
            token=token,
            tokens=tokens,
            hosts=frozenset(settings.api.hosts),
            write_lines=self.ingest.write_lines,
            let_in=self.ingest.let_in,
            metrics=lambda: (self.metrics.render(), self.metrics.content_type),
        )
        self._server = _Server(
            uvicorn.Config(
                create_app(context),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )

    def _parts(self) -> Mapping[str, Part]:
        settings = self.settings.mqtt
        broker = (
            Part("ok")
            if self.ingest.is_connected
            else Part("down", f"no connection to {settings.host}:{settings.port}")
        )
        store = Part("degraded", self.ingest.failing) if self.ingest.failing else Part("ok")
        parts = {"broker": broker, "store": store}
        if self.backups.is_configured:
            parts["backup"] = Part(*self.backups.health(self.clock()))
        if self.notices.is_configured:
            parts["notify"] = Part(*self.notices.health(self.clock()))
        return parts

    def stop(self) -> None:
        """Let :meth:`run` finish: no more messages, one last commit, then the pages close."""
        self._stopping.set()

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until :meth:`stop`; ``ready`` is called once pages are served.

        Raises:
            LeaseLost, Fenced: Another platform took the shards over; nothing is lost, start this one again.
        """
        try:
            await self._run(ready)
        except BaseExceptionGroup as group:
            taken = group.subgroup((LeaseLost, Fenced))
            if taken is None:
                raise
            raise _first(taken) from group

    async def _run(self, ready: Callable[[], None]) -> None:
        assert self._server is not None
        assert self._listener is not None
        async with asyncio.TaskGroup() as group:
            alarms = group.create_task(self.alarms.run(), name="alarms")
            notices = group.create_task(self.notices.run(), name="notify")
            ingest = group.create_task(self.ingest.run(), name="ingest")
            backups = group.create_task(self.backups.run(), name="backups")
            completeness = group.create_task(self.completeness.run(), name="completeness")
            upkeep = group.create_task(self.upkeep.run(), name="upkeep")
            pages = group.create_task(self._server.serve(sockets=[self._listener]), name="api")
            await self._server.is_up.wait()
            ready()
            await self._stopping.wait()
            self.ingest.stop()
            await ingest
            self._server.should_exit = True
            await pages
            alarms.cancel()
            self.notices.stop()
            await notices
            backups.cancel()
            completeness.cancel()
            self.upkeep.stop()
            await upkeep
        await asyncio.to_thread(self.store.checkpoint)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own (the process has one place for them), and telling when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError("data", f"{folder}: {exc.strerror}", "choose a folder the platform may write") from exc


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; :class:`ConfigError` if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        remedy = "stop what listens there, or choose another --listen"
        raise ConfigError("api.listen", f"{host}:{port}: {exc.strerror}", remedy) from exc
    return listener


@asynccontextmanager
async def _opened(store: DuckDBStore) -> AsyncIterator[DuckDBStore]:
    """Open and close the store beside the event loop: recovery and checkpoint take their time."""
    await asyncio.to_thread(store.__enter__)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.__exit__, None, None, None)
