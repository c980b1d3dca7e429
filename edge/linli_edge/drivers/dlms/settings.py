"""DLMS meters that push, as TOML writes them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_core.codecs.dlms import Framing, Keys, ReplayGuard
from linli_core.codecs.dlms.layout import Layout
from linli_core.codecs.dlms.wrapper import PORT
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.meter_key import meter_key
from linli_edge.config.table import Table, reading
from linli_edge.drivers.dlms.device_profile import profile_of
from linli_edge.transport.settings import TransportSettings, read_transport

BAUD: Final = 2400
INTERVAL: Final = 10 * SECOND
PATIENCE: Final = MINUTE
_TITLE: Final = r"[0-9A-Fa-f]{16}"


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """A socket that meters (or their modems) connect to, or send datagrams to."""

    host: str
    port: int
    datagrams: bool

    @property
    def place(self) -> str:
        """Where it stands, for people: ``udp 0.0.0.0:4059``."""
        return f"{'udp' if self.datagrams else 'tcp'} {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        interval: Microseconds from one taking of what it sent to the next.
        patience: Microseconds without a message after which it counts as silent.
        title: Its system title; ``None``: not told apart by it.
        source: Its HDLC address or wPort; ``None``: not told apart by it.
        identity: Number it must have; empty: any is taken, a change is reported.
        keys: What opens its messages.
        layout: What its maker's lists leave out; ``None``: as the list calls itself.
        utc_offset: Minutes its clock is east of UTC, where it does not say so itself.
        encrypted_only: Messages without a tag are believed: a cipher alone hides, and proves nothing.
    """

    device: str
    interval: int
    patience: int
    title: bytes | None
    source: int | None
    identity: str
    keys: Keys | None
    layout: Layout | None
    utc_offset: int
    encrypted_only: bool = False


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One line or socket.

    Attributes:
        transport: How bytes come.
        framing: How messages stand in them.
        stuffed: Bytes 7E and 7D inside a frame are escaped.
        devices: The meters.
        state: File that keeps the counters of ciphered messages; ``None``: they are kept while the gateway runs.
        known: Number of the meter heard last, by device; kept here because a driver lives only as long as its line.
        guard: The counters, likewise.
    """

    transport: TransportSettings | ListenSettings
    framing: Framing
    stuffed: bool
    devices: tuple[DeviceSettings, ...]
    state: Path | None
    known: dict[str, str] = field(default_factory=dict, compare=False)
    guard: ReplayGuard = field(default_factory=ReplayGuard, compare=False)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = _transport(link)
        usual = Framing.WRAPPER if isinstance(transport, ListenSettings) else Framing.HDLC
        framing = link.member("framing", Framing, usual)
        if isinstance(transport, ListenSettings) and transport.datagrams and framing is Framing.HDLC:
            link.problem("framing", "found hdlc over datagrams", 'write framing = "wrapper", or leave the key out')
        offset = clock_offset(link, 0)
        stuffed = link.boolean("byte_stuffing", default=False)
        state = link.text("state", None)
        items = link.tables("devices", required=True)
        devices = tuple(_device(item, offset) for item in items)
        _check_apart(link, items, devices)
    return LinkSettings(transport, framing, stuffed, devices, Path(state) if state is not None else None)


def _transport(link: Table) -> TransportSettings | ListenSettings:
    kind = link.raw.get("transport")
    if kind in {"tcp-listen", "udp-listen"}:
        link.known("transport")
        return ListenSettings(
            link.text("host", "0.0.0.0"),  # noqa: S104 - meters come from outside; the page says so
            link.integer("port", PORT, minimum=1, maximum=65535),
            kind == "udp-listen",
        )
    if isinstance(kind, str) and kind not in {"tcp", "serial"}:
        near = difflib.get_close_matches(kind, ("tcp", "serial", "tcp-listen", "udp-listen"), 1)
        hint = f'did you mean "{near[0]}"?' if near else "choose one of tcp, serial, tcp-listen, udp-listen"
        link.known("transport", "host", "port", "path", "baud")
        link.problem("transport", f'found "{kind}"', hint)
        return ListenSettings("", PORT, datagrams=False)
    return read_transport(link, baud=BAUD)


def _device(item: Table, offset: int) -> DeviceSettings:
    interval = item.duration("interval", INTERVAL, minimum=SECOND)
    title = item.text("system_title", "", pattern=_TITLE)
    profile = profile_of(item)
    key = meter_key(item, "key")
    authentication = meter_key(item, "authentication_key")
    if authentication is not None and key is None and not {"key", "key_file"} & item.raw.keys():
        item.problem("key", "missing beside an authentication key", "give both keys, or none")
    encrypted_only = item.boolean("encrypted_only", default=False)
    if encrypted_only and authentication is not None:
        item.problem("encrypted_only", "found true beside an authentication key", "leave one of the two out")
    return DeviceSettings(
        item.ident("id"),
        interval,
        item.duration("patience", max(PATIENCE, 3 * interval), minimum=SECOND, maximum=24 * HOUR),
        bytes.fromhex(title) if len(title) == 16 else None,
        item.integer("source", None, minimum=0, maximum=0xFFFF),
        item.text("identity", ""),
        Keys(key, authentication) if key is not None else None,
        profile.layout if profile is not None else None,
        clock_offset(item, offset),
        encrypted_only,
    )


def _check_apart(link: Table, items: list[Table], devices: tuple[DeviceSettings, ...]) -> None:
    ids: dict[str, str] = {}
    marks: dict[object, str] = {}
    for item, device in zip(items, devices, strict=True):
        if (first := ids.setdefault(device.device, item.where)) != item.where:
            item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
        mark = device.title or device.source or device.identity or None
        if mark is None and len(devices) > 1:
            item.problem(
                "", "nothing tells this meter from the others", "give it a system_title, a source or an identity"
            )
        elif mark is not None and (first := marks.setdefault(mark, item.where)) != item.where:
            item.problem("", f"the same meter as {first}", "correct one of the two")
    if link.raw.get("transport") == "udp-listen" and link.raw.get("byte_stuffing"):
        link.problem("byte_stuffing", "found true over datagrams", "leave the key out")
