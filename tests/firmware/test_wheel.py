"""Who installs the wheel has what a node's program is compiled from, and what runs nodes on a desktop."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from linli_edge.nodes.build import BOARDS, build, create_key, read_key
from linli_sim.nodes.vm import FIRMWARE

_INSIDE = {
    "lib": "linli_edge/nodes", "node": "linli_edge/nodes", "board": "linli_edge/nodes",
    "desktop": "linli_sim/nodes", "checks": "linli_sim/nodes",
}  # fmt: skip


def test_the_wheel_holds_the_firmware(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(FIRMWARE.parent)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/nodes/firmware/" in name]
        found = {name: archive.read(name) for name in names}
    wanted = {
        f"{package}/firmware/{source.relative_to(FIRMWARE)}": source.read_bytes()
        for part, package in _INSIDE.items()
        for source in (FIRMWARE / part).rglob("*.py")
    }
    assert {name: data for name, data in found.items() if name.endswith(".py")} == wanted


def test_a_program_is_the_same_bytes_for_every_board_and_its_manifest_says_for_which(tmp_path: Path) -> None:
    create_key(tmp_path / "key")
    key, programs = read_key(tmp_path / "key"), []
    for board in BOARDS:
        built = build(board, 1, key, tmp_path / board, "t")
        files = built.folder / "files"
        programs.append({str(path.relative_to(files)): path.read_bytes() for path in sorted(files.rglob("*.mpy"))})
    assert programs.count(programs[0]) == len(BOARDS)
    # MicroPython's format, version 6: no part of it is compiled for a processor.
    assert {(data[0], data[1], data[2] >> 2) for data in programs[0].values()} == {(ord("M"), 6, 0)}
