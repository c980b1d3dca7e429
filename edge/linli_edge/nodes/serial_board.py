"""A board at a serial port, through ``mpremote``: what it is, what lies on it, what it is to do.

``mpremote`` is the MicroPython project's own tool (``pip install 'linli[nodes]'``). Its library says of itself that it
will change, so it is pinned, and nothing else imports it. Whatever is sent goes over the port, never into a command
line, a log or an error: it may be a key.

Whoever speaks to a board keeps its watchdog fed; if the cable is pulled, the watchdog starts the board's own program
again, and nobody has to.
"""

import ast
import base64
import contextlib
import glob
import hashlib
import io
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from serial.tools import list_ports

from linli_edge.nodes.trouble import LAST_WORDS, BoardTrouble

MAKERS: Final = frozenset({0x303A, 0x2E8A})
"""USB vendors of chips that are boards: Espressif, Raspberry Pi. Another may be an adapter with meters on it."""
LONGEST_LINE: Final = 4096
WAIT_S: Final = 8.0
"""Seconds a board may take to appear and to answer: one with USB of its own is gone while it starts."""

_BAUD: Final = 115200
_PIECE: Final = 2048
"""Bytes of a file that go over at once: four thirds of them, as text, fit the smallest board."""
_ANSWER_S: Final = 5.0
_TRY_S: Final = 2.0
_LONGEST_S: Final = 20.0
_LOADERS: Final = ("invalid header", "waiting for download", "ESP-ROM", "ets Jul", "rst:0x")
"""What an ESP32 says by itself, without a program."""

# What every step on the board uses. The RP2040's watchdog counts no further than 8.4 s.
_BEGIN: Final = """
import sys, os, machine, binascii, hashlib, gc
_w = machine.WDT(timeout=8000 if sys.platform == "rp2" else 60000)
def _digest(path):
    found, buffer = hashlib.sha256(), bytearray(512)
    try:
        with open(path, "rb") as file:
            while True:
                count = file.readinto(buffer)
                if not count:
                    return binascii.hexlify(found.digest()).decode()
                found.update(memoryview(buffer)[:count])
    except OSError:
        return ""
def _remove(path):
    try:
        for each in os.listdir(path):
            _remove(path + "/" + each)
        os.rmdir(path)
    except OSError:
        try:
            os.remove(path)
        except OSError:
            pass
"""
_FACTS: Final = """
try:
    import network
    _radio = hasattr(network, "WLAN")
except ImportError:
    _radio = False
try:
    import tls
    _shares = hasattr(tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), "psk_identity")
except (ImportError, AttributeError):
    _shares = False
_i = sys.implementation
print(repr((sys.platform, getattr(_i, "_machine", ""), tuple(_i.version[:3]), getattr(_i, "_mpy", 0) & 0xff,
    binascii.hexlify(machine.unique_id()).decode(), _radio, _shares)))
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a board is.

    Attributes:
        uid: Its own name, from the chip.
        kind: As ``linli-edge node build`` calls it; empty for one that no program is built for.
        machine: As its firmware calls it.
        version: MicroPython's.
        mpy: Version of compiled modules it takes.
        has_radio: Whether it has Wi-Fi.
        shares_keys: Whether its firmware speaks TLS with shared keys.
    """

    uid: str
    kind: str
    machine: str
    version: tuple[int, ...]
    mpy: int
    has_radio: bool
    shares_keys: bool = False

    @property
    def release(self) -> str:
        """MicroPython's version, for people."""
        return ".".join(map(str, self.version))


def ports(patterns: Sequence[str] = ()) -> dict[str, str]:
    """Return the ports at which there may be a board, each with what its USB chip calls itself where that is known.

    Without patterns only those of :data:`MAKERS`: whatever is sent to another may go to a line of meters.
    """
    known = {port.device: port for port in list_ports.comports()}
    if patterns:
        found = {port for pattern in patterns for port in glob.glob(pattern)}  # noqa: PTH207 - whole paths
    else:
        found = {device for device, port in known.items() if port.vid in MAKERS}
    return {port: (known[port].serial_number or "") if port in known else "" for port in sorted(found)}


def only_port() -> str:
    """Return the one port at which there is a board.

    Raises:
        BoardTrouble: There is none, or more than one.
    """
    found = ports()
    if len(found) > 1:
        raise BoardTrouble("several", ", ".join(found))
    for port in found:
        return port
    raise BoardTrouble("none", "USB")


