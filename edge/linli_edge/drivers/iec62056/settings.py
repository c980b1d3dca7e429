"""An IEC 62056-21 line as TOML writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.codecs.iec62056.frame import BAUD
from linli_core.codecs.iec62056.meaning import USUAL, Ways
from linli_core.codecs.iec62056.request import is_address, password
from linli_core.instant import MINUTE, SECOND
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.table import Table, reading
from linli_edge.drivers.iec62056.device_profile import profile_of, registers_of
from linli_edge.transport.settings import SerialSettings, TransportSettings, read_transport

START_BAUD: Final = 300
INTERVAL: Final = 15 * MINUTE
TIMEOUT: Final = 2 * SECOND
"""Longest a meter may take to answer (IEC 62056-21: 1.5 s), and the converter's latency."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        address: What it is woken by; empty: whichever is there.
        interval: Microseconds from one poll to the next.
        identity: Number it must have; empty: any is taken, a change is reported.
        registers: What to read in programming mode; none: it is read out.
        password: Given in clear before registers are read; empty: none.
        wake_up: Whether NULs are sent before the request, for meters on a battery.
        utc_offset: Minutes its clock is east of UTC.
        ways: What its maker leaves out.
    """

    device: str
    address: str
    interval: int
    identity: str
    registers: tuple[str, ...]
    password: str
    wake_up: bool
    utc_offset: int
    ways: Ways


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One line.

    Attributes:
        transport: How its bytes move.
        switch: Whether the line goes to the speed that a meter proposes.
        speed: The speed character that says that it stays as it is.
        parity: Bytes carry an even parity bit on top.
        timeout: Microseconds a meter may take to begin its answer, and to go on with it.
        retries: How often a readout is begun anew.
        devices: The meters.
        known: Number of the meter that answered last, by device; kept here because a driver lives only as long as
            its line.
    """

    transport: TransportSettings
    switch: bool
    speed: str
    parity: bool
    timeout: int
    retries: int
    devices: tuple[DeviceSettings, ...]
    known: dict[str, str] = field(default_factory=dict, compare=False)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = read_transport(link, baud=START_BAUD, parity="even", data_bits=7)
        serial = isinstance(transport, SerialSettings)
        switch = link.boolean("switch_speed", default=serial)
        if switch and not serial:
            remedy = "leave the key out: a converter has one speed, which the meter must keep to"
            link.problem("switch_speed", "found true behind a converter", remedy)
        return LinkSettings(
            transport,
            switch,
            _speed(link, transport),
            link.boolean("parity_bit", default=False),
            link.duration("timeout", TIMEOUT, minimum=SECOND // 100, maximum=MINUTE),
            link.integer("retries", 1, minimum=0, maximum=5),
            _devices(link),
        )


def _speed(link: Table, transport: TransportSettings) -> str:
    """Return the speed character of the speed that the line has before any switch."""
    baud = transport.baud if isinstance(transport, SerialSettings) else link.integer("line_baud", START_BAUD)
    found = next((speed for speed, bits in BAUD.items() if bits == baud), None)
    if found is None:
        key = "baud" if isinstance(transport, SerialSettings) else "line_baud"
        link.problem(key, f"found {baud}", f"choose one of {', '.join(map(str, BAUD.values()))}")
    return found or "0"


def _devices(link: Table) -> tuple[DeviceSettings, ...]:
    offset = clock_offset(link, 0)
    devices: list[DeviceSettings] = []
    ids: dict[str, str] = {}
    addresses: dict[str, str] = {}
    items = link.tables("devices", required=True)
    for item in items:
        device = _device(item, offset)
        if (first := ids.setdefault(device.device, item.where)) != item.where:
            item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
        if (first := addresses.setdefault(device.address, item.where)) != item.where:
            item.problem("address", f"the address is taken by {first}", "correct one of the two")
        if not device.address and len(items) > 1:
            item.problem("address", "missing beside other meters", "write the number that is printed on the meter")
        devices.append(device)
    return tuple(devices)


def _device(item: Table, offset: int) -> DeviceSettings:
    address = item.text("address", "")
    if not is_address(address):
        item.problem("address", f'found "{address}"', "write the digits that are printed on the meter, 32 at most")
    profile = profile_of(item)
    registers = registers_of(item)
    secret = item.text("password", "")
    try:
        password(secret)
    except ValueError:
        item.problem("password", "found what no meter takes", "write printable characters without brackets")
    return DeviceSettings(
        item.ident("id"),
        address,
        item.duration("interval", INTERVAL, minimum=SECOND),
        item.text("identity", ""),
        registers or (profile.registers if profile is not None else ()),
        secret,
        item.boolean("wake_up", default=False),
        clock_offset(item, offset),
        profile.ways if profile is not None else USUAL,
    )
