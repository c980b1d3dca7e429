"""Owning the shards a worker writes: obtained before the marks are read, kept while it works, given back at the end."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Iterable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from linli_core.errors import ConfigError
from linli_core.wire.topics import ShardSet, shard_of
from linli_platform.registry import Registry
from linli_platform.registry.lease import Lease, LeaseLost, Leases, Vigil
from linli_platform.store import Fence, Store

_log = logging.getLogger(__name__)

ALL_SHARDS: Final = "shards 00-3f"
PATIENCE_S: Final = 15.0
"""Three housekeepings of a holder (it gives a sign of life with each): one may be late, three in a row are not."""

_LOOK_EVERY_S: Final = 1.0


def name_of(shards: ShardSet) -> str:
    """Return what a set of shards is called in leases and fences."""
    return ALL_SHARDS if shards.is_whole else f"shards {shards}"


def refuse_others(shards: ShardSet, gateways: Iterable[str]) -> None:
    """Raise :class:`ConfigError` if a gateway is another worker's: two would acknowledge it, each what it has."""
    for gateway in gateways:
        if not shards.holds(gateway):
            found = f"the data folder holds {gateway} of shard {shard_of(gateway)}, not of {shards}"
            remedy = "use this share's folder; another number of workers begins with new ones (docs/operator.md)"
            raise ConfigError("ingest.shard", found, remedy)


class Ownership:
    """One worker's lease on its shards, and the fence its commits are made under.

    Args:
        registry, store: Open.
        name: Of which shards.
        patience_s: How long a holder may be silent before its place is taken.
        look_every_s: How often a holder is looked at meanwhile.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        name: str = ALL_SHARDS,
        *,
        patience_s: float = PATIENCE_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._leases = Leases(registry.sessions)
        self._store = store
        self._name = name
        self._patience_s = patience_s
        self._look_every_s = look_every_s
        self._lease: Lease | None = None
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"

    @property
    def fence(self) -> Fence | None:
        """Under what commits are made; ``None`` before the shards are owned."""
        return None if self._lease is None else Fence(self._name, self._lease.term)

    async def obtain(self) -> None:
        """Wait until the shards are free, take them, and have the store refuse whoever had them.

        Where the store lets one process in, and that is this one, nobody else can be at work: they are free at once.
        """
        vigil = Vigil(0.0 if self._store.is_exclusive else self._patience_s)
        loop = asyncio.get_running_loop()
        told = False
        while True:
            seen = await asyncio.to_thread(self._leases.look, self._name)
            if vigil.is_free(seen, loop.time()):
                try:
                    await asyncio.to_thread(self._take, seen)
                except LeaseLost:
                    continue  # look again, at the one who was quicker
                return
            if not told:
                _log.warning("%s: %s has them; waiting until it is gone", self._name, seen.holder if seen else "")
                told = True
            await asyncio.sleep(self._look_every_s)

    def _take(self, seen: Lease | None) -> None:
        lease = self._leases.take(self._name, self.holder, seen=seen, above=self._store.fenced(self._name))
        self._store.fence(Fence(lease.name, lease.term))
        self._lease = lease

    def renew(self) -> None:
        """Give a sign of life; :class:`LeaseLost` if the shards are another's."""
        if self._lease is None:
            return
        try:
            self._lease = self._leases.renew(self._lease)
        except SQLAlchemyError as exc:
            # Nothing is at stake: should another take the shards meanwhile, the store refuses what is written here.
            _log.warning("%s: no sign of life could be written: %s", self._name, exc)

    def give_back(self) -> None:
        """Let the next one begin at once."""
        if self._lease is None:
            return
        try:
            self._leases.give_back(self._lease)
        except SQLAlchemyError as exc:
            _log.warning("%s: not given back, the next one waits: %s", self._name, exc)
        self._lease = None
