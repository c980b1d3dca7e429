"""A board at a cable, and a program that is small enough to be sent often."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from linli_edge.nodes.build import build, create_key, read_key, sources
from linli_edge.nodes.flashing import flash, read_image
from linli_edge.nodes.serial_board import SerialBoard
from linli_sim.nodes.plugged import PluggedBoard, impatient
from linli_sim.nodes.vm import NoMachine, unix

STARTED = """
import time
def main():
    print('started 1')
    time.sleep(600)
"""
TEXTS = {"linli_app/__init__.py": "", "linli_app/start.py": STARTED}


@pytest.fixture(autouse=True, scope="package")
def _quick() -> Iterator[None]:
    with impatient():
        yield


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program of a few files that says that it has started."""
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    folder = tmp_path_factory.mktemp("built")
    firmware = folder / "firmware"
    for part in ("lib", "board"):
        shutil.copytree(sources() / part, firmware / part, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (firmware / "lib" / "linli_node").iterdir():
        if module.stem not in {"__init__", "slots", "bundle", "errors", "crc"}:
            module.unlink()
    for name, words in TEXTS.items():
        path = firmware / "node" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)
    create_key(folder / "updates.key")
    return build("desktop", 7, read_key(folder / "updates.key"), folder / "out", "t", firmware).folder


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PluggedBoard]:
    board = PluggedBoard(tmp_path / "board")
    yield board
    board.pull()


@pytest.fixture(scope="package")
def flash_file(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """Return the flash of a board that got that program."""
    board = PluggedBoard(tmp_path_factory.mktemp("flashed"))
    with board, SerialBoard.connect(str(board.port)) as at:
        flash(at, read_image(built), lambda _done, _size: None)
    return board.folder / "flash.bin"


@pytest.fixture
def flashed(board: PluggedBoard, flash_file: Path) -> PluggedBoard:
    """Return a board that got that program, plugged in."""
    board.folder.mkdir()
    shutil.copyfile(flash_file, board.folder / "flash.bin")
    board.plug()
    board.until(b"started 1")
    return board
