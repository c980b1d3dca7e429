"""A CJ/T 188 link as TOML writes it: how the bytes move, and which meters are on the line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from linli_core.codecs.cjt188 import Order
from linli_core.codecs.cjt188.frame import ANY
from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.drivers.cjt188 import device_profile
from linli_edge.drivers.cjt188.device_profile import (
    DeviceProfile,
    Reads,
    read_group,
    read_identifiers,
    read_order,
    read_type,
)
from linli_edge.transport.settings import SerialSettings, TransportSettings, read_transport

BAUD: Final = 2400
INTERVAL: Final = HOUR
TURNAROUND: Final = SECOND // 2
CONVERTER: Final = 3 * SECOND // 2
"""What a TCP converter adds to it, sending of the request and its own latency together."""

ADDRESS: Final = re.compile(r"[0-9A-F]{14}")
BEIJING: Final = 8 * 60


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        meter_type: The ``T`` it is asked by.
        address: Fourteen digits; all ``A`` where it is the only meter on the line.
        interval: Microseconds from one poll to the next.
        order: In which order it hears identifiers; ``None``: found out.
        profile: How it is asked, and how its answers differ.
        reads: What it is asked for.
        utc_offset: Minutes its clock is east of UTC.
        valve: Whether its valve may be worked at all.
    """

    device: str
    meter_type: int
    address: str
    interval: int
    order: Order | None
    profile: DeviceProfile
    reads: tuple[Reads, ...]
    utc_offset: int
    valve: bool


@dataclass
class Memory:
    """What was learnt of one meter; it outlives a connection.

    Attributes:
        order: In which order it heard identifiers.
        address: Under which address it answered.
        swaps: How often another address answered than before.
        refused: Identifier it does not have → when it said so.
    """

    order: Order | None = None
    address: str = ""
    swaps: int = 0
    refused: dict[int, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One line.

    Attributes:
        transport: How its bytes move.
        timeout: Microseconds a meter may take to begin its answer, and to go on with it.
        retries: How often a request is repeated.
        devices: The meters.
        memory: What was learnt of each meter, by device id; kept here because a driver lives only as long as its
            line.
    """

    transport: TransportSettings
    timeout: int
    retries: int
    devices: tuple[DeviceSettings, ...]
    memory: dict[str, Memory] = field(default_factory=dict, compare=False)

    @property
    def character(self) -> float:
        """Seconds of one character on a serial line; 0 behind a converter, where nobody knows."""
        if not isinstance(self.transport, SerialSettings):
            return 0.0
        line = self.transport
        return (1 + line.data_bits + (line.parity != "none") + line.stop_bits) / line.baud


class _Profiles:
    """The profiles of a link, each read once however many devices have it."""

    def __init__(self) -> None:
        self.mistakes: list[ConfigError] = []
        self._read: dict[str, DeviceProfile | None] = {}

    def of(self, device: Table) -> DeviceProfile | None:
        """Return a device's profile; ``None`` where it names a wrong one, or none."""
        name = device.text("profile")
        if name and name not in self._read:
            try:
                self._read[name] = device_profile.SHELF.load(name, device.at("profile"))
            except ConfigError as exc:
                self._read[name] = None
                self.mistakes.append(exc)
        return self._read.get(name)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = read_transport(link, baud=BAUD, parity="even")
        usual = TURNAROUND if isinstance(transport, SerialSettings) else TURNAROUND + CONVERTER
        timeout = link.duration("timeout", usual, minimum=SECOND // 100, maximum=MINUTE)
        retries = link.integer("retries", 1, minimum=0, maximum=5)
        offset = clock_offset(link, BEIJING)
        profiles = _Profiles()
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        addresses: dict[str, str] = {}
        for item in link.tables("devices", required=True):
            address = _address(item)
            device = _device(item, address, offset, profiles)
            name = item.raw.get("id")
            if isinstance(name, str) and (first := ids.setdefault(name, item.where)) != item.where:
                item.problem("id", f'"{name}" is taken by {first}', "give each device its own id")
            if address and (first := addresses.setdefault(address, item.where)) != item.where:
                item.problem("address", f"the address is taken by {first}", "correct one of the two")
            if device is not None:
                devices.append(device)
        if ANY in addresses and len(addresses) > 1:
            found = f"{len(addresses)} meters, and {addresses[ANY]} has the address that every meter answers"
            link.problem("devices", found, "give each its own address")
        if profiles.mistakes:
            raise ConfigErrors(profiles.mistakes)
    return LinkSettings(transport, timeout, retries, tuple(devices))


def _device(item: Table, address: str, offset: int, profiles: _Profiles) -> DeviceSettings | None:
    name = item.ident("id")
    profile = profiles.of(item)
    interval = item.duration("interval", INTERVAL, minimum=SECOND)
    order = read_order(item, profile.order if profile else None)
    meter_type = read_type(item) if "type" in item else profile.meter_type if profile else 0
    # A profile says what need not be read more often; what the device itself lists is what is wanted.
    reads = tuple(replace(one, interval=max(interval, one.interval)) for one in profile.reads) if profile else ()
    if "read" in item:
        reads = (Reads(read_identifiers(item, "read"), 0),)
        if "reads" in item:
            item.problem("reads", "beside read", "keep one of the two")
    elif "reads" in item:
        reads = tuple(read_group(group) for group in item.tables("reads", required=True))
    utc_offset = clock_offset(item, offset)
    valve = item.boolean("valve", default=False)
    if valve and profile is not None and profile.valve is None:
        remedy = "codes differ by maker: a profile of your own must declare them in [valve_codes]"
        item.problem("valve", f"profile {profile.name} does not say how its valve is worked", remedy)
    if profile is None:
        return None
    return DeviceSettings(name, meter_type, address, interval, order, profile, reads, utc_offset, valve)


def _address(item: Table) -> str:
    """Return a device's address, empty if it is not right."""
    text = item.text("address")
    address = text.upper()
    if text and not ADDRESS.fullmatch(address):
        remedy = (
            "write fourteen digits in quotes, the maker's four and the meter's ten, such as "
            f'"11012026000001", or "{ANY}" where it is the only meter'
        )
        item.problem("address", f'found "{text}"', remedy)
        return ""
    return address
