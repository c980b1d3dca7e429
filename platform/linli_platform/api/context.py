"""What the API and the pages need of the platform, in one argument."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal

from linli_core.log.account import Balance
from linli_core.wire.line_protocol import Precision
from linli_platform.alarms import AlarmService
from linli_platform.api.live import LiveFeed
from linli_platform.backup.service import BackupService
from linli_platform.clock import Clock
from linli_platform.ingest.door import Writer, Written
from linli_platform.ingest.replay import Replayed
from linli_platform.notify import NotifyService
from linli_platform.registry import Loss, Registry
from linli_platform.store import Quarantined, Store
from linli_platform.tokens import Tokens

PartState = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of the platform fares; ``detail`` is a sentence for an operator, empty when all is well."""

    state: PartState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What the API and the pages need of the platform.

    Attributes:
        registry, store, alarms, live: The platform's parts, open.
        clock: The platform's clock.
        version: Shown by ``health``.
        notices: Tells people of alarms; ``None`` where the application runs without a platform around it.
        backups: Makes backups; ``None`` where the application runs without a platform around it.
        replay: Tries a quarantined message again; ``None`` where nothing takes messages.
        balances: Holds each gateway's book of readings against the platform's; ``None`` where nothing takes messages.
        zone: The community's time zone.
        parts: Returns the state of ``broker``, ``store``, …, at the moment of asking.
        token: Bearer token that every request must bear; ``None`` where only loopback is served.
        hosts: Names by which the platform may be addressed without a token, besides ``localhost`` and IP addresses.
        write_lines: Takes line protocol in; ``None`` where nothing takes messages.
        let_in: Has devices of a writer declared before their first readings; ``None`` where nothing takes messages.
        tokens: Who may speak at the doors of InfluxDB's shape.
        metrics: Returns the text of ``/metrics`` and its content type; ``None`` to serve none.
    """

    registry: Registry
    store: Store
    alarms: AlarmService
    live: LiveFeed
    clock: Clock
    version: str
    notices: NotifyService | None = None
    backups: BackupService | None = None
    replay: Callable[[Quarantined], Awaitable[Replayed]] | None = None
    balances: Callable[[list[Loss], int | None], dict[str, list[Balance]]] | None = None
    zone: tzinfo = UTC
    parts: Callable[[], Mapping[str, Part]] = dict
    token: str | None = None
    hosts: frozenset[str] = field(default_factory=frozenset)
    write_lines: Callable[[Writer, bytes, Precision], Awaitable[Written]] | None = None
    let_in: Callable[[Writer, Sequence[str], Callable[[Sequence[str]], None]], Awaitable[None]] | None = None
    tokens: Tokens = field(default_factory=Tokens)
    metrics: Callable[[], tuple[bytes, str]] | None = None
