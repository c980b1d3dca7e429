"""Devices that talk unasked: the inbox between them and the polls, sockets that meters connect to, kept counters."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from linli_core.codecs.dlms import Item, Keys
from linli_core.codecs.dlms.ciphering import seal
from linli_core.errors import ChecksumError, ConfigError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.instant import SECOND, Instant
from linli_core.model import Point, Reading, quality_label
from linli_edge.ciphers import AES
from linli_edge.drivers.dlms import SPEC
from linli_edge.drivers.dlms.driver import DlmsDriver, open_link
from linli_edge.drivers.p1 import SPEC as P1
from linli_edge.drivers.p1.driver import P1Driver
from linli_edge.listening import Inbox, listening
from linli_edge.saved_state import SavedState
from linli_edge.timekeeping import wall_clock
from linli_edge.transport.memory import MemoryTransport
from linli_sim.dlms_push import described, hdlc, push, wrapped

TITLE = b"LNL\0\0\0\0\1"
KEYS = Keys(bytes(range(16)), bytes(range(16, 32)))


class Time:
    def __init__(self) -> None:
        self.now: Instant = 1_000 * SECOND

    def __call__(self) -> Instant:
        return self.now


def reading(name: str, value: int) -> Reading:
    return Reading(Point("m", name), value, 0)


def energy(value: int) -> bytes:
    return push(Item(1, (described("1-0:1.8.0", Item(6, value), 0, 30),)))


def test_of_each_point_the_newest_counts() -> None:
    inbox = Inbox({"m": 60 * SECOND}, Time())
    inbox.put("m", [reading("energy_import", 1), reading("voltage", 230)])
    inbox.put("m", [reading("energy_import", 2)])
    assert [(item.point.quantity, item.value) for item in inbox.take("m")] == [("voltage", 230), ("energy_import", 2)]
    assert inbox.take("m") == []
    assert (inbox.superseded, inbox.counters["m"].answers) == (1, 2)


def test_silence_is_told_after_its_patience_and_why() -> None:
    time = Time()
    inbox = Inbox({"m": 60 * SECOND}, time)
    time.now += 59 * SECOND
    assert inbox.take("m") == []
    time.now += SECOND
    with pytest.raises(LinkTimeout, match="nothing came for 60 s"):
        inbox.take("m")
    inbox.refuse("m", ChecksumError("the CRC is 1"))
    inbox.refuse("m", ProtocolError("no telegram"))
    inbox.refuse("m", ProtocolError("old", kind="replayed"))
    with pytest.raises(ProtocolError, match="the last: the CRC is 1"):
        inbox.take("m")
    counters = inbox.counters["m"]
    assert (counters.checksum, counters.malformed, counters.foreign, counters.timeouts) == (1, 1, 1, 2)
    inbox.put("m", [])
    assert inbox.take("m") == []


def test_a_clock_set_back_is_no_endless_patience() -> None:
    time = Time()
    inbox = Inbox({"m": 60 * SECOND}, time)
    time.now -= 3600 * SECOND
    assert inbox.take("m") == []
    time.now += 60 * SECOND
    with pytest.raises(LinkTimeout):
        inbox.take("m")


async def test_a_broken_line_is_told_after_what_came_before() -> None:
    transport = MemoryTransport()
    inbox = Inbox({"m": 60 * SECOND}, Time())

    async def work() -> None:
        while await transport.read():
            inbox.put("m", [reading("voltage", 1)])

    async with asyncio.timeout(5), listening(work, inbox, "test"):
        transport.feed(b"x")
        await inbox.first("m", 5)
        transport.end()
        assert len(inbox.take("m")) == 1
        await inbox.first("m", 5)
        with pytest.raises(LinkClosed):
            inbox.take("m")


async def test_first_does_not_wait_for_ever() -> None:
    inbox = Inbox({"m": 60 * SECOND}, Time())
    await inbox.first("m", 0)
    assert inbox.take("m") == []


def table(**keys: object) -> dict[str, object]:
    device = {"id": "m", "key": KEYS.encryption.hex(), "authentication_key": (KEYS.authentication or b"").hex()}
    return {"host": "127.0.0.1", "devices": [device], **keys}


@pytest.mark.parametrize("kind", ["tcp-listen", "udp-listen"])
async def test_meters_send_to_a_socket(kind: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    settings = SPEC.parse(table(transport=kind, port=port), "links[0]")
    message = wrapped(seal(energy(42), TITLE, 1, KEYS, AES))
    async with asyncio.timeout(10), open_link(settings, wall_clock) as driver:
        assert driver.port == port
        if kind == "tcp-listen":
            # A modem that breaks off in mid-message does no harm to the next.
            for part in (message[:20], message):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(part)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        else:
            with socket.socket(type=socket.SOCK_DGRAM) as sender:
                sender.sendto(message[:20], ("127.0.0.1", port))
                sender.sendto(message, ("127.0.0.1", port))
        (found,) = await driver.poll(driver.plan[0])
        assert found.value == 42
        second = SPEC.parse(table(transport="tcp-listen", port=port), "links[0]")
        if kind == "tcp-listen":
            with pytest.raises(LinkError, match="cannot listen"):
                async with open_link(second, wall_clock):
                    pass


async def test_counters_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "counters.json"

    def driver() -> DlmsDriver:
        return DlmsDriver(SPEC.parse(table(port=1, framing="wrapper", state=str(state)), "links[0]"), Time())

    before = driver()
    before.new_stream()(wrapped(seal(energy(1), TITLE, 7, KEYS, AES)))
    assert not state.exists(), "a message wears the card only once it is told"
    (reading,) = await before.poll(before.plan[0])
    assert reading.value == 1
    assert json.loads(state.read_text()) == {TITLE.hex(): 7}
    after = driver()
    after.new_stream()(wrapped(seal(energy(1), TITLE, 7, KEYS, AES)))
    assert after.errors == {"replayed": 1}
    after.new_stream()(wrapped(seal(energy(2), TITLE, 8, KEYS, AES)))
    assert after.inbox.take("m")[0].value == 2


@pytest.mark.parametrize(("accepted", "label"), [(False, "uncertain/configuration"), (True, "good")])
async def test_what_is_encrypted_and_not_proved_is_doubted(accepted: bool, label: str) -> None:
    device = {"id": "m", "key": KEYS.encryption.hex(), "encrypted_only": accepted}
    settings = SPEC.parse({"host": "h", "port": 1, "framing": "wrapper", "devices": [device]}, "links[0]")
    driver = DlmsDriver(settings, Time())
    sealed = bytearray(wrapped(seal(energy(0), TITLE, 1, Keys(KEYS.encryption), AES)))
    sealed[-7] ^= 0x01  # the value's last bit; scaler and unit are behind it
    driver.new_stream()(bytes(sealed))
    (found,) = driver.inbox.take("m")
    assert (found.value, quality_label(found.quality, found.reason)) == (1, label)


def test_both_ways_to_trust_are_a_mistake() -> None:
    device = {**table()["devices"][0], "encrypted_only": True}  # type: ignore[index]
    with pytest.raises(ConfigError, match="encrypted_only"):
        SPEC.parse({"host": "h", "port": 1, "devices": [device]}, "links[0]")


async def test_two_meters_whose_frames_collide_give_nothing() -> None:
    driver = DlmsDriver(SPEC.parse({"host": "h", "port": 1, "devices": [{"id": "m"}]}, "links[0]"), Time())
    one, two = hdlc(energy(1)), hdlc(energy(2))
    collided = bytes(first & second for first, second in zip(one, two, strict=True))
    take = driver.new_stream()
    take(one[:20] + two + collided)
    take(b"")
    assert [item.value for item in driver.inbox.take("m")] == [2]


async def test_strangers_and_swaps() -> None:
    def named(number: str, value: int) -> bytes:
        code_of = Item(2, (Item(9, bytes((0, 0, 96, 1, 0, 255))), Item(9, number.encode())))
        return hdlc(push(Item(1, (code_of, described("1-0:1.8.0", Item(6, value), 0, 30)))))

    driver = DlmsDriver(
        SPEC.parse(
            {"host": "h", "port": 1, "devices": [{"id": "a", "identity": "A1"}, {"id": "b", "identity": "B1"}]}, "x"
        ),
        Time(),
    )
    driver.new_stream()(named("B1", 2) + named("C1", 3) + hdlc(energy(9)))
    assert driver.inbox.take("a") == []
    assert [item.value for item in driver.inbox.take("b")] == ["B1", 2]
    assert (driver.inbox.strangers, driver.errors) == (2, {"stranger": 2})
    alone = DlmsDriver(SPEC.parse({"host": "h", "port": 1, "devices": [{"id": "a"}]}, "x"), Time())
    alone.new_stream()(named("A1", 1) + hdlc(energy(2)) + named("A2", 3))
    assert alone.swaps == 1


async def test_a_p1_meter_that_was_swapped() -> None:
    settings = P1.parse({"host": "h", "port": 1, "devices": [{"id": "m"}]}, "x")
    transport = MemoryTransport()
    driver = P1Driver(settings, transport, Time())
    for number in ("LINLI001", "LINLI001", "LINLI002"):
        transport.feed(f"/XXX5\r\n\r\n0-0:96.1.1({number.encode().hex()})\r\n!\r\n".encode())
    transport.end()
    await driver.listen()
    assert driver.swaps == 1


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1.5}', '{"a": true}', "{"])
def test_a_damaged_state_is_set_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    assert SavedState(path).load() == {}
    assert (tmp_path / "state.json.damaged").read_text() == content
    SavedState(path).save({"a": 1})
    assert SavedState(path).load() == {"a": 1}


def test_a_disk_that_refuses_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SavedState(tmp_path / "no" / "state.json").save({"a": 1})
    assert "cannot be written" in caplog.text
    SavedState(tmp_path).load()
    assert "cannot be read" in caplog.text


def test_a_key_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("00010203 04050607 08090A0B 0C0D0E0F\n")
    good = {"host": "h", "port": 1, "devices": [{"id": "m", "key_file": str(tmp_path / "key")}]}
    assert P1.parse(good, "x").keys.encryption == bytes(range(16))
    for device in ({"key_file": str(tmp_path / "none")}, {"key": "00", "key_file": "x"}, {"key": "0" * 31 + "g"}):
        with pytest.raises(ConfigError) as caught:
            P1.parse({"host": "h", "port": 1, "devices": [{"id": "m", **device}]}, "x")
        assert "0" * 31 not in str(caught.value)
