"""The radio driver: texts in, readings out, by meter; keys, duplicates, silence; lines, files and a real broker."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.edge.radio import CONVERTER, KEY, NOW, WATER, Air, link, named, volume

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_compact,
    encode_derived,
    encode_plain,
    encode_session,
)
from linli_core.codecs.wmbus.frame import Checksums, add_checksums
from linli_core.errors import ConfigError, LinkClosed, LinkError, ProtocolError, Unheard
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_edge.ciphers import AES
from linli_edge.drivers.wmbus import SPEC
from linli_edge.drivers.wmbus.driver import WmbusDriver
from linli_edge.drivers.wmbus.lines import LONGEST, parse_text
from linli_edge.drivers.wmbus.memory import Memory
from linli_edge.drivers.wmbus.settings import LinkSettings
from linli_edge.drivers.wmbus.source import lines
from linli_edge.transport.memory import MemoryTransport
from linli_sim.processes import free_port
from linli_sim.waiting import eventually


async def test_a_poll_collects_what_has_come_since_the_last_one() -> None:
    air = Air(link())
    assert await air.collect() == [], "nothing was heard yet, and nothing is missing yet"
    air.send(encode_plain(Meter(WATER, 1), volume(1000)), 10)
    air.send(encode_plain(Meter(WATER, 2), volume(1001)), 16)
    readings = await air.collect()
    assert named(readings) == {"water_volume": Decimal("1.001"), "meter_status": "00", "battery_low": False}
    assert {reading.observed_at for reading in readings} == {NOW + 26 * SECOND}, "stamped when the telegram came"
    assert await air.collect() == []
    points = [point.local_name for point in air.driver.plan[0].points]
    assert points == ["water_volume", "meter_identity", "meter_status", "battery_low"]


async def test_a_meter_that_is_not_heard_for_too_long_is_stale() -> None:
    air = Air(link('id = "water"\nmeter = "12345678"\nmax_age = "1 h"'))
    air.send(encode_plain(Meter(WATER, 1), volume(1000)))
    await air.collect()
    air.now += HOUR
    assert await air.collect() == []
    air.now += SECOND
    with pytest.raises(Unheard, match=r"no telegram for 3601 s \(max_age 3600 s\)"):
        await air.collect()
    air.send(encode_plain(Meter(WATER, 2), volume(1001)))
    assert "water_volume" in named(await air.collect())


async def test_battery_and_status_are_points() -> None:
    air = Air(link())
    air.send(encode_plain(Meter(WATER, 1, status=0x04), volume(1000)))
    assert named(await air.collect())["battery_low"] is True
    assert air.driver.counters()["water"].as_dict()["answers"] == 1


async def test_a_telegram_through_a_repeater_counts_once() -> None:
    air = Air(link())
    data = encode_plain(Meter(WATER, 1), volume(1000))
    air.send(data)
    air.send(data, 3)
    assert air.totals == {"read": 1, "duplicate": 1}
    assert next(iter(air.settings.memory.heard.values())).count == 2


@pytest.mark.parametrize(
    "data",
    [
        encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY),
        encode_derived(Meter(WATER, 1), volume(1000), AES, KEY, 7),
        encode_session(Meter(WATER, 1), b"\x78" + volume(1000), AES, KEY, 7),
    ],
    ids=["mode 5", "mode 7", "session"],
)
async def test_a_wrong_key_gives_no_values_and_is_counted_by_meter(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    right = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    right.send(data)
    assert named(await right.collect())["water_volume"] == Decimal("1.000")
    wrong = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{bytes(16).hex()}"'))
    none = Air(link())
    for air in (wrong, none):
        with caplog.at_level(logging.WARNING):
            air.send(data)
            air.send(data)
        for _ in range(2):
            with pytest.raises(ProtocolError) as caught:
                await air.collect()
            assert caught.value.kind == "key"
        (heard,) = air.settings.memory.heard.values()
        assert heard.key_errors == 2
        assert air.driver.counters()["water"].malformed == 2
    assert sum("a telegram gives no readings" in record.message for record in caplog.records) == 2
    assert KEY.hex() not in caplog.text.lower()


async def test_a_plain_telegram_of_a_meter_with_a_key_is_not_believed() -> None:
    data = encode_plain(Meter(WATER, 1), volume(999999))
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    air.send(data)
    with pytest.raises(ProtocolError, match="in plain, and the meter has a key"):
        await air.collect()
    trusting = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"\nplain = true'))
    trusting.send(data)
    assert named(await trusting.collect())["water_volume"] == Decimal("999.999")


async def test_one_spoilt_telegram_among_good_ones_is_no_fault() -> None:
    air = Air(link('id = "water"\nmeter = "12345678"\nmax_age = "1 h"'))
    spoilt = encode_plain(Meter(WATER, 2), volume(1001)[:-1])
    air.send(encode_plain(Meter(WATER, 1), volume(1000)))
    air.send(spoilt, 20)
    assert named(await air.collect())["water_volume"] == Decimal("1.000")
    air.send(spoilt, 20)
    assert await air.collect() == []
    air.send(spoilt, 3600)
    with pytest.raises(ProtocolError, match="a record wants 1 bytes more"):
        await air.collect()
    assert air.driver.counters()["water"].malformed == 3


async def test_what_stands_in_plain_behind_the_encrypted_part_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    sealed = encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY)
    forged = sealed[1:] + volume(999999, storage=1)
    forged = bytes((len(forged),)) + forged
    device = f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'
    air = Air(link(device))
    for seconds in (0, 60):
        air.send(forged, seconds)
    found = named(await air.collect())
    assert found == {"water_volume": Decimal("1.000"), "meter_status": "00", "battery_low": False}
    assert air.totals == {"read": 2, "unproved": 2}
    assert sum("behind the encrypted part" in record.message for record in caplog.records) == 1
    trusting = Air(link(f"{device}\nplain = true"))
    trusting.send(forged)
    assert named(await trusting.collect())["water_volume.s1"] == Decimal("999.999")


async def test_a_forgery_hides_no_telegram() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    air.send(encode_plain(Meter(WATER, 1), volume(999999)))
    air.send(encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY), 1)
    assert named(await air.collect())["water_volume"] == Decimal("1.000")


async def test_a_stranger_teaches_no_format() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    air.send(encode_plain(Meter(WATER, 9), volume(1)))
    air.send(encode_plain(Meter(Identity("87654321", "LIN", 1, 7), 9), volume(1)))
    with pytest.raises(ProtocolError, match="in plain"):
        await air.collect()
    air.send(encode_session(Meter(WATER, 1), encode_compact(volume(1001)), AES, KEY, 1))
    with pytest.raises(ProtocolError, match="no full frame"):
        await air.collect()


async def test_the_first_poll_waits_a_while_for_first_words() -> None:
    settings = link('id = "water"\nmeter = "12345678"\n\nid = "absent"\nmeter = "11111111"')
    settings.memory.first_wait = 0.05
    driver = WmbusDriver(settings, lambda: NOW)
    water, absent = driver.plan
    waiting = asyncio.create_task(driver.poll(water))
    await asyncio.sleep(0)
    texts = MemoryTransport()
    texts.feed(encode_plain(Meter(WATER, 1), volume(1000)).hex().encode() + b"\n")
    texts.end()
    await driver.listen(lines(texts, settings.memory))
    assert named(await waiting)["water_volume"] == Decimal("1.000")
    with pytest.raises(LinkClosed):
        await driver.poll(absent)
    still = WmbusDriver(settings, lambda: NOW)
    assert await still.poll(absent) == []
    assert settings.memory.first_wait == 0


async def test_a_compact_frame_is_read_once_the_full_one_was_heard() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    records = volume(1000) + volume(900, storage=1)
    compact = encode_compact(volume(1001) + volume(900, storage=1))
    air.send(encode_session(Meter(WATER, 1), compact, AES, KEY, 1))
    with pytest.raises(ProtocolError, match="no full frame with signature"):
        await air.collect()
    air.send(encode_session(Meter(WATER, 2), b"\x78" + records, AES, KEY, 2))
    air.send(encode_session(Meter(WATER, 3), compact, AES, KEY, 3))
    assert named(await air.collect()) == {"water_volume": Decimal("1.001"), "water_volume.s1": Decimal("0.900")}


async def test_meters_that_are_not_wanted_are_remembered() -> None:
    air = Air(link())
    other = Identity("87654321", "ABC", 0x02, 0x04)
    air.driver.hearing.hear(
        f'{{"telegram": "{encode_cbc(Meter(other, 1), volume(1), AES, KEY).hex()}", "rssi": -71.5}}', NOW
    )
    (heard,) = air.settings.memory.heard.values()
    assert (heard.identity, heard.rssi, heard.protection, heard.count) == (other, -71.5, "mode 5", 1)
    assert await air.collect() == []


async def test_a_meter_behind_a_radio_module_is_known_by_its_own_number() -> None:
    air = Air(link())
    air.send(encode_plain(Meter(WATER, 1, module=Identity("00000042", "MOD", 3, 0x37)), volume(1000)))
    assert named(await air.collect())["water_volume"] == Decimal("1.000")


async def test_a_converter_is_told_what_its_meter_meters() -> None:
    for head, name in (("", "mbus_record"), ('\nmeters = "hot_water"', "hot_water_volume")):
        air = Air(link(f'id = "water"\nmeter = "12345678"{head}'))
        air.send(encode_plain(Meter(CONVERTER, 1), volume(1000)))
        assert name in named(await air.collect())


async def test_a_meter_has_a_thousand_points_at_most() -> None:
    air = Air(link())
    for number in range(60):
        records = b"".join(volume(1, storage=number * 20 + place) for place in range(20))
        air.send(encode_plain(Meter(WATER, number), records), 20)
    assert len(air.driver.plan[0].points) == 1024
    assert air.totals["too_many_points"] == 60 * 20 + 3 - 1024


@pytest.mark.parametrize(
    ("said", "rssi"), [("-71", -71), ("1e999", None), ("true", None), ("-900", None), ('"x"', None)]
)
def test_a_signal_strength_is_one_or_none(said: str, rssi: float | None) -> None:
    try:
        heard = parse_text(f'{{"telegram": "{encode_plain(Meter(WATER, 1), volume(1)).hex()}", "rssi": {said}}}')
    except ProtocolError:
        assert rssi is None
        return
    assert heard is not None
    assert heard.rssi == rssi


async def test_what_was_heard_outlives_the_line() -> None:
    air = Air(link())
    air.send(encode_plain(Meter(WATER, 1), volume(1000)))
    again = WmbusDriver(air.settings, lambda: air.now)
    assert named(await again.poll(again.plan[0]))["water_volume"] == Decimal("1.000")
    assert [point.local_name for point in SPEC.plan(air.settings)[0].points][:1] == ["water_volume"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hello", "no_telegram"),
        ("T1;1;1;now;97;148;12345678;none", "no_telegram"),
        ("T1;0;1;now;97;148;12345678;0x2E44", "checksum"),
        ('{"telegram": 7}', "no_telegram"),
        ("{", "no_telegram"),
        ("[" * 2000, "no_telegram"),
        ('{"a":' + "[" * 4000, "no_telegram"),
        ("2E4493", "truncated"),
        ("00" * 400, "too_long"),
        ("b" * (LONGEST + 1), "too_long"),
        ("É" * 20, "no_telegram"),
    ],
)
async def test_what_is_no_telegram_is_counted(text: str, kind: str) -> None:
    air = Air(link())
    air.driver.hearing.hear(text, NOW)
    assert air.totals == {kind: 1}


def test_lines_of_every_receiver_give_the_telegram() -> None:
    bare = encode_plain(Meter(WATER, 1), volume(1000))
    in_a, in_b = add_checksums(bare, Checksums.A), add_checksums(bare, Checksums.B)
    for text, data, checksums in (
        (f"T1;1;1;2026-11-25 08:00:00.000;97;148;12345678;0x{bare.hex()}", bare, Checksums.NONE),
        (f"b{in_a.hex().upper()}8039", in_a, None),
        (f"bY{in_b.hex().upper()}", in_b, Checksums.B),
        (f"  {bare.hex(' ')}\r", bare, None),
        (f"0x{in_a.hex()}", in_a, None),
        (f'{{"raw": "{bare.hex()}"}}', bare, None),
        (bare.hex() + "4f", bare, None),
    ):
        heard = parse_text(text)
        assert heard is not None
        assert (heard.data, heard.checksums) == (data, checksums), text
    assert parse_text("# a comment") is None
    assert parse_text("  \n") is None
    named_field = parse_text(f'{{"m": "{bare.hex()}", "rssi": -60}}', "m")
    assert named_field is not None
    assert named_field.rssi == -60


async def test_lines_in_chunks_of_any_size_and_one_without_an_end() -> None:
    memory = Memory()
    transport = MemoryTransport()
    transport.feed(b"fir", b"st\nsec", b"ond\r\n", b"x" * 3000, b"x" * 3000, b"x" * 3000 + b"\nthird\n")
    transport.end()
    texts = lines(transport, memory)
    assert [(await anext(texts)).strip() for _ in range(3)] == ["first", "second", "third"]
    with pytest.raises(LinkClosed, match="the receiver closed the line"):
        await anext(texts)
    assert memory.totals["endless_line"] == 1


@asynccontextmanager
async def opened(settings: LinkSettings) -> AsyncIterator[WmbusDriver]:
    context: AbstractAsyncContextManager[Any] = SPEC.open(settings, lambda: NOW)
    async with context as driver:
        yield driver


async def until(driver: WmbusDriver, total: str) -> None:
    async def counted() -> int:
        return driver.hearing.memory.totals[total]

    await eventually(counted, total)


async def test_lines_over_tcp_and_an_end_that_the_next_poll_tells() -> None:
    data = encode_plain(Meter(WATER, 1), volume(1000))

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"T1;1;1;now;97;148;12345678;0x{data.hex()}\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, opened(link(head=f'host = "127.0.0.1"\nport = {port}')) as driver:
        await until(driver, "read")

        async def broken() -> LinkError | None:
            return driver._broken

        await eventually(broken, "the end of the line")
        with pytest.raises(LinkError, match="the receiver closed the line"):
            await driver.poll(driver.plan[0])


async def test_a_recorded_file_is_read_once(tmp_path: Path) -> None:
    data = encode_plain(Meter(WATER, 1), volume(1000))
    file = tmp_path / "heard.txt"
    file.write_text(f"# recorded\n{data.hex()}\n\nnonsense\n")
    settings = link(head=f'transport = "file"\npath = "{file}"')
    for _ in range(2):
        async with opened(settings) as driver:
            await until(driver, "no_telegram")
    assert dict(settings.memory.totals) == {"read": 1, "no_telegram": 1}


MISTAKES = {
    'id = "water"': "meter: missing; write a text in quotes",
    'id = "water"\nmeter = "1234"': (
        'meter: found "1234"; write the 8 digits printed on the meter (F for any digit), or all 16 digits as '
        "linli-edge wmbus listen shows them"
    ),
    'id = "water"\nmeter = "12345678"\nkey = "00112233"': (
        "key: a key of 4 bytes, 16 are wanted; write the 32 hexadecimal digits that the meter's supplier gave"
    ),
    'id = "water"\nmeter = "12345678"\nkey = "secret"': (
        "key: 6 characters that are no hexadecimal bytes; write the 32 hexadecimal digits "
        "that the meter's supplier gave"
    ),
}


def test_a_meter_can_be_wanted_once() -> None:
    with pytest.raises(ConfigError) as caught:
        link('id = "water"\nmeter = "12345678"\n\nid = "other"\nmeter = "12345678"')
    place = "links[0].devices[1].meter: the meter is that of links[0].devices[0]; correct one of the two"
    assert str(caught.value) == place


@pytest.mark.parametrize(("devices", "told"), MISTAKES.items())
def test_mistakes_are_told_with_place_and_remedy(devices: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        link(devices)
    assert str(caught.value) == f"links[0].devices[0].{told}"


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ('transport = "mqtt"\nhost = "b"', "links[0].topic: missing"),
        ('transport = "mqtt"\nhost = "b"\ntopic = "t"\npassword = "p"', "links[0].password: a secret in the config"),
        ('transport = "file"\npath = "/nowhere/at/all"', "links[0].path: no file at /nowhere/at/all"),
        ('transport = "pigeon"', 'links[0].transport: found \'pigeon\'; write "tcp", "serial", "mqtt" or "file"'),
    ],
)
def test_mistakes_of_the_source_too(head: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        link(head=head)
    assert told in str(caught.value)


def test_keys_in_a_file_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# meters of house 3\n12345678 {KEY.hex()}\n")
    file.chmod(0o600)
    settings = link(head=f'host = "h"\nport = 1\nkeys_file = "{file}"')
    assert settings.devices[0].key == KEY
    assert KEY.hex() not in repr(settings)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=rf"others may read {file} \(mode 644\); chmod 600 {file}"):
        link(head=f'host = "h"\nport = 1\nkeys_file = "{file}"')
    file.chmod(0o600)
    file.write_text(f"12345678 {KEY.hex()}\n12345678 {bytes(16).hex()}\n9999 12\n777\n")
    with pytest.raises(ConfigError) as caught:
        link(head=f'host = "h"\nport = 1\nkeys_file = "{file}"')
    told = str(caught.value)
    assert f"{file}, line 2: another key for 12345678" in told
    assert f"{file}, line 3: a key of 1 bytes, 16 are wanted" in told
    assert f"{file}, line 4: a number without a key" in told
    assert KEY.hex() not in told


def test_a_pattern_matches_any_meter_of_a_maker() -> None:
    air = Air(link('id = "any"\nmeter = "1234FFFF"'))
    air.send(encode_plain(Meter(WATER, 1), volume(1000)))
    assert air.totals == {"read": 1}
    assert air.driver.plan[0].interval == MINUTE


async def test_messages_of_a_real_broker(tmp_path: Path) -> None:
    program = "import sys; from linli_broker.cli import main; sys.exit(main())"
    port = free_port()
    broker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "serve", "--engine", "embedded"),
        *("--listen", f"127.0.0.1:{port}", "--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert broker.stdout is not None
    try:
        while b"ready on" not in (line := await broker.stdout.readline()):
            assert line, "the broker ended"
        head = f'transport = "mqtt"\nhost = "127.0.0.1"\nport = {port}\ntopic = "wmbus/+/telegram"'
        data = encode_plain(Meter(WATER, 1), volume(1000))
        async with opened(link(head=head)) as driver, aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish("wmbus/gate/telegram", f'{{"telegram": "{data.hex()}", "rssi": -80}}', qos=1)
            await client.publish("wmbus/gate/telegram", b"\xff\xfe", qos=1)
            await client.publish("wmbus/gate/telegram", b"{" * (LONGEST + 1), qos=1)
            await client.publish("elsewhere", data.hex(), qos=1)
            await until(driver, "too_long")
            assert named(await driver.poll(driver.plan[0]))["signal_strength"] == -80
            assert dict(driver.hearing.memory.totals) == {"read": 1, "no_telegram": 1, "too_long": 1}
    finally:
        broker.kill()
        await broker.communicate()
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        async with opened(link(head=head)):
            pass
