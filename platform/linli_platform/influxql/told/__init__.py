"""What the platform tells about itself, as measurements beside the quantities (``docs/influxql.md``).

Each module has some of them; :data:`TOLD` names them all. What a caller may not see is left out where rows are made.
"""

from collections.abc import Iterator
from typing import Final

from linli_platform.influxql.joined import Virtual
from linli_platform.influxql.told.alarms import ACTIVE, COUNTS, Changes, Health, Seen
from linli_platform.influxql.told.areas import AREAS
from linli_platform.influxql.told.books import ACCOUNTS, LOSSES
from linli_platform.influxql.told.complete import Completeness
from linli_platform.influxql.told.devices import DEVICES, POINTS
from linli_platform.influxql.told.events import Events
from linli_platform.influxql.told.gateways import GATEWAYS, LINKS, UNITS
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Told

TOLD: Final = (ACCOUNTS, AREAS, DEVICES, GATEWAYS, LINKS, LOSSES, POINTS, UNITS)


__all__ = ["TOLD", "Known", "told"]


def told(known: Known) -> Iterator[Virtual]:
    """Yield every measurement, as one caller sees it."""
    for table in TOLD:
        yield Told(table, known)
    yield Told(ACTIVE, known)
    yield Told(COUNTS, known)
    yield Changes(known)
    yield Completeness(known)
    yield Events(known)
    yield Health(known)
    yield Seen(known)
