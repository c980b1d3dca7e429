"""Who is told of which alarms, when and how often: a TOML file, checked whole before anything is sent.

Secrets are not in it: each target names a file whose first line is its address with all that it needs to know.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

import msgspec

from linli_core.alarm import Category, Priority
from linli_core.catalogue import Language
from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import is_id
from linli_core.settings import parse_toml

_LENGTH: Final = re.compile(r"(?P<number>\d{1,6}) ?(?P<unit>s|min|h|d)", re.ASCII)
_UNITS: Final = {"s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST: Final = 500
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody, or something, that can be told.

    Attributes:
        id: Its name in routes, log and pages.
        url_file: File whose first line is its address as Apprise writes it (``mailtos://…``, ``wecombot://…``).
        lang: The language it is written to in.
        burst: So many messages may follow each other at once; one of them is kept for alarms of high priority.
        every: Afterwards there is one in this time; what comes meanwhile goes together in it.
        give_up: A message that could not be handed over for so long is given up.
    """

    id: str
    url_file: str
    lang: Language = "zh"
    burst: int = 5
    every: str = "1 min"
    give_up: str = "1 d"


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alarms go to whom; all that is given must match, and every route that matches is taken.

    Attributes:
        id: Its name in the log.
        to: Targets.
        categories, priorities: Of the alarm.
        areas: Places; whatever is below them counts too.
        gateways, devices, rules: Globs.
        days, hours: When, by the community's clock; ``22:00-06:00`` goes over midnight and is of the day it begins on.
        repeat: Say it again after so long until somebody acknowledges it; empty for once.
        resolved: Say when it is over, to whom was told that it began.
    """

    id: str
    to: tuple[str, ...]
    categories: tuple[Category, ...] = ()
    priorities: tuple[Priority, ...] = ()
    areas: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    days: tuple[Day, ...] = ()
    hours: str = ""
    repeat: str = ""
    resolved: bool = True

    def is_open(self, local: datetime) -> bool:
        """Tell whether the route is taken at a local time."""
        if not self.hours:
            return not self.days or _DAYS[local.weekday()] in self.days
        begin, end = _span(self.hours)
        clock = local.time()
        if begin < end:
            return begin <= clock < end and (not self.days or _DAYS[local.weekday()] in self.days)
        if clock >= begin:
            return not self.days or _DAYS[local.weekday()] in self.days
        return clock < end and (not self.days or _DAYS[local.weekday() - 1] in self.days)


class Inhibition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What need not be told while something larger stands.

    Attributes:
        by: Globs of rules: while an alarm of one of them holds …
        of: Globs of rules: … nobody is told of these …
        within: … on the same device, the same gateway, or in the same area and below it.
    """

    by: tuple[str, ...]
    of: tuple[str, ...]
    within: Literal["device", "gateway", "area"] = "area"


class Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of routes.

    Attributes:
        page: Where people reach the platform's pages (``https://linli.example``): messages point there.
        keep_days: How long the log of what was told stays.
    """

    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    page: str = ""
    keep_days: int = 90


def load_routes(path: Path) -> Routes:
    """Return the routes of a file; :class:`ConfigError` says what in it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("notify.file", f"{path} cannot be read ({exc})", "check path and permissions") from exc
    return parse_routes(text, str(path))


def parse_routes(text: str, where: str) -> Routes:
    """Return the routes of a TOML text; ``where`` names it in errors."""
    try:
        routes = msgspec.convert(parse_toml(text, where), Routes)
    except msgspec.ValidationError as exc:
        raise ConfigError(where, str(exc), "docs/alarms.md lists what may stand there") from exc
    _check(routes, where)
    return routes


def length(text: str, where: str) -> Instant:
    """Return a length of time such as ``15 min``."""
    match = _LENGTH.fullmatch(text)
    if match is None or not int(match["number"]):
        raise ConfigError(where, f"found {text!r}", 'write a length of time such as "90 s" or "15 min"')
    return int(match["number"]) * _UNITS[match["unit"]]


def matches(text: str, globs: Sequence[str]) -> bool:
    """Tell whether a text is of one of the globs; of none given, every text is."""
    return not globs or any(fnmatchcase(text, glob) for glob in globs)


def _span(hours: str) -> tuple[time, time]:
    match = _HOURS.fullmatch(hours)
    assert match is not None
    return time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))


def _check(routes: Routes, where: str) -> None:
    targets = _check_ids("targets", [target.id for target in routes.targets], where)
    _check_ids("routes", [route.id for route in routes.routes], where)
    for target in routes.targets:
        place = f"{where}: targets.{target.id}"
        length(target.every, f"{place}.every")
        length(target.give_up, f"{place}.give_up")
        if not target.url_file:
            raise ConfigError(f"{place}.url_file", "missing", "name a file that holds the address as its first line")
        if not 2 <= target.burst <= 100:
            raise ConfigError(f"{place}.burst", f"found {target.burst}", "choose one from 2 to 100")
    for route in routes.routes:
        _check_route(route, targets, f"{where}: routes.{route.id}")
    for number, inhibition in enumerate(routes.inhibitions):
        if not inhibition.by or not inhibition.of:
            raise ConfigError(f"{where}: inhibitions[{number}]", "by and of are needed", "name rules in both")
    if routes.page and not routes.page.startswith(("http://", "https://")):
        raise ConfigError(f"{where}: page", f"found {routes.page!r}", "write an address such as https://linli.example")
    if not 1 <= routes.keep_days <= 10_000:
        raise ConfigError(f"{where}: keep_days", f"found {routes.keep_days}", "choose one from 1 to 10000")


def _check_route(route: Route, targets: set[str], place: str) -> None:
    if not route.to:
        raise ConfigError(f"{place}.to", "nobody", "name at least one target")
    for target in route.to:
        if target not in targets:
            known = ", ".join(sorted(targets)) or "none is there"
            raise ConfigError(f"{place}.to", f"there is no target {target!r}", f"choose from: {known}")
    if route.repeat and length(route.repeat, f"{place}.repeat") < MINUTE:
        raise ConfigError(f"{place}.repeat", f"found {route.repeat!r}", "repeat after a minute or more")
    if route.hours and (_HOURS.fullmatch(route.hours) is None or len(set(_span(route.hours))) == 1):
        raise ConfigError(f"{place}.hours", f"found {route.hours!r}", 'write two times such as "22:00-06:00"')


def _check_ids(kind: str, ids: Iterable[str], where: str) -> set[str]:
    seen: set[str] = set()
    for name in ids:
        if not is_id(name):
            raise ConfigError(f"{where}: {kind}", f"{name!r} is no id", "use lower case, digits and hyphens")
        if name in seen:
            raise ConfigError(f"{where}: {kind}", f"{name!r} is there twice", "give each its own id")
        seen.add(name)
    if len(seen) > _MOST:
        raise ConfigError(f"{where}: {kind}", f"found {len(seen)}", f"write at most {_MOST}")
    return seen
