"""Nodes on a page: who is calling by its button, and how each node fares."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.alarm import CONDITION_HOLDS
from linli_core.model import Quality, quality_from_code
from linli_platform.alarms import AlarmRow
from linli_platform.alarms.answering import is_call
from linli_platform.api.context import ApiContext
from linli_platform.registry import Device
from linli_platform.store import LatestRow
from linli_platform.web.views import AlarmView, PointView, Views

HEALTH: Final = ("battery_low", "battery_voltage", "signal_strength", "restarts", "backlog", "heap_free")
"""What a node says of itself, the most pressing first."""
_ONLY_NODES: Final = "heap_free"


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node.

    Attributes:
        gateway, id, title: Which.
        call: The alarm of its button's call, as long as that stands.
        health: What it says of itself, each with whether it needs somebody.
    """

    gateway: str
    id: str
    title: str
    call: AlarmView | None
    health: list[tuple[PointView, bool]]


def node_views(
    context: ApiContext,
    views: Views,
    devices: Iterable[Device],
    newest: Sequence[LatestRow],
    alarms: Iterable[AlarmRow],
) -> list[NodeView]:
    """Return the nodes among devices, those first that call; whatever else has a button that calls is one too.

    Args:
        context: The platform.
        views: In the reader's language.
        devices: The devices.
        newest: The newest readings of their points.
        alarms: Alarms that are not settled.
    """
    rules = context.alarms.engine.rules
    calls = {(row.gateway, row.device): row for row in alarms if row.state in CONDITION_HOLDS and is_call(rules, row)}
    health: dict[tuple[str, str], dict[str, LatestRow]] = defaultdict(dict)
    for row in newest:
        if row.series.quantity in HEALTH:
            health[row.series.gateway, row.series.device][row.series.quantity] = row
    found = []
    for device in devices:
        place = device.gateway, device.id
        said, call = health.get(place, {}), calls.get(place)
        if call is None and _ONLY_NODES not in said:
            continue
        told = [
            (views.point(said[quantity]), _needs_somebody(said[quantity])) for quantity in HEALTH if quantity in said
        ]
        title = views.device(device, []).title
        found.append(NodeView(*place, title, None if call is None else views.alarm(call), told))
    return sorted(found, key=lambda node: (node.call is None, node.title))


def _needs_somebody(row: LatestRow) -> bool:
    quality, _ = quality_from_code(row.quality)
    return quality is Quality.BAD or (row.series.quantity == "battery_low" and row.value == 1)
