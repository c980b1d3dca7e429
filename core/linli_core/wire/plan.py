"""How often a gateway reads its points, so that what is missing is known: the ``data`` of an event, :data:`PLAN`.

It is an event of the log: durable, and in its place among the readings. A platform that does not know it stores one
more event; of a gateway that does not send it nobody knows what is missing.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import SECOND, from_seconds
from linli_core.model import parse_point

PLAN: Final = "linli.gateway.plan"
"""Type of the event."""

MOST_POINTS: Final = 500
"""Points in one event: it stays well below an event's largest size."""

MOST_DEVICES: Final = 10_000

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)]


class Plan(msgspec.Struct, frozen=True):
    """A plan, or a part of it.

    Attributes:
        points: By device and point, seconds from one reading to the next; ``None`` where nobody can say, since only
            changes are sent or the device talks unasked. It replaces what was said of these devices.
        devices: All devices that are read; ``None`` in the later parts of a plan. Of others nothing is expected.
    """

    points: dict[str, dict[str, _Seconds | None]]
    devices: Annotated[list[str], msgspec.Meta(max_length=MOST_DEVICES)] | None = None

    def intervals(self) -> dict[str, int | None]:
        """Return microseconds by point name below the gateway; a name that is none is left out."""
        found: dict[str, int | None] = {}
        for device, points in self.points.items():
            for local, seconds in points.items():
                name = f"{device}/{local}"
                try:
                    parse_point(name)
                except ValueError:
                    continue
                found[name] = None if seconds is None else from_seconds(seconds)
        return found


def to_data(intervals: Mapping[str, int | None], devices: list[str]) -> Iterator[dict[str, object]]:
    """Return a plan as the ``data`` of as many events as it needs; a device's points stay together."""
    points: dict[str, dict[str, float | None]] = {}
    for name, interval in intervals.items():
        device, _, local = name.partition("/")
        points.setdefault(device, {})[local] = None if interval is None else interval / SECOND
    part: dict[str, dict[str, float | None]] = {}
    known: list[str] | None = devices
    for device, of_device in points.items():
        if part and sum(map(len, part.values())) + len(of_device) > MOST_POINTS:
            yield {"points": part, "devices": known}
            part, known = {}, None
        part[device] = of_device
    yield {"points": part, "devices": known}


def from_data(data: object) -> Plan:
    """Return what an event's ``data`` says; raise :class:`Refused` if it is malformed. Fields not known are ignored."""
    try:
        return msgspec.convert(data, Plan)
    except msgspec.ValidationError as exc:
        raise Refused(RefusalReason.MALFORMED, f"plan: {exc}", where="data") from exc
