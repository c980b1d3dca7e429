"""Files that a power cut leaves whole: content before the name, the name before the answer."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from linli_edge.commands.ledger import Ledger
from linli_edge.durable_file import write_durably
from linli_edge.saved_state import SavedState


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, in order: a file's or folder's name with what became of it."""
    found: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        found.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_replace(path: Path, target: Any) -> Path:
        found.append(f"rename {path.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return found


def test_content_then_name_then_folder(tmp_path: Path, done: list[str]) -> None:
    path = tmp_path / "kept"
    write_durably(path, b"one")
    assert done == ["sync kept.new", "rename kept.new", f"sync {tmp_path.name}"]
    write_durably(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["state", "ledger"])
def test_what_must_survive_is_written_so(kind: str, tmp_path: Path, done: list[str]) -> None:
    path = tmp_path / "kept"
    if kind == "state":
        SavedState(path).save({"a": 1})
    else:
        Ledger(path).load(0)
    assert done[-1] == f"sync {tmp_path.name}"


def test_a_disk_that_refuses_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    write_durably(path, b"one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_what_a_power_cut_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "kept.new").write_bytes(b"half")
    write_durably(tmp_path / "kept", b"whole")
    assert (tmp_path / "kept").read_bytes() == b"whole"
