"""The driver and the codec beside a foreign implementation of DL/T 645-2007: the package ``dlt645``."""

import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.dlt645 import Frame, decode_frame, encode, encode_frame, request
from linli_core.codecs.dlt645.frame import decode_address
from linli_core.instant import from_rfc3339
from linli_edge.drivers.dlt645 import SPEC

NOW = from_rfc3339("2026-11-25T08:00:00Z")
METER = "123456781012"
HELD = {
    0x00010000: (12345.67, "energy_import", Decimal("12345670.00")),
    0x00010100: (100.5, "energy_import.t1", Decimal("100500.00")),
    0x00000000: (-50.5, "energy_combined", Decimal("-50500.00")),
    0x02010100: (223.3, "voltage.l1", Decimal("223.3")),
    0x02020200: (-4.999, "current.l2", Decimal("-4.999")),
    0x02030000: (-0.5006, "active_power", Decimal("-500.6000")),
    0x02060000: (0.501, "power_factor", Decimal("0.501")),
    0x02800002: (49.98, "frequency", Decimal("49.98")),
}


@pytest.fixture
def port(free_port: Callable[[], int]) -> Iterator[int]:
    foreign: Any = pytest.importorskip("dlt645", reason="the package dlt645 is not installed")
    number = free_port()
    server = foreign.MeterServerService.new_tcp_server("127.0.0.1", number, 3000)
    # A text it would take for the bytes on the wire, low byte first; the standard prints addresses high digit first.
    server.set_address(bytes.fromhex(METER)[::-1])
    for identifier, (value, _, _) in HELD.items():
        kind = identifier >> 24
        assert (server.set_00 if kind == 0 else server.set_02)(identifier, value)
    assert server.start()
    try:
        yield number
    finally:
        with contextlib.suppress(OSError):
            server.stop()


async def test_what_the_foreign_meter_holds_is_what_is_read(port: int) -> None:
    read = [f"{identifier:08X}" for identifier in HELD]
    devices = [{"id": "m", "address": METER, "read": read}]
    settings = SPEC.parse({"host": "127.0.0.1", "port": port, "timeout": "60 s", "devices": devices}, "links[0]")
    async with SPEC.open(settings, lambda: NOW) as driver:
        found = {
            reading.point.local_name: reading.value for planned in driver.plan for reading in await driver.poll(planned)
        }
    for _, point, wanted in HELD.values():
        assert found[point] == wanted, point


@given(
    st.binary(min_size=6, max_size=6).map(decode_address),
    st.sampled_from([0x00010000, 0x02010100, 0x0001FF00, 0x04000101]),
    st.binary(max_size=100),
)
def test_frames_are_the_same_to_both(address: str, identifier: int, data: bytes) -> None:
    protocol: Any = pytest.importorskip("dlt645.protocol.protocol").DLT645Protocol
    for frame in (request.read(address, identifier), encode.answer(address, identifier, data)):
        ours = encode_frame(frame)
        theirs = protocol.deserialize(ours)
        assert theirs is not None
        assert bytes(theirs.addr) == bytes.fromhex(address)[::-1]
        assert int(theirs.ctrl_code) == frame.control
        assert bytes(theirs.data) == frame.data
        whole = bytes(protocol.build_frame(bytes.fromhex(address)[::-1], frame.control, frame.data))
        assert decode_frame(whole) == Frame(address, frame.control, frame.data)
