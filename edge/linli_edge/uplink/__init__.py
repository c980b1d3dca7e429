"""The uplink: one MQTT connection that carries the log to the platform. ``docs/log-protocol.md`` tells the protocol."""

from linli_edge.uplink.clock_state import kernel_clock_state
from linli_edge.uplink.settings import GatewayHealth, StatusSource, UplinkSettings
from linli_edge.uplink.uplink import Uplink, UplinkStats

__all__ = ["GatewayHealth", "StatusSource", "Uplink", "UplinkSettings", "UplinkStats", "kernel_clock_state"]
