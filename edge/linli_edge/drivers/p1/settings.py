"""A P1 port as TOML writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_core.codecs.dlms.ciphering import Keys, ReplayGuard
from linli_core.codecs.p1.meaning import CENTRAL_EUROPE
from linli_core.codecs.p1.sealed import AUTHENTICATION_KEY
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_edge.config.clock_offset import clock_offset
from linli_edge.config.meter_key import meter_key
from linli_edge.config.table import Table, reading
from linli_edge.transport.settings import TransportSettings, read_transport

BAUD: Final = 115200
INTERVAL: Final = 10 * SECOND
PATIENCE: Final = MINUTE
"""Usual time without a telegram before a meter counts as silent; version 4 and before send one in 10 s."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One port.

    Attributes:
        transport: How its bytes move.
        device: Id of the meter.
        interval: Microseconds from one taking of the newest telegram to the next.
        patience: Microseconds without a telegram after which the meter counts as silent.
        identity: Number the meter must have; empty: any is taken, a change is reported.
        utc_offset: Minutes its standard time is east of UTC.
        parity: Bytes carry an even parity bit on top.
        keys: What opens encrypted telegrams; ``None``: the meter sends plain ones.
        state: File that keeps the counters of encrypted telegrams; ``None``: they are kept while the gateway runs.
        known: Number of the meter that was heard last; kept here because a driver lives only as long as its line.
        guard: The counters, likewise.
    """

    transport: TransportSettings
    device: str
    interval: int
    patience: int
    identity: str
    utc_offset: int
    parity: bool
    keys: Keys | None
    state: Path | None
    known: dict[str, str] = field(default_factory=dict, compare=False)
    guard: ReplayGuard = field(default_factory=ReplayGuard, compare=False)


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = read_transport(link, baud=BAUD)
        devices = link.tables("devices", required=True)
        if len(devices) > 1:
            link.problem("devices", f"{len(devices)} meters at one port", "give each port a link of its own")
        item = devices[0] if devices else link
        name = item.ident("id")
        interval = item.duration("interval", INTERVAL, minimum=SECOND)
        patience = item.duration("patience", max(PATIENCE, interval), minimum=SECOND, maximum=24 * HOUR)
        state = link.text("state", None)
        settings = LinkSettings(
            transport,
            name,
            interval,
            patience,
            item.text("identity", ""),
            clock_offset(link, CENTRAL_EUROPE),
            link.boolean("parity_bit", default=False),
            _keys(item),
            Path(state) if state is not None else None,
        )
        if state is not None and settings.keys is None:
            link.problem("state", "there is no key", "leave it out: it keeps the counters of encrypted telegrams")
    return settings


def _keys(item: Table) -> Keys | None:
    key = meter_key(item, "key")
    authentication = meter_key(item, "authentication_key", AUTHENTICATION_KEY)
    authenticated = item.boolean("authenticated", default=True)
    if key is None:
        return None
    return Keys(key, authentication if authenticated else None)
