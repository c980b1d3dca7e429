"""``gateway_state``, ``link_state``, ``unit_state``: what each gateway told last of itself and its lines."""

from collections.abc import Iterator
from typing import Final

from linli_core.instant import SECOND
from linli_core.wire.messages import Status
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table
from linli_platform.registry import Gateway, State

_ONLINE: Final = "online"


def _seen(known: Known) -> Iterator[Gateway]:
    for gateway in known.registry.gateways():
        if gateway.state is not State.RETIRED and known.sees(gateway.id, ""):
            yield gateway


def _states(known: Known) -> Iterator[Row]:
    for gateway in _seen(known):
        status = gateway.status or Status(gateway=gateway.id, state="offline")
        state = "unknown" if gateway.status is None else status.state
        disk = status.disk
        # What comes over HTTP comes from a writer that tells no status: it is neither online nor away.
        is_told = gateway.status is not None or gateway.last_seen is None
        yield Row(
            known.now,
            known.places.tags(gateway.id),
            {
                "age": None if gateway.last_seen is None else max(0, known.now - gateway.last_seen) / SECOND,
                "away": int(state != _ONLINE) if is_told else None,
                "backlog": None if gateway.status is None else status.backlog,
                "card_bytes": None if disk is None else disk.bytes_per_day,
                "card_days": None if disk is None else disk.life_days,
                "doubtful": None if gateway.status is None else int(status.clock.state == "doubtful"),
                "evicted": None if gateway.status is None else len(status.evicted),
                "online": int(state == _ONLINE) if is_told else None,
                "state": state,
                "version": status.version or None,
            },
        )


def _links(known: Known) -> Iterator[Row]:
    for gateway in _seen(known):
        for link in gateway.status.links if gateway.status else ():
            yield Row(
                known.now,
                {**known.places.tags(gateway.id), "link": link.id},
                {
                    "devices": link.devices,
                    "driver": link.driver or None,
                    "error": link.error or None,
                    "silent": len(link.silent),
                    "state": link.state,
                    "stretched": link.stretched,
                    "use": link.use,
                },
            )


def _units(known: Known) -> Iterator[Row]:
    for gateway in known.registry.gateways():
        if gateway.state is State.RETIRED:
            continue
        for link in gateway.status.links if gateway.status else ():
            for unit in link.units:
                if known.sees(gateway.id, unit.device):
                    yield Row(
                        known.now,
                        {**known.places.tags(gateway.id, unit.device), "link": link.id},
                        {
                            "checksum": unit.checksum,
                            "foreign": unit.foreign,
                            "late": unit.late,
                            "malformed": unit.malformed,
                            "median": unit.median,
                            "noise": unit.noise,
                            "requests": unit.requests,
                            "share": unit.share,
                            "timeouts": unit.timeouts,
                        },
                    )


GATEWAYS: Final = Table(
    "gateway_state",
    {
        "age": Kind.FLOAT,
        "away": Kind.INTEGER,
        "backlog": Kind.INTEGER,
        "card_bytes": Kind.INTEGER,
        "card_days": Kind.INTEGER,
        "doubtful": Kind.INTEGER,
        "evicted": Kind.INTEGER,
        "online": Kind.INTEGER,
        "state": Kind.STRING,
        "version": Kind.STRING,
    },
    _states,
)
LINKS: Final = Table(
    "link_state",
    {
        "devices": Kind.INTEGER,
        "driver": Kind.STRING,
        "error": Kind.STRING,
        "silent": Kind.INTEGER,
        "state": Kind.STRING,
        "stretched": Kind.FLOAT,
        "use": Kind.FLOAT,
    },
    _links,
)
UNITS: Final = Table(
    "unit_state",
    {
        "checksum": Kind.INTEGER,
        "foreign": Kind.INTEGER,
        "late": Kind.INTEGER,
        "malformed": Kind.INTEGER,
        "median": Kind.FLOAT,
        "noise": Kind.INTEGER,
        "requests": Kind.INTEGER,
        "share": Kind.FLOAT,
        "timeouts": Kind.INTEGER,
    },
    _units,
)
