"""What the registry says of gateways and devices that rules choose by: kinds, tags, areas, and what was retired."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from linli_core.alarm import Series, SubjectKind
from linli_platform.registry import Area, Registry, State
from linli_platform.registry.areas import line_of
from linli_platform.store import SeriesInfo

Place = tuple[str, str]
"""A gateway and a device of it; the gateway itself with none."""

_OF_DEVICE = frozenset({SubjectKind.POINT, SubjectKind.DEVICE})


def areas_above(areas: Iterable[Area]) -> dict[str, frozenset[str]]:
    """Return each area with all that it lies in."""
    parents = {area.id: area.parent for area in areas}
    return {area: frozenset(line_of(area, parents)) for area in parents}


class Places(NamedTuple):
    """The registry as it was at one time.

    Attributes:
        kinds, tags: Those of devices.
        areas: Of devices, those above them included.
        lines: The area of each device and gateway with all around it, the nearest first.
        retired: Gateways (``gateway``) and devices (``gateway/device``) that were taken out.
    """

    kinds: Mapping[Place, str]
    tags: Mapping[Place, frozenset[str]]
    areas: Mapping[Place, frozenset[str]]
    lines: Mapping[Place, tuple[str, ...]]
    retired: frozenset[str]

    def line(self, subject: str) -> tuple[str, ...]:
        """Return the areas that a subject lies in, the nearest first."""
        gateway, _, below = subject.partition("/")
        return self.lines.get((gateway, below.partition("/")[0])) or self.lines.get((gateway, ""), ())

    def series(self, info: SeriesInfo) -> Series:
        """Return what rules must know of a series."""
        place = (info.gateway, info.device)
        retired: frozenset[SubjectKind] = frozenset()
        if info.gateway in self.retired:
            retired = frozenset(SubjectKind)
        elif f"{info.gateway}/{info.device}" in self.retired:
            retired = _OF_DEVICE
        return Series(
            gateway=info.gateway,
            device=info.device,
            name=info.name,
            quantity=info.quantity,
            kind=self.kinds.get(place, ""),
            tags=self.tags.get(place, frozenset()),
            areas=self.areas.get(place, frozenset()),
            retired=retired,
        )


NOWHERE = Places({}, {}, {}, {}, frozenset())


def places_of(registry: Registry) -> Places:
    """Read the registry; blocks."""
    areas, gateways, devices = registry.areas(), registry.gateways(), registry.devices()
    parents, above = {area.id: area.parent for area in areas}, areas_above(areas)
    own: dict[Place, str | None] = {(gateway.id, ""): gateway.area for gateway in gateways}
    own |= {(device.gateway, device.id): device.area for device in devices if device.area}
    return Places(
        kinds={(device.gateway, device.id): device.kind for device in devices if device.kind},
        tags={(device.gateway, device.id): frozenset(device.tags) for device in devices if device.tags},
        areas={(device.gateway, device.id): above[device.area] for device in devices if device.area in above},
        lines={place: line_of(area, parents) for place, area in own.items() if area},
        retired=frozenset(gateway.id for gateway in gateways if gateway.state is State.RETIRED)
        | frozenset(f"{device.gateway}/{device.id}" for device in devices if device.state is State.RETIRED),
    )
