"""The embedded engine: rumqttd, compiled into the wheel ``iotcore``; its configuration rendered from our settings.

It keeps nothing over a restart (retained messages, sessions); the log protocol needs neither. It knows no access
rules, so it listens on loopback only. A client that comes back while the broker still takes leave of it can leave a
listener that accepts connections and answers none (docs/adr/0002), so it is watched.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linli_broker.engine import Plan
from linli_broker.settings import Limits, Listener, Settings
from linli_core.errors import ConfigError
from linli_core.wire.topics import SHARDS, subscription

_CONNECT_MILLISECONDS: Final = 5_000
# rumqttd's max_payload_size counts the whole packet.
_PACKET_OVERHEAD: Final = 65_536
# rumqttd keeps one log of segments for each subscribed filter, read or not. The platform's hold what the platform has
# not read yet; the others (acknowledgements of one gateway, a debugging client) stay small, for there may be thousands.
_SEGMENTS: Final = 8
_SMALL_SEGMENT_BYTES: Final = 65_536
_SMALL_SEGMENTS: Final = 4


def is_installed() -> bool:
    """Tell whether the embedded broker can be imported, without importing it."""
    return importlib.util.find_spec("iotcore") is not None


def plan(settings: Settings) -> Plan:
    """Return how to start the embedded broker; raise :class:`ConfigError` for what it cannot do."""
    for number, listener in enumerate(settings.listeners):
        if not listener.is_open:
            setting = "tls" if listener.tls is not None else "shared_keys"
            raise ConfigError(
                f"listeners[{number}].{setting}",
                "the embedded broker knows no access rules, so any gateway could speak as any other"
                if listener.tls is not None
                else "the embedded broker knows neither keys nor access rules, so any node could speak as any other",
                f"install Mosquitto (Debian: apt-get install mosquitto), or listen on 127.0.0.1 without {setting}",
            )
    configuration = Path(settings.data).absolute() / "embedded.toml"
    return Plan(
        engine="embedded",
        argv=(sys.executable, "-P", "-m", "linli_broker.embedded_child", str(configuration)),
        files={configuration: render(settings)},
        watched=True,
        notices=_notices(settings),
    )


def _notices(settings: Settings) -> tuple[str, ...]:
    if any(listener.mqtt == "5" for listener in settings.listeners):
        return ()
    return ("the embedded broker speaks MQTT 3.1.1 here; --listen-v5 HOST:PORT adds a port for MQTT 5",)


def render(settings: Settings) -> str:
    """Return rumqttd's TOML."""
    return "\n".join(_lines(settings)) + "\n"


def _lines(settings: Settings) -> Iterator[str]:
    limits = settings.limits
    yield "# Written by linli-broker from its settings at every start; change those."
    yield "id = 0"
    yield ""
    yield "[router]"
    yield "id = 0"
    yield f"max_connections = {limits.connections}"
    yield f"max_outgoing_packet_count = {limits.inflight}"
    yield f"max_segment_size = {_SMALL_SEGMENT_BYTES}"
    yield f"max_segment_count = {_SMALL_SEGMENTS}"
    yield ""
    yield "[router.custom_segment]"
    size = max(limits.queued_bytes // _SEGMENTS, _SMALL_SEGMENT_BYTES)
    for shard in ("+", *(f"{number:02x}" for number in range(SHARDS))):
        yield f'"{subscription(shard)}" = {{ max_segment_size = {size}, max_segment_count = {_SEGMENTS} }}'
    for number, listener in enumerate(settings.listeners, start=1):
        yield ""
        yield from _listener_lines(number, listener, limits)


def _listener_lines(number: int, listener: Listener, limits: Limits) -> Iterator[str]:
    table = f"{'v5' if listener.mqtt == '5' else 'v4'}.{number}"
    yield f"[{table}]"
    yield f'name = "{number}"'
    yield f'listen = "{listener.address.replace("localhost", "127.0.0.1")}"'
    yield "next_connection_delay_ms = 1"
    yield ""
    yield f"[{table}.connections]"
    yield f"connection_timeout_ms = {_CONNECT_MILLISECONDS}"
    yield f"max_payload_size = {limits.payload_bytes + _PACKET_OVERHEAD}"
    yield f"max_inflight_count = {limits.inflight}"
    yield "dynamic_filters = true"
