"""The search of an M-Bus: whoever is there is found once and proposed by an address that is its own."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.errors import ConfigError
from linli_edge.commissioning.mbus_search import MbusSearch
from linli_edge.commissioning.scan import toml
from linli_edge.commissioning.scanner import Found, Heard, Probe, Wanted, load
from linli_edge.commissioning.target import Target
from linli_edge.config.gateway import parse_config
from linli_edge.transport.settings import SerialSettings, TcpSettings
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.mbus_server import MbusServer
from linli_sim.mbus_slave import BusSegment, Slave

from .conftest import Run

SERIAL = Target("/dev/ttyUSB0", "mbus", SerialSettings("/dev/ttyUSB0"))
NETWORK = Target("tcp://127.0.0.1:10001", "mbus", TcpSettings("127.0.0.1", 10001))


def slave(address: int, number: str, value: int, medium: int = 7) -> Slave:
    identity = Identity(number, "LNL", 1, medium)
    record = bytes.fromhex("0413") + value.to_bytes(4, "little")
    frame = encode_frame(encode_answer(identity, [record], address=address, access_number=value & 0xFF))
    return Slave(address, identity, lambda: [frame])


def carry_out(search: MbusSearch, segment: BusSegment, *, echo: bool = False, stop_after: int = 0) -> list[Found]:
    found: list[Found] = []
    count = 0
    while (probe := search.next()) is not None:
        answer = b"".join(segment.receive(probe.data))
        found += search.take(Heard((probe.data if echo else b"") + answer, 20_000 if answer else None))
        count += 1
        if count == stop_after:
            break
    return found


METERS = (
    slave(1, "10000001", 123),
    slave(2, "10000002", 77),
    slave(0, "20000001", 5),
    slave(0, "20000002", 6),
    slave(251, "30000003", 9),
)


def test_everybody_is_found_once() -> None:
    search = MbusSearch(Wanted(NETWORK))
    found = carry_out(search, BusSegment(METERS))
    assert [(each.facts["number"], each.address) for each in found] == [
        ("10000001", "1"),
        ("10000002", "2"),
        ("20000001", "20000001"),
        ("20000002", "20000002"),
        ("30000003", "30000003"),
    ]
    assert list(search.found()) == found
    assert [hint.kind for hint in search.hints()] == ["mbus_address"]
    assert search.hints()[0].values == {"addresses": "0"}
    assert search.estimate().probes == 0


def test_what_it_proposes_the_gateway_takes() -> None:
    search = MbusSearch(Wanted(SERIAL, addresses=((1, 3),)))
    carry_out(search, BusSegment(METERS))
    proposed: dict[str, Any] = tomllib.loads(toml(search.found(), load("mbus"), SERIAL))
    assert proposed["links"][0]["baud"] == 2400
    assert proposed["links"][0]["devices"][0] == {"id": "meter-10000001", "address": 1, "identity": "10000001"}
    assert proposed["links"][0]["devices"][-1] == {"id": "meter-30000003", "address": "30000003"}
    config = proposed | {"gateway": {"id": "gw", "data": "d"}, "uplink": {"host": "h"}}
    assert len(parse_config(config, Path()).links[0].config.devices) == 5


def test_two_meters_of_one_number_are_proposed_by_all_sixteen_digits() -> None:
    search = MbusSearch(Wanted(NETWORK, addresses=((250, 250),)))
    found = carry_out(search, BusSegment([slave(7, "11111111", 1, 0x04), slave(8, "11111111", 2, 0x07)]))
    assert [each.facts["medium"] for each in found] == ["heat (outlet)", "water"]
    addresses = [each.address for each in search.found()]
    assert len(set(addresses)) == 2
    assert all(len(address) == 16 for address in addresses)


def test_a_search_goes_on_where_it_stopped() -> None:
    whole = MbusSearch(Wanted(NETWORK))
    expected = [each.address for each in carry_out(whole, BusSegment(METERS))]
    segment, state, addresses = BusSegment(METERS), None, []
    for _ in range(200):
        search = MbusSearch(Wanted(NETWORK), state)
        addresses += [each.address for each in carry_out(search, segment, stop_after=9)]
        state = search.state()
        if search.next() is None:
            break
    assert addresses == expected
    with pytest.raises(ValueError, match="another one"):
        MbusSearch(Wanted(NETWORK, addresses=((1, 2),)), state)


def test_an_echo_is_said_and_changes_nothing() -> None:
    search = MbusSearch(Wanted(NETWORK))
    assert len(carry_out(search, BusSegment(METERS), echo=True)) == 5
    assert "echo" in [hint.kind for hint in search.hints()]


def test_an_empty_bus_and_a_noisy_one() -> None:
    search = MbusSearch(Wanted(NETWORK, addresses=((1, 2),)))
    assert carry_out(search, BusSegment([])) == []
    assert [hint.kind for hint in search.hints()] == ["mbus_nobody"]
    noisy = MbusSearch(Wanted(NETWORK, addresses=((1, 2),)))
    for _ in range(200):
        probe = noisy.next()
        if probe is None:
            break
        assert noisy.take(Heard(b"\x00\x68\xff", 1)) == []
    assert noisy.found() == []


def test_a_meter_that_acknowledges_and_then_says_nothing_is_there() -> None:
    class Mute(BusSegment):
        def receive(self, data: bytes) -> list[bytes]:
            return [b"\xe5"] if data[:2] == b"\x10\x40" and data[2] == 4 else []

    search = MbusSearch(Wanted(NETWORK, addresses=((4, 5),)))
    (found,) = carry_out(search, Mute([]))
    assert (found.address, found.title, dict(found.facts)) == ("4", "", {})


def test_speeds_and_parities() -> None:
    search = MbusSearch(Wanted(SERIAL, bauds=(300, 2400), addresses=((1, 1),)))
    probe = search.next()
    assert isinstance(probe, Probe)
    assert probe.setting == SerialSettings("/dev/ttyUSB0", 300, "even")
    assert probe.patience > 1_000_000
    assert search.estimate().probes == 4
    with pytest.raises(ConfigError, match="is no serial line"):
        MbusSearch(Wanted(NETWORK, bauds=(300,)))
    given = Target("bus", "mbus", SerialSettings("/dev/ttyUSB0", 9600, "none"), given=True)
    probe = MbusSearch(Wanted(given)).next()
    assert probe is not None
    assert probe.setting == SerialSettings("/dev/ttyUSB0", 9600, "none")


@pytest.mark.parametrize("lang", ["zh", "en"])
@on_jumping_loop
async def test_the_command(run_here: Run, lang: str) -> None:
    meters: Sequence[Slave] = [slave(1, "10000001", 123), slave(0, "20000001", 5), slave(0, "20000002", 6)]
    async with MbusServer(BusSegment(meters)).listen(0) as port:
        words = ("--protocol", "mbus", "--ids", "0-2", "--timeout", "30 ms", "--lang", lang)
        ended = await run_here("scan", f"tcp://127.0.0.1:{port}", *words)
    assert ended.status == 0, ended.err
    assert 'address = "20000002"' in ended.out
    assert ("several meters at primary address 0" if lang == "en" else "一级地址 0 上不止一台表") in ended.out