def facts(
    platform: str, machine: str, version: tuple[int, ...], mpy: int, uid: str, has_radio: bool, shares: bool = False
) -> Facts:
    """Return what a board is, by what its MicroPython says."""
    chip = machine.upper()
    if platform == "esp32":
        kind = "esp32s3" if "S3" in chip else "esp32c3" if "C3" in chip else ""
    else:
        kind = {"rp2": "rp2", "linux": "desktop"}.get(platform, "")
    return Facts(uid, kind, machine, version, mpy, has_radio, shares)


def _mpremote(port: str) -> tuple[Any, Any]:  # Any: mpremote has no types
    """Return the class of its transport, and of its errors."""
    try:
        from mpremote.transport import TransportError  # noqa: PLC0415 - not every gateway flashes nodes
        from mpremote.transport_serial import SerialTransport  # noqa: PLC0415 - as above
    except ImportError as exc:
        raise BoardTrouble("no_mpremote", port) from exc
    return SerialTransport, TransportError


def _transport(port: str) -> Any:
    transport, error = _mpremote(port)
    if "://" not in port:
        if not Path(port).exists():
            raise BoardTrouble("absent", port)
        if not os.access(port, os.R_OK | os.W_OK):
            raise BoardTrouble("forbidden", port)
    try:
        # Told on standard output otherwise.
        with contextlib.redirect_stdout(io.StringIO()):
            return transport(port, baudrate=_BAUD, timeout=_ANSWER_S)
    except (error, OSError) as exc:
        raise BoardTrouble("busy" if _is_there(port) else "absent", port) from exc


def _interrupted(port: str, until: float) -> Any:
    """Return a transport whose board listens; tried until then, for a board may be starting, or just awake."""
    _, error = _mpremote(port)
    said = io.StringIO()
    try:
        transport = _transport(port)
        try:
            with contextlib.redirect_stdout(said):
                transport.enter_raw_repl(timeout_overall=max(0.5, min(_TRY_S, until - time.monotonic())))
        except BaseException:
            _close(transport)
            raise
    except (error, OSError) as exc:
        heard = said.getvalue()
        if any(word in heard for word in _LOADERS):
            raise BoardTrouble("blank", port) from exc
        raise BoardTrouble("silent" if _is_there(port) else "absent", port) from exc
    return transport


def _is_there(port: str) -> bool:
    return "://" in port or Path(port).exists()


def _close(transport: Any) -> None:
    with contextlib.suppress(OSError):
        transport.close()
    with contextlib.suppress(OSError):
        # mpremote sets lines first that a port which is gone does not have.
        transport.serial.close()


