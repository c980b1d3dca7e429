"""Leases and fences: one worker at a time, and a worker that slept through its end writes nothing."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from linli_platform.ingest import Committed
from linli_platform.ingest.connection import BrokerAddress
from linli_platform.ingest.ownership import ALL_SHARDS, Ownership
from linli_platform.ingest.settings import Grouping
from linli_platform.ingest.worker import Ingest
from linli_platform.metrics import Metrics
from linli_platform.registry import Registry
from linli_platform.registry.lease import Lease, LeaseLost, Leases, Vigil
from linli_platform.store import Appended, Batch, Fence, Fenced
from linli_platform.store.duckdb import DuckDBStore

if TYPE_CHECKING:
    from tests.hub.conftest import BrokerProcess, GatewayStandIn

NOW = 1_764_000_000_000_000


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry.sqlite") as registry:
        yield registry


@pytest.fixture
def leases(registry: Registry) -> Leases:
    return Leases(registry.sessions)


class SharedStore(DuckDBStore):
    """A store as a server is one: that this process has it open says nothing of others."""

    @property
    def is_exclusive(self) -> bool:
        return False


def one_reading(store: DuckDBStore, value: float) -> Batch:
    series = store.series("gw", "meter-1/energy_import")
    return Batch(
        np.array([series.id], np.int32), np.array([NOW], np.int64), np.array([value]), np.zeros(1, np.uint8), NOW
    )


def test_a_holder_that_lives_is_left_alone() -> None:
    vigil = Vigil(15)
    assert vigil.is_free(None, 0)
    assert not vigil.is_free(Lease("s", "a", 1, 0), 0)
    assert not vigil.is_free(Lease("s", "a", 1, 1), 14)
    assert not vigil.is_free(Lease("s", "a", 1, 1), 28.9)
    assert vigil.is_free(Lease("s", "a", 1, 1), 29)
    assert not vigil.is_free(Lease("s", "b", 2, 1), 29)  # somebody else was quicker
    assert vigil.is_free(Lease("s", "", 2, 1), 29)


def test_a_lease_is_taken_renewed_and_given_back(leases: Leases) -> None:
    first = leases.take("s", "a", seen=None)
    assert leases.look("s") == first == Lease("s", "a", 1, 0)
    renewed = leases.renew(first)
    assert leases.look("s") == renewed == Lease("s", "a", 1, 1)
    with pytest.raises(LeaseLost, match="held by a now"):
        leases.take("s", "b", seen=first)  # it gave a sign of life meanwhile
    second = leases.take("s", "b", seen=renewed)
    assert second.term == 2
    with pytest.raises(LeaseLost, match="held by b now"):
        leases.renew(renewed)
    leases.give_back(renewed)  # no longer its own
    assert leases.look("s") == second
    leases.give_back(second)
    third = leases.take("s", "a", seen=leases.look("s"), above=40)
    assert third.term == 41


def test_of_many_that_take_a_free_lease_one_gets_it(leases: Leases) -> None:
    gate = threading.Barrier(8)

    def grab(name: str, number: int, seen: Lease | None) -> bool:
        gate.wait(300)
        try:
            leases.take(name, f"w{number}", seen=seen)
        except LeaseLost:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            seen = leases.look("s")
            assert sum(pool.map(lambda number, seen=seen: grab("s", number, seen), range(8))) == 1


def test_an_older_owner_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with DuckDBStore(path) as store:
        old, new = Fence("s", 1), Fence("s", 2)
        store.fence(old)
        store.append(one_reading(store, 1.0), {}, fence=old)
        store.fence(new)
        for refused in (old, Fence("s", 0)):
            with pytest.raises(Fenced, match="term 2"):
                store.append(one_reading(store, 2.0), {"gw": b"mark"}, fence=refused)
            with pytest.raises(Fenced):
                store.fence(refused)
        store.append(one_reading(store, 1.0), {}, fence=Fence("others", 1))
        store.append(one_reading(store, 1.0), {}, fence=new)
    with DuckDBStore(path) as store:  # a fence outlives the process
        assert (store.fenced("s"), store.fenced("unknown"), store.count(), store.marks()) == (2, 0, 1, {})
        with pytest.raises(Fenced):
            store.append(one_reading(store, 2.0), {}, fence=old)


async def test_a_store_that_remembers_more_than_the_registry_is_obtained(registry: Registry, tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.fence(Fence(ALL_SHARDS, 7))
        ownership = Ownership(registry, store)
        await ownership.obtain()
        assert ownership.fence == Fence(ALL_SHARDS, 8)


async def test_an_exclusive_store_is_obtained_from_the_dead_at_once(registry: Registry, tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        await Ownership(registry, store).obtain()  # killed: gave nothing back
        second = Ownership(registry, store)
        await second.obtain()
        assert second.fence == Fence(ALL_SHARDS, 2)


async def test_two_workers_that_both_believe_they_own_the_shards_double_nothing(
    registry: Registry,
    tmp_path: Path,
    broker: "BrokerProcess",
    gateway: "GatewayStandIn",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine that is paused gives no sign of life either, and does not hear meanwhile that it lost the shards.
    monkeypatch.setattr("linli_platform.ingest.worker._HOUSEKEEPING_S", 1e6)
    begun, woken = threading.Event(), threading.Event()
    frozen: list[Fence | None] = []

    class Freezing(SharedStore):
        """Freezes the first commit of readings of the first owner, as a machine that is paused does."""

        def append(
            self, batch: Batch, marks: Mapping[str, bytes], *, fence: Fence | None = None, **rest: Any
        ) -> Appended:
            if len(batch) and not frozen:
                frozen.append(fence)
                begun.set()
                assert woken.wait(300)
            return super().append(batch, marks, fence=fence, **rest)

    def worker(store: DuckDBStore, name: str, told: list[Committed]) -> Ingest:
        ingest = Ingest(
            store,
            registry,
            BrokerAddress(port=broker.port, client_id=name),
            clock=lambda: NOW,
            metrics=Metrics(),
            grouping=Grouping(),
            ownership=Ownership(registry, store, patience_s=0.2, look_every_s=0.02),
        )
        ingest.listen(told.append)
        return ingest

    told_first: list[Committed] = []
    told_second: list[Committed] = []
    with Freezing(tmp_path / "store.duckdb") as store:
        first = worker(store, "first", told_first)
        await first.open()
        running = asyncio.create_task(first.run())
        await gateway.announce()
        await gateway.send(1, {"n": "meter-1/energy_import", "u": "Wh", "v": 1.5})
        assert await asyncio.to_thread(begun.wait, 300)
        second = worker(store, "second", told_second)
        await second.open()  # the first gives no sign of life
        going_on = asyncio.create_task(second.run())
        await gateway.announce()
        await gateway.send(1, {"n": "meter-1/energy_import", "u": "Wh", "v": 1.5})
        await gateway.acked(1)
        woken.set()
        with pytest.raises(ExceptionGroup) as caught:
            await running
        assert caught.group_contains(Fenced)
        assert (store.count(), store.count_distinct()) == (1, 1)
        assert (len(told_first), len(told_second)) == (0, 1)  # alarms are raised once
        await gateway.send(2, {"n": "meter-1/energy_import", "u": "Wh", "v": 2.5, "t": 1})
        await gateway.acked(2)
        second.stop()
        await going_on
        assert (store.count(), frozen) == (2, [Fence(ALL_SHARDS, 1)])
