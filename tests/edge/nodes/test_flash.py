"""``linli-edge node flash`` on a real MicroPython at the end of a cable, by the real mpremote."""

import fcntl
import json
import os
import shutil
import sys
import tty
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from linli_edge.cli import WRONG, main
from linli_edge.nodes import serial_board
from linli_edge.nodes.flashing import fits, read_image
from linli_edge.nodes.serial_board import Facts, facts
from linli_edge.nodes.trouble import BoardTrouble
from linli_sim.nodes.plugged import PluggedBoard

pytestmark = pytest.mark.system

FAILED = 1


def _flash(board: PluggedBoard, built: Path, *more: str) -> int:
    return main(
        [
            "node",
            "flash",
            "--port",
            str(board.port),
            "--build",
            str(built),
            "--labels",
            str(board.folder / "labels"),
            *more,
        ]
    )


def test_a_board_gets_its_program_and_starts_it(
    board: PluggedBoard, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board.plug()
    assert _flash(board, built, "--lang", "en") == 0
    told = capsys.readouterr().out
    assert f"{board.port}: linux" in told
    assert "program 7 (t) is on it; 8 of 8 files were sent" in told
    board.until(b"started 1")
    # Again: the loader's own start comes last and always; nothing else is sent.
    assert _flash(board, built, "--lang", "zh") == 0
    told += capsys.readouterr().out
    assert "传输 8 个文件中的 1 个" in told
    board.pull()
    files = board.files()
    assert set(files) == {
        "/main.py", "/label", "/lib/linli_loader.mpy", "/slot", "/a/manifest", "/a/linli_app/__init__.mpy",
        "/a/linli_app/start.mpy", "/a/linli_node/__init__.mpy", "/a/linli_node/crc.mpy", "/a/linli_node/errors.mpy",
        "/a/linli_node/slots.mpy",
    }  # fmt: skip
    assert board.read("/a/manifest") == (built / "manifest").read_bytes()
    # Its passphrase was made once, and stands on its label and nowhere else; only who printed it may read that.
    secret = board.read("/label").decode()
    label = board.folder / "labels" / "d0d0.html"
    assert f"<b>{secret}</b>" in label.read_text()
    assert label.stat().st_mode & 0o077 == 0
    assert secret not in told
    state = {"active": "a", "trial": None, "tries": 0, "number": 7}
    assert json.loads(board.read("/slot")[8:]) == state


@pytest.mark.parametrize("after", [3_000, 7_000])
def test_a_cable_that_is_pulled_leaves_a_board_that_can_be_flashed_again(
    after: int, board: PluggedBoard, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board.plug(pulled_after=after)
    assert _flash(board, built, "--lang", "en") == FAILED
    said = capsys.readouterr().err
    assert f"{board.port}: the board broke off" in said or "nothing is connected there" in said
    board.pull()
    board.plug()
    assert _flash(board, built) == 0
    board.until(b"started 1")


def test_a_full_flash_is_told_and_nothing_half_starts(
    tmp_path: Path, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PluggedBoard(tmp_path / "small", blocks=10) as board:
        assert _flash(board, built, "--lang", "en") == FAILED
        assert "the board's flash is full" in capsys.readouterr().err
        board.pull()
        assert "/main.py" not in board.files()
        board.plug()
        assert _flash(board, built, "--lang", "zh") == FAILED
        assert "闪存已满" in capsys.readouterr().err


def test_a_program_for_another_kind_of_board_is_not_sent(
    board: PluggedBoard, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(built, other)
    manifest = json.loads((other / "manifest").read_text())
    (other / "manifest").write_text(json.dumps({**manifest, "board": "esp32c3"}))
    board.plug()
    assert _flash(board, other, "--lang", "en") == FAILED
    assert "this board is a desktop, and the program was built for esp32c3" in capsys.readouterr().err
    (other / "files" / "linli_app" / "start.mpy").write_bytes(b"M")
    assert _flash(board, other) == WRONG
    assert "is not what was built" in capsys.readouterr().err
    board.pull()
    assert board.files() == {}


def test_a_board_without_micropython_is_told_what_comes_first(
    tmp_path: Path, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PluggedBoard(tmp_path / "blank", is_blank=True) as board:
        assert _flash(board, built, "--lang", "en") == FAILED
    assert f"esptool --port {board.port} write-flash 0 FILE.bin" in capsys.readouterr().err


def test_what_does_not_answer_is_told(tmp_path: Path, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leader, follower = os.openpty()
    try:
        tty.setraw(follower)
        (tmp_path / "ttyUSB0").symlink_to(os.ttyname(follower))
        port = str(tmp_path / "ttyUSB0")
        words = ["node", "flash", "--build", str(built), "--wait", "0.2", "--port"]
        assert main([*words, port, "--lang", "en"]) == FAILED
        assert "does not answer as MicroPython" in capsys.readouterr().err
        fcntl.flock(follower, fcntl.LOCK_EX)
        assert main([*words, port, "--lang", "zh"]) == FAILED
        assert "被其他程序占用" in capsys.readouterr().err
    finally:
        os.close(leader)
        os.close(follower)
    assert main([*words, str(tmp_path / "ttyACM0"), "--lang", "en"]) == FAILED
    assert "nothing is connected there" in capsys.readouterr().err


def test_who_may_not_use_the_port_is_told_how(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    # The superuser may everything: the system's answer stands in.
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != port)
    assert main(["node", "flash", "--build", str(built), "--port", str(port), "--lang", "en"]) == FAILED
    assert "sudo usermod -aG dialout $USER" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["mpremote", "mpremote.transport", "mpremote.transport_serial"])
def test_without_mpremote_it_is_told_how_to_install_it(
    missing: str, tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["node", "flash", "--build", str(built), "--port", str(tmp_path), "--lang", "en"]) == FAILED
    assert "pip install 'linli[nodes]'" in capsys.readouterr().err


def _port(device: str, vendor: int | None, serial: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vendor, serial_number=serial)


def test_the_only_board_need_not_be_named_and_no_line_of_meters_is_disturbed(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter, console = _port("/dev/ttyUSB0", 0x1A86, "A1"), _port("/dev/ttyS0", None)
    board, pico = _port("/dev/ttyACM0", 0x303A, "7C:2C:67"), _port("/dev/ttyACM1", 0x2E8A)
    there = [adapter, console]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    assert main(["node", "flash", "--build", str(built), "--lang", "en"]) == FAILED
    said = capsys.readouterr().err
    assert "no board is connected" in said
    assert "--port /dev/ttyUSB0" in said
    there.append(board)
    assert serial_board.only_port() == "/dev/ttyACM0"
    assert serial_board.ports() == {"/dev/ttyACM0": "7C:2C:67"}
    there.append(pico)
    assert main(["node", "flash", "--build", str(built), "--lang", "en"]) == FAILED
    assert "several boards are connected" in capsys.readouterr().err


WRONG_BOARDS: list[tuple[str, Facts]] = [
    ("unknown_kind", facts("esp8266", "ESP module", (1, 29, 0), 6, "aa", has_radio=True)),
    ("unknown_kind", facts("esp32", "Generic ESP32 module with ESP32", (1, 29, 0), 6, "aa", has_radio=True)),
    ("old", facts("esp32", "ESP32C3 module with ESP32C3", (1, 24, 9), 6, "aa", has_radio=True)),
    ("old", facts("esp32", "ESP32C3 module with ESP32C3", (1, 29, 0), 5, "aa", has_radio=True)),
    ("no_radio", facts("rp2", "Raspberry Pi Pico with RP2040", (1, 29, 0), 6, "aa", has_radio=False)),
    ("wrong_kind", facts("rp2", "Raspberry Pi Pico W with RP2040", (1, 29, 0), 6, "aa", has_radio=True)),
]


@pytest.mark.parametrize(("kind", "found"), WRONG_BOARDS)
def test_a_board_that_cannot_be_a_node_is_told(kind: str, found: Facts, built: Path) -> None:
    with pytest.raises(BoardTrouble) as caught:
        fits(found, "/dev/ttyACM0", read_image(built))
    assert caught.value.kind == kind
    assert "/dev/ttyACM0: " in caught.value.told("zh")


def test_kinds_of_boards_are_told_apart_by_what_they_say() -> None:
    for platform, machine, kind in (
        ("esp32", "ESP32C3 module with ESP32C3", "esp32c3"),
        ("esp32", "Generic ESP32S3 module with ESP32S3", "esp32s3"),
        ("rp2", "Raspberry Pi Pico W with RP2040", "rp2"),
    ):
        assert facts(platform, machine, (1, 29, 0), 6, "aa", has_radio=True).kind == kind
