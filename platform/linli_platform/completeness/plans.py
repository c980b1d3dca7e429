"""What each gateway plans to read, and planned at each moment before."""

import logging
from typing import Final

import msgspec

from linli_core.completeness import Step, add_step
from linli_core.errors import Refused
from linli_core.instant import Instant
from linli_core.wire.plan import Plan, from_data
from linli_platform.store import EventRow

_log = logging.getLogger(__name__)

_KEPT: Final = 5_000
"""Plans of one gateway remembered; the oldest go first."""


class Plans:
    """The plans of all gateways."""

    def __init__(self) -> None:
        self._gateways: dict[str, _GatewayPlans] = {}

    def take(self, row: EventRow) -> None:
        """Take a plan; one that cannot be read is logged, and nothing is expected because of it."""
        try:
            plan = from_data(msgspec.json.decode(row.body))
        except (Refused, msgspec.MsgspecError) as exc:
            _log.warning("gateway %s: %s", row.gateway, exc)
            return
        self._gateways.setdefault(row.gateway, _GatewayPlans()).take(row.time, row.id, plan)

    def steps(self, gateway: str) -> dict[str, list[Step]]:
        """Return a gateway's points, and how often each was to be read from when on."""
        found = self._gateways.get(gateway)
        return {} if found is None else found.steps

    def gateways(self) -> list[str]:
        """Return the gateways that said a plan."""
        return list(self._gateways)


class _GatewayPlans:
    """One gateway's plans in order of time, and what they come to."""

    def __init__(self) -> None:
        self.steps: dict[str, list[Step]] = {}
        self._said: list[tuple[Instant, str, Plan]] = []

    def take(self, since: Instant, number: str, plan: Plan) -> None:
        entry = (since, number, plan)
        in_order = not self._said or (since, number) > self._said[-1][:2]
        self._said.append(entry)
        if in_order and len(self._said) <= _KEPT:
            _apply(self.steps, since, plan)
            return
        # One that an outage held up: who had come and gone by then is found by going through all of them again.
        self._said.sort(key=lambda said: said[:2])
        del self._said[:-_KEPT]
        steps: dict[str, list[Step]] = {}
        for moment, _, said in self._said:
            _apply(steps, moment, said)
        self.steps = steps


def _apply(known: dict[str, list[Step]], since: Instant, plan: Plan) -> None:
    intervals = plan.intervals()
    for name, interval in intervals.items():
        add_step(known.setdefault(name, []), since, interval)
    for name, steps in known.items():
        device = name.partition("/")[0]
        gone = plan.devices is not None and device not in plan.devices
        replaced = device in plan.points and name not in intervals
        if gone or replaced:
            add_step(steps, since, None)