class SerialBoard:
    """One board, interrupted: its program does not run until :meth:`restart`, or until its watchdog bites.

    Attributes:
        port: Where it is.
        facts: What it is.
    """

    def __init__(self, transport: Any, port: str) -> None:
        self._transport = transport
        self._folders: set[str] = set()
        self.port = port
        self.run(_BEGIN)
        self.facts = facts(*self.ask(_FACTS))

    @classmethod
    def connect(cls, port: str, wait_s: float = WAIT_S) -> Self:
        """Interrupt the board at a port.

        Args:
            port: Its name, or a URL of pyserial's.
            wait_s: How long it may take to appear and to answer.

        Raises:
            BoardTrouble: Nothing is there, nobody may use it, or what is there does not answer.
        """
        until = time.monotonic() + wait_s
        while True:
            try:
                return cls(_interrupted(port, until), port)
            except BoardTrouble as trouble:
                passing = trouble.kind in {"absent", "busy", "silent", "broke_off"}
                if not passing or time.monotonic() >= until:
                    raise
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BoardTrouble) and error.kind != "broke_off":
            # What was refused changes nothing: it goes on with what it did, and not only when its watchdog bites.
            self.restart()
        else:
            self.close()

    def close(self) -> None:
        """Let go of the port."""
        _close(self._transport)

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        from mpremote.transport import TransportError, TransportExecError  # noqa: PLC0415 - see _transport

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as exc:
            # The board's own words, which hold nothing of what was sent.
            lines = str(exc.error_output).strip().splitlines() or ["?"]
            kind = "full" if "ENOSPC" in lines[-1] or lines[-1] == "OSError: 28" else "program"
            raise BoardTrouble(kind, self.port, said=lines[-1][:LAST_WORDS]) from None
        except (TransportError, OSError, struct.error, ValueError, SyntaxError):
            raise BoardTrouble("broke_off", self.port) from None

    def run(self, code: str, limit_s: float = _LONGEST_S) -> str:
        """Have the board run something and return what it prints.

        Raises:
            BoardTrouble: It ended with an error, or the board is gone.
        """
        with self._speaking():
            said, error = self._transport.exec_raw(code, timeout=limit_s)
            if error:
                from mpremote.transport import TransportExecError  # noqa: PLC0415 - see _transport

                raise TransportExecError(said, error.decode(errors="replace"))
            return str(said.decode("utf-8", "replace"))

    def ask(self, code: str, limit_s: float = _LONGEST_S) -> Any:
        """Return what the board prints, as Python's own literals."""
        said = self.run(code, limit_s)
        with self._speaking():
            return ast.literal_eval(said.strip())

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of files in hex, empty where there is none."""
        names = json.dumps(list(paths))
        return dict(self.ask(f"_d = {{}}\nfor _p in {names}:\n _w.feed()\n _d[_p] = _digest(_p)\nprint(repr(_d))"))

    def write(self, path: str, content: bytes) -> None:
        """Write a file, beside the one of that name until it is whole and was read back.

        Raises:
            BoardTrouble: It is not what was written, or there is no room for it.
        """
        self.write_beside(path, content)
        self.take_over(path)

    def write_beside(self, path: str, content: bytes) -> None:
        """Write what is to be a file into ``<path>.new``, and read it back."""
        self._make_folders(path)
        fresh = f"{path}.new"
        step = f"_w.feed()\n_f = open({fresh!r}, 'wb')\n"
        try:
            for start in range(0, len(content), _PIECE):
                piece = base64.b64encode(content[start : start + _PIECE])
                self.run(f"{step}_f.write(binascii.a2b_base64({piece!r}))")
                step = "_w.feed()\n"
            read_back = self.ask(f"{step}_f.close()\nprint(repr(_digest({fresh!r})))")
        except BoardTrouble as trouble:
            if trouble.kind == "full":
                self._drop(fresh)
            raise
        if read_back != hashlib.sha256(content).hexdigest():
            raise BoardTrouble("worn", self.port, path=path)

    def take_over(self, *paths: str) -> None:
        """Put what was written beside files into their places, all of them in one go."""
        self.run("\n".join(f"os.rename({path + '.new'!r}, {path!r})" for path in paths))

    def _make_folders(self, path: str) -> None:
        folder = ""
        for part in path.strip("/").split("/")[:-1]:
            folder += f"/{part}"
            if folder not in self._folders:
                self.run(f"try:\n os.mkdir({folder!r})\nexcept OSError:\n pass")
                self._folders.add(folder)

    def _drop(self, path: str) -> None:
        """Make room again: a file that is open counts as well."""
        with contextlib.suppress(BoardTrouble):
            self.run("_f.close()")
        with contextlib.suppress(BoardTrouble):
            self.run(f"_remove({path!r})")

    def remove(self, *paths: str) -> None:
        """Remove files, and folders with what is in them."""
        self._folders.clear()
        if paths:
            self.run("\n".join(f"_w.feed()\n_remove({path!r})" for path in paths))

    def restart(self) -> None:
        """Start the board again, as when its power comes; what was said to it before is over."""
        with contextlib.suppress(BoardTrouble), self._speaking():
            self._transport.exec_raw_no_follow("machine.reset()")
        self.close()


def follow(port: str, wait_s: float = WAIT_S) -> Iterator[str]:
    """Yield the lines that a board says by itself, for ever; its program is not disturbed.

    Raises:
        BoardTrouble: The port is gone for longer than it may take, or nobody may use it.
    """
    gone_at = time.monotonic()
    while True:
        try:
            transport = _transport(port)
        except BoardTrouble as trouble:
            if trouble.kind == "forbidden" or time.monotonic() - gone_at > wait_s:
                raise
            time.sleep(0.1)
            continue
        try:
            yield from _lines(transport.serial)
        except OSError:
            # It starts again, or sleeps: a chip with USB of its own takes its port along.
            gone_at = time.monotonic()
        finally:
            _close(transport)


def _lines(serial: Any) -> Iterator[str]:
    held = b""
    while True:
        held += serial.read(max(1, serial.in_waiting))
        *lines, held = held[-LONGEST_LINE:].split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
