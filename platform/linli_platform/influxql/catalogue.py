"""What there is to ask about: every quantity a measurement, every point a series with its place as tags."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.vocabulary import vocabulary
from linli_platform.influxql.source import Series
from linli_platform.registry import Area, Device, Gateway
from linli_platform.store import SeriesInfo

OWN_TAGS: Final = frozenset({"device", "gateway", "kind", "point", "unit"})
"""Tags that are not areas; an area of such a kind has no tag."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point is.

    Attributes:
        areas: Ids of the area it is in and of all around that one, inmost first.
        kinds: Area by kind; of two of one kind the inner.
    """

    areas: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Measurements and their series, as one asker sees them.

    Attributes:
        series: By measurement, in order of their tags.
        tags: By measurement, those that any of its series has.
    """

    series: Mapping[str, list[Series]]
    tags: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, known: Iterable[SeriesInfo], places: "Places", sees: Callable[[SeriesInfo], bool]) -> "Catalogue":
        """Return the catalogue of the points that may be seen."""
        words = vocabulary()
        found: dict[str, list[Series]] = {}
        for info in known:
            if not sees(info):
                continue
            place = places.of(info.gateway, info.device)
            tags = {"device": info.device, "gateway": info.gateway, "point": info.name} | dict(place.kinds)
            if (quantity := words.get(info.quantity)) is not None:
                tags |= {"kind": quantity.kind.value} | ({"unit": quantity.unit} if quantity.unit else {})
            found.setdefault(info.quantity, []).append(Series(info.id, dict(sorted(tags.items()))))
        for members in found.values():
            members.sort(key=lambda one: tuple(one.tags.items()))
        keys = {name: frozenset(tag for one in members for tag in one.tags) for name, members in found.items()}
        return cls(dict(sorted(found.items())), keys)


class Places:
    """Where each device of each gateway is, by the registry."""

    def __init__(self, areas: Iterable[Area], gateways: Iterable[Gateway], devices: Iterable[Device]) -> None:
        self._areas = {area.id: area for area in areas}
        self._gateways = {gateway.id: gateway.area for gateway in gateways}
        self._devices = {(device.gateway, device.id): device.area for device in devices}
        self._places: dict[str | None, Place] = {None: Place()}

    def of(self, gateway: str, device: str) -> Place:
        """Return where a device is: in its own area, or in its gateway's."""
        return self._place(self._devices.get((gateway, device)) or self._gateways.get(gateway))

    def _place(self, area: str | None) -> Place:
        found = self._places.get(area)
        if found is None:
            chain: list[Area] = []
            at = area
            while at is not None and (here := self._areas.get(at)) is not None and here not in chain:
                chain.append(here)
                at = here.parent
            kinds: dict[str, str] = {}
            for here in chain:
                if here.kind and here.kind not in OWN_TAGS:
                    kinds.setdefault(here.kind, here.id)
            found = self._places[area] = Place(tuple(here.id for here in chain), kinds)
        return found
