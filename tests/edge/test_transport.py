"""Transports: a socket, a pseudo terminal, a script; and the keys that set them up."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from linli_core.errors import LinkClosed, LinkError, LinkTimeout
from linli_edge.config.table import ConfigErrors, reading
from linli_edge.transport.memory import MemoryTransport
from linli_edge.transport.serial_line import Line, SerialTransport
from linli_edge.transport.settings import SerialSettings, TcpSettings, read_transport
from linli_edge.transport.tcp import TcpTransport


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
