"""What there is to ask about: every quantity a measurement, every point a series with its place as tags."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.catalogue import Language
from linli_core.vocabulary import vocabulary
from linli_platform.influxql.members import Members, Shelf
from linli_platform.influxql.source import Series
from linli_platform.registry import Area, Device, Gateway
from linli_platform.store import SeriesInfo

OWN_TAGS: Final = frozenset({"area", "device", "device_kind", "gateway", "kind", "point", "quantity", "unit"})
"""Tags that are not areas; an area of such a kind has no tag."""

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
"""Beside each place there is a tag with what people call it in each of these: ``building_zh``."""


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
    """

    series: Mapping[str, Members]

    @classmethod
    def of(
        cls,
        known: Iterable[SeriesInfo],
        places: "Places",
        sees: Callable[[SeriesInfo], bool],
        shelf: Shelf | None = None,
    ) -> "Catalogue":
        """Return the catalogue of the points that may be seen; ``shelf`` keeps what statements ask of their tags."""
        words = vocabulary()
        found: dict[str, list[Series]] = {}
        for info in known:
            if not sees(info):
                continue
            tags = places.tags(info.gateway, info.device) | {"point": info.name}
            if (quantity := words.get(info.quantity)) is not None:
                tags |= {"kind": quantity.kind.value} | ({"unit": quantity.unit} if quantity.unit else {})
            found.setdefault(info.quantity, []).append(Series(info.id, dict(sorted(tags.items()))))
        for members in found.values():
            members.sort(key=lambda one: tuple(one.tags.items()))
        shelf = shelf or Shelf()
        return cls({name: Members(members, shelf) for name, members in sorted(found.items())})


class Places:
    """Where each device of each gateway is, by the registry."""

    def __init__(self, areas: Iterable[Area], gateways: Iterable[Gateway], devices: Iterable[Device]) -> None:
        self._areas = {area.id: area for area in areas}
        self._gateways = {gateway.id: gateway for gateway in gateways}
        self._devices = {(device.gateway, device.id): device for device in devices}
        self._places: dict[str | None, Place] = {None: Place()}
        self._tags: dict[tuple[str, str], dict[str, str]] = {}

    def areas(self) -> list[Area]:
        """Return all areas."""
        return list(self._areas.values())

    def gateways(self) -> list[Gateway]:
        """Return all gateways, with what was known of them when this was made."""
        return list(self._gateways.values())

    def devices(self) -> list[Device]:
        """Return all devices."""
        return list(self._devices.values())

    def areas_of(self, sees: Callable[[str, str], bool]) -> frozenset[str]:
        """Return the areas in which, or below which, there is anything that may be seen."""
        here = [(gateway, "") for gateway in self._gateways if sees(gateway, "")]
        here += [key for key in self._devices if sees(*key)]
        return frozenset(area for key in here for area in self.of(*key).areas)

    def of(self, gateway: str, device: str) -> Place:
        """Return where a device is: in its own area, or in its gateway's; where a gateway is, without a device."""
        own = self._devices.get((gateway, device))
        whole = self._gateways.get(gateway)
        return self._place((own.area if own else None) or (whole.area if whole else None))

    def tags(self, gateway: str, device: str = "") -> dict[str, str]:
        """Return what a device, or a gateway, is called and where it is; by their ids where nobody named them."""
        found = self._tags.get((gateway, device))
        if found is None:
            whole, own = self._gateways.get(gateway), self._devices.get((gateway, device))
            found = {"gateway": gateway, **_named("gateway", gateway, whole.titles if whole else {})}
            if device:
                found |= {"device": device, **_named("device", device, own.titles if own else {})}
                found |= {"device_kind": own.kind} if own and own.kind else {}
            self._tags[gateway, device] = found = found | self._tags_of(self.of(gateway, device))
        return dict(found)

    def tags_of_area(self, area: str) -> dict[str, str]:
        """Return an area and those around it by their kinds, with what people call them."""
        return self._tags_of(self._place(area))

    def _tags_of(self, place: Place) -> dict[str, str]:
        found = dict(place.kinds)
        for kind, area in place.kinds.items():
            found |= _named(kind, area, self._areas[area].titles)
        return found

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


def _named(tag: str, identity: str, titles: Mapping[str, str]) -> dict[str, str]:
    return {f"{tag}_{lang}": titles.get(lang) or identity for lang in LANGUAGES}
