"""A DL/T 645 link as TOML writes it: how the bytes move, and which meters are on the line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from linli_core.codecs.dlt645 import Edition
from linli_core.codecs.dlt645.frame import ANY, BROADCAST
from linli_core.errors import ConfigError
from linli_core.instant import MINUTE, SECOND
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.drivers.dlt645 import device_profile
from linli_edge.drivers.dlt645.device_profile import DeviceProfile, Reads, read_edition, read_group, read_identifiers
from linli_edge.drivers.dlt645.plan import Memory
from linli_edge.transport.settings import SerialSettings, TransportSettings, read_transport

BAUD: Final = 2400
INTERVAL: Final = 15 * MINUTE
TURNAROUND: Final = SECOND // 2
"""The longest a meter may take to begin its answer (DL/T 645-2007 §5, and protocols of both editions: 500 ms)."""
CONVERTER: Final = 3 * SECOND // 2
"""What a TCP converter adds to it, sending of the request and its own latency together."""

ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{12}")
BEIJING: Final = 8 * 60


@dataclass(frozen=True, slots=True)
class RelayAuthority:
    """By what a meter's relay may be worked; without it the relay is only read.

    Attributes:
        password_file: Holds the six digits of the password; read when it is needed, never kept.
        level: Level of the password.
        operator: Eight digits that the meter keeps with what was done.
    """

    password_file: str
    level: int
    operator: str


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        address: Twelve digits; all ``A`` where it is the only meter on the line.
        interval: Microseconds from one poll to the next.
        edition: The edition it speaks; ``None``: found out.
        profile: How it is asked.
        reads: What it is asked for.
        identity: The meter number it must tell; empty: any, a change is reported.
        utc_offset: Minutes its clock is east of UTC.
        relay: By what its relay may be worked; ``None``: not at all.
    """

    device: str
    address: str
    interval: int
    edition: Edition | None
    profile: DeviceProfile
    reads: tuple[Reads, ...]
    identity: str
    utc_offset: int
    relay: RelayAuthority | None


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
        """Return a device's profile; ``None`` where it names a wrong one."""
        name = device.text("profile", device_profile.USUAL)
        if name not in self._read:
            try:
                self._read[name] = device_profile.SHELF.load(name, device.at("profile"))
            except ConfigError as exc:
                self._read[name] = None
                self.mistakes.append(exc)
        return self._read[name]


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
    edition = read_edition(item, profile.edition if profile else None)
    own = profile.own if profile else ()
    # A profile says what need not be read more often; what the device itself lists is what is wanted.
    reads = tuple(replace(one, interval=max(interval, one.interval)) for one in profile.reads) if profile else ()
    if "read" in item:
        reads = (Reads(read_identifiers(item, "read", edition, own), 0),)
        if "reads" in item:
            item.problem("reads", "beside read", "keep one of the two")
    elif "reads" in item:
        reads = tuple(read_group(group, edition, own) for group in item.tables("reads", required=True))
    identity = item.text("identity", "", pattern=ADDRESS.pattern)
    utc_offset = clock_offset(item, offset)
    authority = _authority(item.table("relay")) if "relay" in item else None
    if authority is not None and profile is not None and profile.relay is None:
        remedy = "codes differ by maker: a profile of your own must declare them in [relay]"
        item.problem("relay", f"profile {profile.name} does not say how its relay is worked", remedy)
    if profile is None:
        return None
    return DeviceSettings(name, address, interval, edition, profile, reads, identity.upper(), utc_offset, authority)


def _address(item: Table) -> str:
    """Return a device's address, empty if it is not right."""
    text = item.text("address")
    if not text:
        return ""
    address = text.upper().zfill(12) if text.isdecimal() else text.upper()
    if not ADDRESS.fullmatch(address) or address == BROADCAST:
        remedy = f'write the twelve digits on the meter in quotes, or "{ANY}" where it is the only one'
        item.problem("address", f'found "{text}"', remedy)
        return ""
    return address


def _authority(table: Table) -> RelayAuthority:
    return RelayAuthority(
        table.text("password_file"),
        table.integer("level", 2, minimum=0, maximum=9),
        table.text("operator", pattern="[0-9]{8}"),
    )
