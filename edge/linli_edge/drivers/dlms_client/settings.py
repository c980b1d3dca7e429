"""DLMS meters that are asked, as TOML writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from linli_core.codecs.dlms.wrapper import PORT
from linli_core.instant import MINUTE, SECOND
from linli_core.obis import Obis
from linli_core.obis import parse as parse_code
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.table import Table, reading

PACKAGE: Final = "dlms_cosem"
INTERVAL: Final = 15 * MINUTE
PUBLIC_CLIENT: Final = 16
MOST_REGISTERS: Final = 64
IDENTITY: Final = Obis(0, 0, 96, 1, 0)
CLOCK: Final = Obis(0, 0, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        host, port: Where it is.
        interval: Microseconds from one poll to the next.
        client, server: wPorts (logical addresses) of the association.
        password: Of low level security; empty: the public client's association without any.
        registers: Codes of the registers to read (class 3).
        clock: Whether its clock is read.
        identity: Number it must have; empty: any is taken, a change is reported.
        utc_offset: Minutes its clock is east of UTC, where it does not say so itself.
    """

    device: str
    host: str
    port: int
    interval: int
    client: int
    server: int
    password: str
    registers: tuple[Obis, ...]
    clock: bool
    identity: str
    utc_offset: int


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Meters that are asked one after the other.

    Attributes:
        timeout: Microseconds a meter may take to connect, and to answer.
        devices: The meters.
        known: Number of the meter that answered last, by device.
        scalers: Power of ten and unit of each register, once read; they do not change.
    """

    timeout: int
    devices: tuple[DeviceSettings, ...]
    known: dict[str, str] = field(default_factory=dict, compare=False)
    scalers: dict[tuple[str, Obis], tuple[int, int]] = field(default_factory=dict, compare=False)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        if find_spec(PACKAGE) is None:
            link.problem("driver", "the package dlms-cosem is not installed", "try: pip install 'linli[dlms]'")
        timeout = link.duration("timeout", 5 * SECOND, minimum=SECOND // 10, maximum=MINUTE)
        offset = clock_offset(link, 0)
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        for item in link.tables("devices", required=True):
            device = _device(item, offset)
            if (first := ids.setdefault(device.device, item.where)) != item.where:
                item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
            devices.append(device)
    return LinkSettings(timeout, tuple(devices))


def _device(item: Table, offset: int) -> DeviceSettings:
    password = item.text("password", "")
    if not password.isascii() or len(password) > 64:
        item.problem("password", "found what no meter takes", "write printable ASCII characters, 64 at most")
    return DeviceSettings(
        item.ident("id"),
        item.text("host"),
        item.integer("port", PORT, minimum=1, maximum=65535),
        item.duration("interval", INTERVAL, minimum=SECOND),
        item.integer("client", 1 if password else PUBLIC_CLIENT, minimum=1, maximum=0xFFFF),
        item.integer("server", 1, minimum=0, maximum=0xFFFF),
        password,
        _registers(item),
        item.boolean("read_clock", default=True),
        item.text("identity", ""),
        clock_offset(item, offset),
    )


def _registers(item: Table) -> tuple[Obis, ...]:
    texts = item.texts("registers", ("1-0:1.8.0",))
    if len(texts) > MOST_REGISTERS:
        item.problem("registers", f"{len(texts)} of them", f"read {MOST_REGISTERS} at most in one poll")
    codes = []
    for place, text in enumerate(texts):
        try:
            code = parse_code(text)
        except ValueError:
            code = None
        if code is None or code.a is None or code.b is None:
            item.problem(f"registers[{place}]", f'found "{text}"', 'write a whole OBIS code, such as "1-0:1.8.0"')
        else:
            codes.append(code)
    return tuple(codes)
