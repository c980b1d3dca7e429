"""What is written to the card, and how long it lasts."""

from pathlib import Path

import pytest

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.wire.messages import DiskState
from linli_edge.wear import Wear, bytes_written

GB = 1_000_000_000


def test_nothing_is_said_of_the_first_minutes() -> None:
    wear = Wear(10_000 * GB)
    assert wear.watch(5 * GB, 0) is None
    assert wear.watch(6 * GB, 9 * MINUTE) is None
    assert wear.watch(6 * GB, DAY // 4) == DiskState(4 * GB, 2_500)


def test_the_last_day_counts_not_the_start() -> None:
    wear = Wear(3_000 * GB)
    wear.watch(0, 0)
    for hour in range(1, 72):
        state = wear.watch((50 if hour > 1 else 0) * GB + hour * GB // 24, hour * HOUR)
    assert state is not None
    assert state.bytes_per_day == pytest.approx(GB, rel=0.05)
    assert state.life_days == pytest.approx(3_000, rel=0.05)


def test_a_count_that_begins_anew_and_one_that_stands_still() -> None:
    wear = Wear(10 * GB)
    wear.watch(9 * GB, 0)
    wear.watch(0, HOUR)
    assert wear.watch(0, 2 * HOUR) == DiskState(0, 36_525)
    assert wear.watch(None, 3 * HOUR) is None


def test_the_kernels_count_is_read_and_its_absence_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "io"
    assert bytes_written(path) is None
    path.write_text("rchar: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n")
    assert bytes_written(path) == 4096
    path.write_text("nothing of the kind\n")
    assert bytes_written(path) is None
