"""All scenarios by name."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from linli_core.alarm.engine import CHINA
from linli_core.instant import HOUR, Instant, from_datetime, to_datetime
from linli_sim.scenarios import cold, electricity, fire, kitchen, meters, people, tanks, water
from linli_sim.scenarios.story import Scenario

_GROUPS: Final = (cold, kitchen, fire, tanks, people, electricity, water, meters)

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {scenario.name: scenario for module in _GROUPS for scenario in module.SCENARIOS}
)


def last_start(scenario: Scenario, now: Instant) -> Instant:
    """Return the latest instant, ``now`` or earlier, at which a scenario can start by the community's clock."""
    if scenario.hour is None:
        return now
    local = to_datetime(now).astimezone(CHINA)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start = from_datetime(midnight) + round(scenario.hour * HOUR)
    return start if start <= now else from_datetime(midnight - timedelta(days=1)) + round(scenario.hour * HOUR)
