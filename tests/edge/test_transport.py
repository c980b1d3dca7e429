"""Transports: a socket, a pseudo terminal, a script; and the keys that set them up."""

import asyncio
import os
import pty
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial

from linli_core.errors import LinkClosed, LinkError, LinkTimeout
from linli_edge.config.table import ConfigErrors, reading
from linli_edge.transport import serial_line
from linli_edge.transport.memory import MemoryTransport
from linli_edge.transport.port_name import find_port, plugged_in, what_there_is
from linli_edge.transport.serial_line import Line, SerialTransport
from linli_edge.transport.settings import SerialSettings, TcpSettings, read_transport
from linli_edge.transport.tcp import Habits, TcpTransport
from linli_sim.jumping_loop import on_jumping_loop


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """Serve an echo that hangs up at the byte ``!``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            if b"!" in data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class TestTcp:
    async def test_bytes_go_and_come(self) -> None:
        async with echo_server() as port, TcpTransport("127.0.0.1", port) as transport:
            await transport.write(b"hello")
            assert await transport.read() == b"hello"
            await transport.write(b"!")
            assert await transport.read() == b""
            await transport.close()
            await transport.close()
            with pytest.raises(LinkClosed, match="not connected"):
                await transport.write(b"x")
            with pytest.raises(LinkClosed, match="not connected"):
                await transport.read()

    async def test_nobody_there(self, free_port: Callable[[], int]) -> None:
        port = free_port()
        with pytest.raises(LinkError, match=rf"^127\.0\.0\.1:{port}: no connection \(Connection refused\)$"):
            await TcpTransport("127.0.0.1", port).__aenter__()

    async def test_no_time_to_connect(self, free_port: Callable[[], int]) -> None:
        with pytest.raises(LinkTimeout, match="no connection within 0 s"):
            await TcpTransport("127.0.0.1", free_port(), connect_limit=0).__aenter__()


class TestHangingUp:
    """A server that answers each request with the same bytes and closes."""

    @asynccontextmanager
    async def server(self) -> AsyncIterator[int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    @on_jumping_loop
    async def test_the_next_write_connects_again(self) -> None:
        async with self.server() as port, TcpTransport("127.0.0.1", port, habits=Habits(hangs_up=True)) as transport:
            for word in (b"one", b"two", b"three"):
                await transport.write(word)
                assert await transport.read() == word
            assert transport.habits.hangs_up

    @on_jumping_loop
    async def test_a_closed_end_that_was_read_is_opened_again_too(self) -> None:
        async with self.server() as port, TcpTransport("127.0.0.1", port) as transport:
            await transport.write(b"one")
            assert await transport.read() == b"one"
            assert await transport.read() == b"", "nothing is outstanding: it may close"
            await transport.write(b"two")
            assert await transport.read() == b"two"

    @on_jumping_loop
    async def test_one_that_stays_is_not_waited_for_again(self) -> None:
        async with echo_server() as port:
            habits = Habits(hangs_up=True)
            async with TcpTransport("127.0.0.1", port, habits=habits) as transport:
                for word in (b"one", b"two"):
                    await transport.write(word)
                    assert await transport.read() == word
            assert not habits.hangs_up

    @on_jumping_loop
    async def test_one_that_closes_without_an_answer_is_closed(self) -> None:
        async with echo_server() as port, TcpTransport("127.0.0.1", port) as transport:
            await transport.write(b"!")
            assert await transport.read() == b""
            assert not transport.habits.hangs_up, "it never answered"


@dataclass
class Adapter:
    device: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None


FTDI = Adapter("/dev/ttyUSB3", 0x0403, 0x6001, "A50285BI")
CH340 = Adapter("/dev/ttyUSB4", 0x1A86, 0x7523)
TWIN = Adapter("/dev/ttyUSB5", 0x1A86, 0x7523)
BOARD = Adapter("/dev/ttyS0")


class TestPortNames:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("usb:0403:6001:A50285BI", "/dev/ttyUSB3"),
            ("usb:0403:6001", "/dev/ttyUSB3"),
            ("usb:1A86:7523", "/dev/ttyUSB4"),
            ("/dev/ttyS0", "/dev/ttyS0"),
            ("/dev/serial/by-id/usb-FTDI", "/dev/serial/by-id/usb-FTDI"),
        ],
    )
    def test_a_name_means_what_is_plugged_in(self, name: str, path: str) -> None:
        assert find_port(name, lambda: [BOARD, FTDI, CH340]) == path

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("usb:0403:6001:OTHER", "not plugged in; there is usb:0403:6001:A50285BI at /dev/ttyUSB3"),
            ("usb:1a86:7523", "may be any of usb:1a86:7523 at /dev/ttyUSB4, usb:1a86:7523 at /dev/ttyUSB5"),
        ],
    )
    def test_what_is_there_instead_is_told(self, name: str, text: str) -> None:
        with pytest.raises(LinkError, match=f"^{name}: {text}"):
            find_port(name, lambda: [BOARD, FTDI, CH340, TWIN])
        with pytest.raises(LinkError, match=r"there is no USB serial adapter$"):
            find_port(name, lambda: [BOARD])

    def test_a_pattern_must_fit_one_port(self, tmp_path: Path) -> None:
        pattern = str(tmp_path / "ttyUSB*")
        with pytest.raises(LinkError, match="no port is called so; is the adapter plugged in"):
            find_port(pattern)
        (tmp_path / "ttyUSB0").touch()
        assert find_port(pattern) == str(tmp_path / "ttyUSB0")
        (tmp_path / "ttyUSB1").touch()
        with pytest.raises(LinkError, match=r"may be any of .*ttyUSB0, .*ttyUSB1; name one"):
            find_port(pattern)

    def test_the_ports_of_this_machine_can_be_listed(self) -> None:
        assert all(port.device for port in plugged_in())

    def test_a_usb_name_is_checked_in_the_configuration(self) -> None:
        with (
            pytest.raises(ConfigErrors) as caught,
            reading({"transport": "serial", "path": "usb:ftdi"}, "links[0]") as link,
        ):
            read_transport(link)
        remedy = 'write vendor, product and serial number: "usb:0403:6001:A50285BI"'
        assert str(caught.value) == f'links[0].path: found "usb:ftdi"; {remedy}'


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """The master's descriptor and the slave's path of a pseudo terminal in raw mode."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    yield master, path
    try:
        os.close(master)
    except OSError:
        return


