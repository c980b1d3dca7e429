"""Tells the platform how often each point is read: at a start, and when it changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from linli_core.instant import MINUTE
from linli_core.wire.plan import PLAN, to_data
from linli_edge.timekeeping import Timekeeper

EVERY: Final = MINUTE
"""How often the plan is looked at: devices of which only the answer tells what they have answer by then."""


class Planned(Protocol):
    """A link."""

    @property
    def devices(self) -> frozenset[str]:
        """Ids of its devices."""
        ...

    def intervals(self) -> Mapping[str, int | None]:
        """Return by point how often it is read."""
        ...


class Teller(Protocol):
    """Where events go: the pipeline."""

    def tell(self, name: str, subject: str, data: dict[str, object], number: str = "") -> bool:
        """Send an event; tell whether the log took it."""
        ...

    def reports_by_exception(self, point: str) -> bool:
        """Tell whether only changes of a point are sent."""
        ...


class PlanTeller:
    """Watches the links' plans.

    Args:
        gateway: Whose they are.
        links: The links.
        teller: Where events go.
        time: Moves it.
    """

    def __init__(self, gateway: str, links: Callable[[], Sequence[Planned]], teller: Teller, time: Timekeeper) -> None:
        self._gateway = gateway
        self._links = links
        self._teller = teller
        self._time = time
        self._told: dict[str, dict[str, int | None]] = {}

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            self.look()
            await self._time.wait(EVERY)

    def look(self) -> None:
        """Tell of the devices whose plan changed since it was told last."""
        known: dict[str, dict[str, int | None]] = {}
        for link in self._links():
            for device in link.devices:
                known.setdefault(device, {})
            for name, interval in link.intervals().items():
                device = name.partition("/")[0]
                by_exception = interval is not None and self._teller.reports_by_exception(name)
                known.setdefault(device, {})[name] = None if by_exception else interval
        changed = {device: points for device, points in known.items() if self._told.get(device) != points}
        if not changed and known.keys() == self._told.keys():
            return
        intervals = {name: interval for points in changed.values() for name, interval in points.items()}
        for data in to_data(intervals, sorted(known)):
            if not self._teller.tell(PLAN, self._gateway, data):
                return  # the log is full: all of it is told again
        self._told = known
