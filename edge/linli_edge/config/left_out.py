"""What of a wrong configuration a running gateway leaves out, so that one wrong device costs the others nothing. Pure.

``linli-edge check`` and every command of commissioning refuse a configuration with a mistake. A gateway that starts by
itself after a power cut, or after a profile was updated, must not: nobody is there, and every other meter would stand
unread until somebody comes. It starts without the devices that are wrong, and says so until they are mended.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linli_core.errors import ConfigError
from linli_edge.config.problems import ConfigErrors

Parse = Callable[[Mapping[str, object], str], Any]
"""As :class:`linli_edge.driver.DriverSpec` has it."""

_DEVICE: Final = re.compile(r"(?:\.protocols\[(?P<protocol>\d+)\])?\.devices\[(?P<device>\d+)\]")

_Place = tuple[int | None, int]
"""Of a device in its link's table: the protocol it stands under, if any, and which of the devices there it is."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not read because the configuration says it wrongly.

    Attributes:
        link: Id of the link.
        driver: The link's driver.
        devices: Ids of the devices; as they were written, so perhaps none at all.
        whole: The whole link is left out.
        mistakes: What is wrong.
    """

    link: str
    driver: str
    devices: tuple[str, ...]
    whole: bool
    mistakes: tuple[ConfigError, ...]

    @property
    def error(self) -> str:
        """What is wrong, for people."""
        return "; ".join(str(mistake) for mistake in self.mistakes)


def without_wrong_devices(
    parse: Parse, raw: Mapping[str, object], where: str
) -> tuple[Any, list[tuple[str, ConfigErrors]]] | None:
    """Return a link's settings without the devices that are wrong, and each of those with what is wrong with it.

    A mistake that names two devices (one unit, twice) takes both out: which of them is meant nobody knows, and a
    reading under the wrong meter's name is a wrong bill.

    Args:
        parse: Of the link's driver.
        raw: The link's table.
        where: Where it stands.

    Returns:
        ``None`` where the link itself is wrong, or every device of it.
    """
    names, wrong = dict(devices(raw)), dict[_Place, ConfigErrors]()
    kept = names
    while True:
        try:
            settings = _parse(parse, raw, where, kept)
        except ConfigErrors as exc:
            # A profile's mistakes stand in the profile: which devices have it shows only when each is tried alone.
            found = _named(exc, where) or _wrong_alone(parse, raw, where, kept)
            if not found or found.keys() >= kept.keys():
                return None
            wrong |= found
            kept = {place: name for place, name in kept.items() if place not in found}
        else:
            return settings, [(names[place] or "", errors) for place, errors in sorted(wrong.items(), key=_in_order)]


def device_names(raw: Mapping[str, object]) -> tuple[str, ...]:
    """Return the ids of a link's devices, as far as they have one."""
    return tuple(name for _, name in devices(raw) if name)


def _in_order(item: tuple[_Place, ConfigErrors]) -> tuple[int, int]:
    (protocol, device), _ = item
    return -1 if protocol is None else protocol, device


def devices(raw: Mapping[str, object], protocol: int | None = None) -> Iterator[tuple[_Place, str | None]]:
    """Yield place and id of each device of a link, those below the protocols of a shared line among them."""
    for number, item in enumerate(_list(raw, "devices")):
        name = item.get("id") if isinstance(item, dict) else None
        yield (protocol, number), name if isinstance(name, str) else None
    if protocol is None:
        for number, item in enumerate(_list(raw, "protocols")):
            yield from devices(item, number) if isinstance(item, dict) else ()


def path(place: _Place) -> str:
    """Return what errors call a device's place behind its link's: ``.devices[2]``."""
    protocol, device = place
    return f"{'' if protocol is None else f'.protocols[{protocol}]'}.devices[{device}]"


def _parse(parse: Parse, raw: Mapping[str, object], where: str, kept: Mapping[_Place, str | None]) -> Any:
    """Parse a link with these of its devices only; raise ``ConfigErrors`` with the places of the whole table."""
    only, places = _only(raw, kept)
    try:
        return parse(only, where)
    except ConfigErrors as exc:
        raise ConfigErrors(_as_it_stood(error, where, places) for error in exc.errors) from exc
    except ConfigError as exc:
        raise ConfigErrors([exc]) from exc


def _only(
    raw: Mapping[str, object], kept: Mapping[_Place, str | None]
) -> tuple[dict[str, object], dict[_Place, _Place]]:
    """Return a link's table with these devices only, and of each its place in the whole table."""
    places: dict[_Place, _Place] = {}
    only = dict(raw)
    if isinstance(raw.get("devices"), list):
        only["devices"] = _kept(raw, kept, (None, None), places)
    if isinstance(raw.get("protocols"), list):
        protocols: list[object] = []
        for number, item in enumerate(_list(raw, "protocols")):
            if isinstance(item, dict) and isinstance(item.get("devices"), list):
                if devices := _kept(item, kept, (number, len(protocols)), places):
                    protocols.append({**item, "devices": devices})
            else:
                protocols.append(item)
        only["protocols"] = protocols
    return only, places


def _kept(
    raw: Mapping[str, object],
    kept: Mapping[_Place, str | None],
    protocol: tuple[int | None, int | None],
    places: dict[_Place, _Place],
) -> list[object]:
    before, now = protocol
    devices: list[object] = []
    for number, item in enumerate(_list(raw, "devices")):
        if (before, number) in kept:
            places[now, len(devices)] = before, number
            devices.append(item)
    return devices


def _as_it_stood(error: ConfigError, where: str, places: Mapping[_Place, _Place]) -> ConfigError:
    def moved(match: re.Match[str]) -> str:
        place = _place(match)
        return f"{where}{path(places.get(place, place))}"

    pattern = re.compile(re.escape(where) + _DEVICE.pattern)
    return ConfigError(pattern.sub(moved, error.where), pattern.sub(moved, error.found), error.remedy)


def _named(errors: ConfigErrors, where: str) -> dict[_Place, ConfigErrors]:
    """Return the devices that mistakes name, as the place or as the other one of two.

    Those of two wait until no device is wrong by itself: what such a one clashes with may be right.
    """
    pattern = re.compile(re.escape(where) + _DEVICE.pattern)
    named = [({_place(match) for match in pattern.finditer(f"{it.where} {it.found}")}, it) for it in errors.errors]
    alone = [(places, error) for places, error in named if len(places) == 1]
    found: dict[_Place, list[ConfigError]] = {}
    for places, error in alone or named:
        for place in places:
            found.setdefault(place, []).append(error)
    return {place: ConfigErrors(mistakes) for place, mistakes in found.items()}


def _wrong_alone(
    parse: Parse, raw: Mapping[str, object], where: str, kept: Mapping[_Place, str | None]
) -> dict[_Place, ConfigErrors]:
    found: dict[_Place, ConfigErrors] = {}
    for place, name in kept.items():
        try:
            _parse(parse, raw, where, {place: name})
        except ConfigErrors as exc:
            found[place] = exc
    return found


def _place(match: re.Match[str]) -> _Place:
    protocol = match["protocol"]
    return None if protocol is None else int(protocol), int(match["device"])


def _list(raw: Mapping[str, object], key: str) -> list[Any]:
    items = raw.get(key)
    return items if isinstance(items, list) else []
