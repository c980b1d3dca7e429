"""Where a rule looks: which series, and what an alarm of them is about."""

from collections.abc import Collection
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from linli_core.instant import Instant


class SubjectKind(StrEnum):
    """What the alarm is about: one point, a whole device, a whole gateway."""

    POINT = "point"
    DEVICE = "device"
    GATEWAY = "gateway"


class Series(msgspec.Struct, frozen=True):
    """What the engine must know of a series to choose its rules.

    Attributes:
        gateway: Id of the gateway.
        device: Id of the device.
        name: The point's name below the gateway: ``device/quantity[.qualifier…]``.
        quantity: Name in the vocabulary.
        kind: The device's kind or profile, empty if not known.
        tags: The device's tags.
        interval: The point's own interval in µs, ``None`` to learn it.
        areas: Ids of the areas the device stands in: its own and those above it.
        retired: What of it was taken out: nobody waits to hear of that.
    """

    gateway: str
    device: str
    name: str
    quantity: str
    kind: str = ""
    tags: frozenset[str] = frozenset()
    interval: Instant | None = None
    areas: frozenset[str] = frozenset()
    retired: frozenset[SubjectKind] = frozenset()

    def subject(self, of: SubjectKind) -> str:
        """Return the subject this series belongs to: ``gateway``, ``gateway/device`` or ``gateway/device/point``."""
        if of is SubjectKind.GATEWAY:
            return self.gateway
        if of is SubjectKind.DEVICE:
            return f"{self.gateway}/{self.device}"
        return f"{self.gateway}/{self.name}"


def lies_in(subject: str, places: Collection[str]) -> bool:
    """Tell whether a subject is one of some gateways (``gateway``) and devices (``gateway/device``), or below one."""
    gateway, _, below = subject.partition("/")
    return gateway in places or f"{gateway}/{below.partition('/')[0]}" in places


class Scope(msgspec.Struct, frozen=True):
    """Which series a rule watches: every list that is not empty must match; patterns are shell globs.

    Attributes:
        gateways: Patterns of gateway ids.
        devices: Patterns of device ids.
        kinds: Patterns of device kinds.
        tags: Tags, one of which the device must bear.
        points: Patterns of point names (``*/voltage.l[123]``).
        areas: Ids of areas, in one of which (or below it) the device must stand.
    """

    gateways: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def matches(self, series: Series) -> bool:
        """Tell whether a series is in scope."""
        return (
            _any_match(series.gateway, self.gateways)
            and _any_match(series.device, self.devices)
            and _any_match(series.kind, self.kinds)
            and _any_match(series.name, self.points)
            and (not self.tags or not series.tags.isdisjoint(self.tags))
            and (not self.areas or not series.areas.isdisjoint(self.areas))
        )


def _any_match(text: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


EVERYWHERE: Final = Scope()
