"""A board at the end of a cable: the unix port with a flash of its own, behind a pseudo-terminal that can be pulled.

What is at the other end is a serial port like any other: ``mpremote`` speaks to a real MicroPython there, with its raw
REPL, littlefs and soft reset. ``machine.reset()`` starts it again, and its port goes and comes meanwhile, as that of a
chip with USB of its own does.
"""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self

from linli_sim.nodes.vm import CheckFailed, part, unix
from linli_sim.waiting import PATIENCE

_DESKTOP: Final = part("desktop")
_RAW: Final = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY: Final = b">>> "
_CTRL_A: Final = b"\x01"
_CTRL_C: Final = b"\x03"
_LOCAL_FLAGS: Final = 3
_KEPT_S: Final = 1.0
_UNREAD_S: Final = 0.2
_BLANK: Final = b"ESP-ROM:esp32c3-api1-20210207\r\ninvalid header: 0xffffffff\r\n"
"""What an ESP32 without a program says again and again."""


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Let ``mpremote`` look ten times as often whether something came: a pseudo-terminal has no speed of its own."""
    from mpremote import transport_serial  # noqa: PLC0415 - only who speaks to boards has it

    patient = transport_serial.time
    quick = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 10))
    transport_serial.time = quick
    try:
        yield
    finally:
        transport_serial.time = patient


@dataclass
class PluggedBoard:
    """One board; ``with`` plugs it in, and pulls it out again. Its flash stays in its folder.

    Attributes:
        folder: Holds the flash and, while it is plugged in, ``port``.
        uid: The board's own name, in hex.
        blocks: How many blocks of 4 KB its flash has.
        wifi: Passwords of the networks in the air, by name.
        pins: What its inputs read, by number.
        ports: Where its own ports below 1024 are on this machine.
        is_blank: It has no MicroPython: it says what a chip's own loader says, and answers nothing.
        said: Everything it has said.
    """

    folder: Path
    uid: str = "d0d0"
    blocks: int = 256
    wifi: dict[str, str] = field(default_factory=dict)
    pins: dict[int, int] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    is_blank: bool = False
    said: bytearray = field(default_factory=bytearray, init=False)
    _machine: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _inner: int = field(default=-1, init=False)
    _outer: int = field(default=-1, init=False)
    _held: int = field(default=-1, init=False)
    _line: int = field(default=-1, init=False)
    _left: int = field(default=-1, init=False)
    _is_raw: bool = field(default=False, init=False)
    _hidden: bool = field(default=False, init=False)
    _is_up: bool = field(default=False, init=False)
    _kept: bytes = field(default=b"", init=False)
    _kept_until: float = field(default=0.0, init=False)
    _wake: tuple[int, int] = field(default=(-1, -1), init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _news: threading.Condition = field(default_factory=threading.Condition, init=False)

    @property
    def port(self) -> Path:
        """Return the port by which it is reached while it is plugged in."""
        return self.folder / "port"

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pull()

    def plug(self, *, pulled_after: int = -1) -> None:
        """Plug it in, which gives it power.

        Args:
            pulled_after: The cable is pulled when so many more bytes have come to the board; -1: it stays.
        """
        assert self._thread is None
        self.folder.mkdir(parents=True, exist_ok=True)
        self._left = pulled_after
        self._wake = os.pipe()
        self._is_raw = self._hidden = self._is_up = False
        self._kept = b""
        self._start(is_quiet=False)
        self._appear()
        self._thread = threading.Thread(target=self._carry, name=f"board {self.uid}", daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Pull the cable: port and power are gone."""
        if self._thread is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"x")
        self._thread.join()
        for end in self._wake:
            os.close(end)
        self._thread = None

    def _start(self, *, is_quiet: bool) -> None:
        if self.is_blank:
            self._is_up = True
            self._inner, self._line = pty.openpty()
            tty.setraw(self._line)
            return
        given = {
            "uid": self.uid, "flash": str(self.folder / "flash.bin"), "blocks": self.blocks, "quiet": is_quiet,
            "wifi": self.wifi, "ports": {str(port): there for port, there in self.ports.items()},
            "pins": {str(pin): level for pin, level in self.pins.items()},
        }  # fmt: skip
        environ = {
            **os.environ,
            "LINLI_BOARD": json.dumps(given),
            "LINLI_DESKTOP": str(_DESKTOP),
            "LINLI_STOCK": str(_DESKTOP / "stock"),
        }
        self._inner, self._line = pty.openpty()
        tty.setraw(self._line)
        modes = termios.tcgetattr(self._line)
        # Not the kernel but we turn Ctrl-C into an interrupt: a terminal that controls nobody does not.
        modes[_LOCAL_FLAGS] |= termios.ISIG
        termios.tcsetattr(self._line, termios.TCSANOW, modes)
        self._machine = subprocess.Popen(  # noqa: S603 - our own program
            [*unix().argv, "-i", str(_DESKTOP / "plugged.py")],
            stdin=self._line, stdout=self._line, stderr=self._line, env=environ, start_new_session=True,
        )  # fmt: skip

    def _appear(self) -> None:
        self._outer, self._held = pty.openpty()
        tty.setraw(self._held)
        os.set_blocking(self._outer, False)
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(os.ttyname(self._held))

    def _vanish(self) -> None:
        self.port.unlink(missing_ok=True)
        os.close(self._held)
        os.close(self._outer)

    def _stop(self) -> int:
        code = 0
        if self._machine is not None:
            self._machine.kill()
            code = self._machine.wait()
            self._machine = None
        os.close(self._inner)
        os.close(self._line)
        return code

    def _carry(self) -> None:
        """Carry bytes to and fro until the cable is pulled."""
        try:
            while self._left:
                ready, _, _ = select.select([self._wake[0], self._inner, self._outer], [], [], 0.02)
                if self._wake[0] in ready:
                    return
                if self._inner in ready:
                    self._from_machine(os.read(self._inner, 4096))
                elif self._machine is not None and self._machine.poll() is not None:
                    self._begin_again(self._machine.returncode)
                elif self._kept:
                    self._let_go()
                elif self._outer in ready and self._is_up:
                    self._to_machine(os.read(self._outer, 256))
        finally:
            self._vanish()
            self._stop()

    def _from_machine(self, data: bytes) -> None:
        with self._news:
            self.said += data
            self._news.notify_all()
        self._is_up = True
        tail = bytes(self.said[-64:])
        if self._hidden:
            # A start in raw mode: nobody sees the prompt that the desktop's port begins with.
            if tail.endswith(_FRIENDLY):
                os.write(self._inner, _CTRL_A)
            elif tail.endswith(_RAW + b">"):
                self._hidden = False
                self._say(_RAW + b">")
            return
        if _RAW in tail:
            self._is_raw = True
        elif tail.endswith(_FRIENDLY):
            self._is_raw = False
        self._say(data)

    def _say(self, data: bytes) -> None:
        """Say something to whoever is at the port; if nobody reads, it is lost, as on a real line."""
        while data:
            _, ready, _ = select.select([], [self._outer], [], _UNREAD_S)
            if not ready:
                return
            data = data[os.write(self._outer, data) :]

    def _to_machine(self, data: bytes) -> None:
        if self._left > 0:
            data = data[: self._left]
            self._left -= len(data)
        if self.is_blank:
            self._say(_BLANK)
            return
        if termios.tcgetattr(self._line)[_LOCAL_FLAGS] & termios.ISIG and _CTRL_C in data:
            assert self._machine is not None
            before, _, self._kept = data.partition(_CTRL_C)
            os.write(self._inner, before)
            self._machine.send_signal(signal.SIGINT)
            # What the port has not read yet it throws away when it comes back to its prompt: until then it waits here.
            self._kept_until = time.monotonic() + _KEPT_S
            return
        os.write(self._inner, data)

    def _let_go(self) -> None:
        if self.said.endswith((_FRIENDLY, b">")) or time.monotonic() > self._kept_until:
            data, self._kept = self._kept, b""
            self._to_machine(data)

    def _begin_again(self, code: int) -> None:
        """Go on after the machine has ended: a reset by its program, or a soft one by whoever is at the cable."""
        self._stop()
        self._is_up, self._kept = False, b""
        if code == -signal.SIGKILL:
            self._vanish()
            self._is_raw = self._hidden = False
            self._start(is_quiet=False)
            self._appear()
            return
        self._say(b"MPY: soft reboot\r\n")
        self._hidden = self._is_raw
        self._start(is_quiet=self._is_raw)

    def until(self, words: bytes, *, after: int = 0) -> None:
        """Return once it has said something more often than so; raise :class:`CheckFailed` if it does not."""
        with self._news:
            if not self._news.wait_for(lambda: self.said.count(words) > after, PATIENCE):
                raise CheckFailed(f"the board did not say {words!r}: {bytes(self.said[-400:])!r}")

    def files(self) -> dict[str, Any]:
        """Return sizes of what is on its flash, by path; it must not be plugged in."""
        return dict(self._look("files"))

    def read(self, path: str) -> bytes:
        """Return a file of its flash; it must not be plugged in."""
        return bytes.fromhex(self._look("read", path))

    def _look(self, what: str, path: str = "") -> Any:
        assert self._thread is None
        return unix().check("flash", [str(self.folder / "flash.bin"), self.blocks, what, path])
