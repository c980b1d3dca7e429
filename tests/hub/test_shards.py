"""Several workers share the gateways by their shards: each takes its own, and none another's."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hub.test_service import PlatformProcess, record

from linli_core.wire.topics import ShardSet, shard_of, subscription
from linli_platform.cli import main
from linli_platform.ingest.door import Door, NotItsGateway, Writer
from linli_platform.ingest.line_mapping import Rules

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.hub.conftest import BrokerProcess, GatewayStandIn


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), st.integers(1, 64))
def test_each_gateway_is_one_workers_and_its_topics_are_in_that_ones_filters(gateway: str, of: int) -> None:
    workers = [ShardSet(number, of) for number in range(1, of + 1)]
    (owner,) = [worker for worker in workers if worker.holds(gateway)]
    if of > 1:
        assert [worker for worker in workers if subscription(shard_of(gateway)) in worker.subscriptions()] == [owner]
        assert sorted(text for worker in workers for text in worker.subscriptions()) == [
            subscription(f"{shard:02x}") for shard in range(64)
        ]
    assert ShardSet.parse(str(owner)) == owner


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/65", "a/b", "1/2/3", "-1/2", "１/2", "001/002"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"share such as 3/8|64 workers"):
        ShardSet.parse(text)


def test_the_command_says_what_a_share_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path), "--shard", "9/8"]) == 2
    assert "ingest.shard: 9/8: 64 shards go to 1 to 64 workers" in capsys.readouterr().err


def test_a_writer_of_another_workers_gateway_is_told_where_to_go() -> None:
    share = ShardSet(1, 2)
    gateway = next(f"telegraf-{number}" for number in range(9) if not share.holds(f"telegraf-{number}"))
    unused = cast("Any", None)
    door = Door(unused, unused, unused, share)
    with pytest.raises(NotItsGateway, match=f"{gateway} is in shard .., which is not of 1/2: write to the worker"):
        door.take(Writer("telegraf", Rules(gateway)), unused, 0)


GATEWAYS = ("gw-a", "gw-b", "gw-c", "gw-d")


@pytest.fixture
def two(tmp_path: Path, broker: "BrokerProcess", free_port: Callable[[], int]) -> Iterator[list[PlatformProcess]]:
    workers = [PlatformProcess(tmp_path / f"worker-{number}", free_port(), broker.port) for number in (1, 2)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()


async def test_two_workers_take_each_its_own_gateways_messages_and_acknowledge_no_others(
    two: list[PlatformProcess], stand_in: "Callable[[str], AbstractAsyncContextManager[GatewayStandIn]]"
) -> None:
    owners = [[gateway for gateway in GATEWAYS if ShardSet(number, 2).holds(gateway)] for number in (1, 2)]
    assert all(owners), "the test needs gateways of both"
    for number, worker in enumerate(two, 1):
        await asyncio.to_thread(worker.start, "--shard", f"{number}/2")
    for gateway in GATEWAYS:
        async with stand_in(gateway) as connected:
            await connected.announce()
            await connected.send(1, record(1))
            await connected.acked(1)
            assert connected.acks.empty(), "another worker acknowledged it too"
    for worker, own in zip(two, owners, strict=True):
        found = json.loads(await asyncio.to_thread(worker.get, "/api/v1/gateways"))
        assert sorted(each["id"] for each in found) == own
        assert json.loads(await asyncio.to_thread(worker.get, "/api/v1/counts"))["readings"] == len(own)
    # The folder of one share under another: both would acknowledge the same gateways.
    two[0].processes[0].terminate()
    await asyncio.to_thread(two[0].processes[0].communicate)
    process = await asyncio.to_thread(two[0].spawn, "--shard", "2/2")
    _, err = await asyncio.to_thread(process.communicate)
    assert process.returncode == 2
    assert f"ingest.shard: the data folder holds {owners[0][0]} of shard" in err