class TestSerial:
    async def test_bytes_go_and_come(self, terminal: tuple[int, str]) -> None:
        master, path = terminal
        async with SerialTransport(path, Line(19200, "even")) as transport:
            await transport.write(b"\x01\x03\x00")
            assert os.read(master, 100) == b"\x01\x03\x00"
            reading_ = asyncio.create_task(transport.read())
            os.write(master, b"\x01\x83")
            assert await reading_ == b"\x01\x83"

    async def test_a_read_that_is_given_up_loses_nothing(self, terminal: tuple[int, str]) -> None:
        master, path = terminal
        async with SerialTransport(path, Line()) as transport:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await transport.read()
            os.write(master, b"late")
            assert await transport.read() == b"late"

    async def test_an_unplugged_adapter_is_a_closed_line(self, terminal: tuple[int, str]) -> None:
        master, path = terminal
        async with SerialTransport(path, Line()) as transport:
            os.close(master)
            try:
                data = await transport.read()
            except LinkClosed as exc:
                assert "the port is gone" in str(exc)  # noqa: PT017
            else:
                assert data == b""
            await transport.close()
            with pytest.raises(LinkClosed, match="not open"):
                await transport.read()

    async def test_no_such_port(self) -> None:
        with pytest.raises(LinkError, match=r"^/dev/no-such-port: cannot be opened"):
            await SerialTransport("/dev/no-such-port", Line()).__aenter__()

    async def test_an_adapter_that_came_back_under_another_name_is_told_by_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serial_line, "what_there_is", lambda: what_there_is(lambda: [FTDI]))
        with pytest.raises(LinkError, match=r"/dev/ttyUSB99: cannot be opened .*; there is usb:0403:6001:A50285BI at"):
            await SerialTransport("/dev/ttyUSB99", Line()).__aenter__()

    async def test_one_that_is_pulled_while_it_is_opened_is_no_bug(
        self, terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(_: object) -> None:
            raise termios.error(5, "Input/output error")

        monkeypatch.setattr(serial.Serial, "reset_input_buffer", gone)
        with pytest.raises(LinkError, match="cannot be opened"):
            await SerialTransport(terminal[1], Line()).__aenter__()

    async def test_a_port_is_opened_once(self, terminal: tuple[int, str]) -> None:
        _, path = terminal
        async with SerialTransport(path, Line()):
            with pytest.raises(LinkError, match="cannot be opened"):
                await SerialTransport(path, Line()).__aenter__()

    def test_a_character_takes_its_bits(self) -> None:
        assert Line(9600, "even").character_time == pytest.approx(11 / 9600)
        assert Line(9600).character_time == pytest.approx(10 / 9600)


class TestMemory:
    async def test_the_script_answers_each_write(self) -> None:
        async with MemoryTransport([[b"a", b"b"], [b"c"]]) as transport:
            await transport.write(b"1")
            assert [await transport.read(), await transport.read()] == [b"a", b"b"]
            await transport.write(b"2")
            assert await transport.read() == b"c"
            assert transport.written == [b"1", b"2"]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await transport.read()
            transport.feed(b"d")
            transport.end()
            assert await transport.read() == b"d"
            assert await transport.read() == b""
        assert transport.closed
        with pytest.raises(LinkClosed):
            await transport.write(b"3")


class TestSettings:
    def test_tcp(self) -> None:
        with reading({"host": "h", "connect_timeout": "2 s"}, "links[0]") as link:
            settings = read_transport(link, port=502)
        assert settings == TcpSettings("h", 502, 2_000_000)
        assert settings.place == "tcp h:502"
        assert isinstance(settings.open(), TcpTransport)

    def test_serial(self) -> None:
        table = {"transport": "serial", "path": "/dev/ttyUSB0", "baud": 2400, "parity": "even"}
        with reading(table, "links[0]") as link:
            settings = read_transport(link, baud=9600)
        assert settings == SerialSettings("/dev/ttyUSB0", 2400, "even")
        assert settings.place == "/dev/ttyUSB0 2400 8E1"
        assert isinstance(settings.open(), SerialTransport)

    def test_a_key_of_the_other_transport_is_a_mistake(self) -> None:
        table = {"host": "h", "port": 1, "baud": 9600}
        with pytest.raises(ConfigErrors, match=r"links\[0\]\.baud: unknown key"), reading(table, "links[0]") as link:
            read_transport(link)
