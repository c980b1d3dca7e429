"""``registry.toml``: areas, gateways and devices as an operator declares them.

::

    [[areas]]
    id = "jasmine-garden"
    kind = "community"
    titles = { zh = "茉莉花园", en = "Jasmine Garden" }

    [[gateways]]
    id = "gw-electric"
    area = "jasmine-garden"
    titles = { zh = "配电间网关", en = "Switch room" }

    [[gateways.devices]]
    id = "meter-1"
    kind = "electricity_meter"
    titles = { zh = "总表", en = "Main meter" }

What is declared is active unless ``state`` says otherwise. Importing again changes what changed and removes nothing.
"""

from typing import Literal

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_platform.registry.registry import Registry
from linli_platform.registry.rows import Area, Device, Gateway, State

Language = Literal["zh", "en"]


class AreaEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place; parents may stand after their children."""

    id: str
    kind: str = "area"
    parent: str | None = None
    titles: dict[Language, str] = {}


class DeviceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device of the gateway it stands under; in the gateway's area unless it names its own."""

    id: str
    kind: str = ""
    area: str | None = None
    titles: dict[Language, str] = {}
    state: State = State.ACTIVE
    tags: tuple[str, ...] = ()


class GatewayEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gateway."""

    id: str
    area: str | None = None
    titles: dict[Language, str] = {}
    state: State = State.ACTIVE
    devices: tuple[DeviceEntry, ...] = ()


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole ``registry.toml``."""

    areas: tuple[AreaEntry, ...] = ()
    gateways: tuple[GatewayEntry, ...] = ()


def check(declaration: Declaration, known_areas: frozenset[str] = frozenset()) -> None:
    """Raise :class:`ConfigError` for the first entry that cannot be used.

    Args:
        declaration: What was read.
        known_areas: Areas the registry holds already.
    """
    areas = known_areas | {area.id for area in declaration.areas}
    seen: set[str] = set()
    for number, area in enumerate(declaration.areas):
        _check_id(area.id, f"areas[{number}]", seen)
        _check_area(area.parent, f"areas[{number}].parent", areas)
    _parents_first(declaration.areas)
    gateways: set[str] = set()
    for number, gateway in enumerate(declaration.gateways):
        where = f"gateways[{number}]"
        _check_id(gateway.id, where, gateways)
        _check_area(gateway.area, f"{where}.area", areas)
        devices: set[str] = set()
        for index, device in enumerate(gateway.devices):
            _check_id(device.id, f"{where}.devices[{index}]", devices)
            _check_area(device.area, f"{where}.devices[{index}].area", areas)
            for place, tag in enumerate(device.tags):
                if not is_id(tag):
                    remedy = "use lower case, digits and hyphens, 63 at most"
                    raise ConfigError(f"{where}.devices[{index}].tags[{place}]", f"{tag!r} is no tag", remedy)


def apply(declaration: Declaration, registry: Registry) -> None:
    """Write a declaration to the registry, all or nothing; :class:`ConfigError` if it cannot be used."""
    check(declaration, frozenset(area.id for area in registry.areas()))
    registry.declare(
        [Area(area.id, area.parent, area.kind, _titles(area.titles)) for area in _parents_first(declaration.areas)],
        [Gateway(item.id, item.state, _titles(item.titles), item.area) for item in declaration.gateways],
        [
            Device(
                gateway.id,
                item.id,
                item.state,
                item.kind,
                _titles(item.titles),
                item.area or gateway.area,
                tags=tuple(dict.fromkeys(item.tags)),
            )
            for gateway in declaration.gateways
            for item in gateway.devices
        ],
    )


def _titles(titles: dict[Language, str]) -> dict[str, str]:
    return {str(language): text for language, text in titles.items()}


def _check_id(text: str, where: str, seen: set[str]) -> None:
    if not is_id(text):
        raise ConfigError(f"{where}.id", f"{text!r} is no id", "use lower case, digits and hyphens, 63 at most")
    if text in seen:
        raise ConfigError(f"{where}.id", f"{text!r} stands here twice", "give each its own id")
    seen.add(text)


def _check_area(area: str | None, where: str, areas: frozenset[str]) -> None:
    if area is not None and area not in areas:
        raise ConfigError(where, f"no area is called {area!r}", "declare it under [[areas]]")


def _parents_first(areas: tuple[AreaEntry, ...]) -> list[AreaEntry]:
    """Return areas so that each stands after its parent; a ring of parents is a :class:`ConfigError`."""
    ordered: list[AreaEntry] = []
    waiting = list(areas)
    while waiting:
        blocked = {area.id for area in waiting}
        free = [area for area in waiting if area.parent not in blocked]
        if not free:
            ring = ", ".join(area.id for area in waiting)
            raise ConfigError("areas", f"{ring} are each other's parents", "let one of them stand without a parent")
        ordered += free
        waiting = [area for area in waiting if area.parent in blocked]
    return ordered
