"""An M-Bus link as TOML writes it: how the bytes move, and which meters are on the bus."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.request import ANY, HIGHEST_ADDRESS, Secondary, parse_secondary
from linli_core.instant import MINUTE, SECOND
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.table import Table, reading
from linli_edge.drivers.mbus.meter_profile import MeterProfile, profile_of
from linli_edge.transport.settings import SerialSettings, TransportSettings, read_transport

BAUD: Final = 2400
INTERVAL: Final = 15 * MINUTE
TIMEOUT_TCP: Final = SECOND
"""Usual wait at a TCP converter: its own latency on top of the meter's."""

_LONGEST_WAIT_BITS: Final = 330
_CONVERTER: Final = SECOND // 5

Address = int | Secondary
"""A meter's place on the bus: primary address, or an identity to select."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        address: Where it is on the bus.
        interval: Microseconds from one poll to the next.
        identity: What the answer must match; ``None``: any meter at that address is taken, a change is reported.
        telegrams: Telegrams to read in one poll; ``None``: as many as the meter says there are.
        utc_offset: Minutes its clock is east of UTC.
        profile: The make and model it is said to be; ``None``: what its identity tells.
    """

    device: str
    address: Address
    interval: int
    identity: Secondary | None
    telegrams: int | None
    utc_offset: int
    profile: MeterProfile | None = None


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One bus.

    Attributes:
        transport: How its bytes move.
        timeout: Microseconds a meter may take to begin its answer, and to go on with it.
        retries: How often a request is repeated.
        devices: The meters.
        known: Who answered last, by device id; kept here because a driver lives only as long as its line.
    """

    transport: TransportSettings
    timeout: int
    retries: int
    devices: tuple[DeviceSettings, ...]
    known: dict[str, Identity] = field(default_factory=dict, compare=False)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = read_transport(link, baud=BAUD, parity="even")
        timeout = link.duration("timeout", _usual_timeout(transport), minimum=SECOND // 100, maximum=MINUTE)
        retries = link.integer("retries", 1, minimum=0, maximum=5)
        offset = clock_offset(link, 0)
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        addresses: dict[Address, str] = {}
        for item in link.tables("devices", required=True):
            address = _address(item)
            device = _device(item, address, offset)
            if (first := ids.setdefault(device.device, item.where)) != item.where:
                item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
            if address is not None and (first := addresses.setdefault(address, item.where)) != item.where:
                item.problem("address", f"the address is taken by {first}", "correct one of the two")
            devices.append(device)
        if ANY in addresses and len(devices) > 1:
            link.problem(
                "devices",
                f"{len(devices)} meters, and {addresses[ANY]} has address {ANY}, which every meter answers",
                "give each its own address",
            )
    return LinkSettings(transport, timeout, retries, tuple(devices))


def _usual_timeout(transport: TransportSettings) -> int:
    """Return the wait for an answer's first byte: 330 bit times and 50 ms (EN 13757-2), and the level converter's."""
    if not isinstance(transport, SerialSettings):
        return TIMEOUT_TCP
    return _LONGEST_WAIT_BITS * SECOND // transport.baud + SECOND // 20 + _CONVERTER


def _device(item: Table, address: Address | None, offset: int) -> DeviceSettings:
    name = item.ident("id")
    identity = None
    if number := item.text("identity", ""):
        identity = _secondary(item, "identity", number)
        if isinstance(address, Secondary):
            item.problem("identity", "the address is an identity already", "leave the key out")
    return DeviceSettings(
        name,
        0 if address is None else address,
        item.duration("interval", INTERVAL, minimum=SECOND),
        address if isinstance(address, Secondary) else identity,
        item.integer("telegrams", None, minimum=1, maximum=32),
        clock_offset(item, offset),
        profile_of(item),
    )


def _address(item: Table) -> Address | None:
    """Return a device's address, ``None`` if it is not right."""
    value = item.raw.get("address")
    if isinstance(value, str):
        item.known("address")
        return _secondary(item, "address", value)
    number = item.integer("address", minimum=0, maximum=ANY)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if 0 <= number <= HIGHEST_ADDRESS or number == ANY:
        return number
    remedy = f'write a primary address from 0 to {HIGHEST_ADDRESS}, or an identity in quotes, such as "11490378"'
    item.problem("address", f"found {number}", remedy)
    return None


def _secondary(item: Table, key: str, text: str) -> Secondary | None:
    try:
        return parse_secondary(text)
    except ValueError:
        item.problem(
            key,
            f'found "{text}"',
            "write the 8 digits printed on the meter (F for any digit), or all 16 digits of the secondary address",
        )
        return None
