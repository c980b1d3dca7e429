"""A store with a past, its registry, a folder for backups, a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pyrage import x25519

from linli_core.instant import DAY, MINUTE, SECOND, Instant
from linli_core.log.receiver import Receiver
from linli_core.wire.messages import Status
from linli_platform.backup.restore import Place
from linli_platform.backup.take import Taken, take
from linli_platform.backup.targets import FolderTarget
from linli_platform.registry import Gateway, Loss, Registry, State
from linli_platform.store import Batch, EventRow, Quarantined
from linli_platform.store.duckdb import DuckDBStore

NOW: Instant = 1_795_000_000 * SECOND


@dataclass
class Platform:
    """The files of a platform that is in use."""

    store: DuckDBStore
    registry: Registry
    folder: Path
    target: FolderTarget
    identity: x25519.Identity

    def append(self, minutes: int, start: Instant, seq: int) -> None:
        """Commit a reading of each of three points for each of so many minutes, and the mark of a message."""
        names = ("meter-1/energy_import", "meter-1/voltage.l1", "meter-1/firmware_version")
        ids = [self.store.series("gw-a", name).id for name in names]
        count = 3 * minutes
        value = np.linspace(1, 2, count)
        value[2::3] = np.nan
        quality = np.zeros(count, np.uint8)
        quality[3::30] = 129
        receiver = Receiver()
        receiver.status(Status("gw-a", "online", epoch="e1", next_seq=seq + 1), start)
        receiver.committed("e1", range(1, seq + 1))
        batch = Batch(
            series=np.array(ids * minutes, np.int32),
            time=np.repeat(start + np.arange(minutes, dtype=np.int64) * MINUTE, 3),
            value=value,
            quality=quality,
            received_at=start,
            texts=dict.fromkeys(range(2, count, 3), "v1.2 '固件'"),
            device_times={row: start + row - 40 * MINUTE for row in range(0, count, 5)},
        )
        event = EventRow("gw-a", f"id-{seq}", start, "linli.device.silent", "meter-1", "{}", start)
        poison = Quarantined("gw-a", "e1", seq, "malformed", b"\x00not json\xff", start)
        self.store.append(batch, {"gw-a": receiver.snapshot()}, events=[event], quarantined=[poison])

    def back_up(self, now: Instant = NOW) -> Taken:
        return take(self.store, self.registry.path, self.target, self.identity.to_public(), now, work=self.work)

    @property
    def work(self) -> Path:
        return self.folder / "data" / "work"

    def place(self, name: str) -> Place:
        """Return a place for another platform's files."""
        other = self.folder / name
        other.mkdir(exist_ok=True)
        return Place(other / "store.duckdb", other / "registry.sqlite", other / "work")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    for name in ("data", "data/work", "backups"):
        (tmp_path / name).mkdir()
    with (
        Registry(tmp_path / "data" / "registry.sqlite") as registry,
        DuckDBStore(tmp_path / "data" / "store.duckdb") as store,
    ):
        registry.declare([], [Gateway("gw-a", State.ACTIVE, {"zh": "一号楼", "en": "Building 1"})], [])
        registry.book([Loss("gw-a", "e1", 900, 901, "space", NOW - DAY, NOW, 7)], NOW)
        opened = Platform(store, registry, tmp_path, FolderTarget(tmp_path / "backups"), x25519.Identity.generate())
        opened.append(60, NOW - 3 * DAY, 10)
        opened.append(90, NOW - DAY - 30 * MINUTE, 20)
        opened.append(5, 0, 21)  # a clock that was never set
        yield opened
