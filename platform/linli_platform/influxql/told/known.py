"""What the platform's own measurements are made of, as one caller sees it at one moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linli_core.instant import Instant
from linli_core.log.account import Balance
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.registry import Loss, Registry
from linli_platform.store import Store

if TYPE_CHECKING:
    from linli_platform.alarms import AlarmService


@dataclass(frozen=True, slots=True)
class Known:
    """What there is, and what of it may be seen.

    Attributes:
        store, registry: Open.
        alarms: Knows how often each device is read.
        balances: Holds the books of readings against each other; ``None`` where nothing takes messages.
        catalogue: The points that may be seen.
        places: Where everything is.
        sees: Tells whether what is said of a gateway's device, or of a gateway (device ``""``), may be seen.
        everything: Whether the caller may see all there is.
        now: The present instant.
        made: Rows that were made of it already, by measurement.
    """

    store: Store
    registry: Registry
    alarms: "AlarmService"
    balances: Callable[[list[Loss], int | None], Mapping[str, list[Balance]]] | None
    catalogue: Catalogue
    places: Places
    sees: Callable[[str, str], bool]
    everything: bool
    now: Instant
    made: dict[str, Any] = field(default_factory=dict)
