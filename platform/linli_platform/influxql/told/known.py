"""What the platform's own measurements are made of, as one caller sees it at one moment."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from linli_core.instant import SECOND, Instant
from linli_core.log.account import Balance
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.counted import COUNTED, Registers
from linli_platform.influxql.members import Shelf
from linli_platform.registry import Loss, Registry
from linli_platform.store import SeriesInfo, Store

if TYPE_CHECKING:
    from linli_platform.alarms import AlarmService

_FRESH: Final = 5 * SECOND
"""How long what is so now is used: a board asks thirty times in a moment."""

_CALLERS: Final = 64

Balances: TypeAlias = Callable[[list[Loss], int | None], Mapping[str, list[Balance]]]
"""Holds the books of readings against each other."""

Sees: TypeAlias = Callable[[str, str], bool]
"""Tells whether what is said of a gateway's device, or of a gateway (device ``""``), may be seen."""


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
        zone: The community's, by whose midnights days begin.
        shelf: Keeps what statements ask of tags.
        made: What was made of it already, by measurement.
        lasting: What was made of where things are alone.
    """

    store: Store
    registry: Registry
    alarms: "AlarmService"
    balances: Balances | None
    catalogue: Catalogue
    places: Places
    sees: Sees
    everything: bool
    now: Instant
    shelf: Shelf
    zone: tzinfo = UTC
    made: dict[str, Any] = field(default_factory=dict)
    lasting: dict[str, Any] = field(default_factory=dict)

    @property
    def registers(self) -> Registers:
        """What is known of registers beside their readings."""
        found: Registers | None = self.made.get(COUNTED)
        if found is None:
            found = self.made[COUNTED] = Registers(self.store, self.gateways)
        return found

    @property
    def gateways(self) -> frozenset[str] | None:
        """The gateways of which anything may be seen; ``None`` for all.

        What is asked for with a bound is asked of these alone: another community's flood must not use it up.
        """
        if self.everything:
            return None
        found: frozenset[str] | None = self.lasting.get("")
        if found is None:
            whole = {gateway.id for gateway in self.places.gateways() if self.sees(gateway.id, "")}
            parts = {each.gateway for each in self.places.devices() if self.sees(each.gateway, each.id)}
            found = self.lasting[""] = frozenset(whole | parts)
        return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a caller knows, and of which state of the registry and the store."""

    state: Hashable
    known: Known


class Knowing:
    """What callers know: where everything is until something moves, and what is so now for a moment.

    Args:
        store: Open.
        registry: Open.
        alarms: Knows how often each device is read.
        balances: Holds the books of readings against each other; ``None`` where nothing takes messages.
        zone: The community's.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        alarms: "AlarmService",
        balances: Balances | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        self._store = store
        self._registry = registry
        self._alarms = alarms
        self._balances = balances
        self._zone = zone
        self._shelf = Shelf()
        self._places: tuple[int, Places] | None = None
        self._kept: dict[Hashable, _Kept] = {}

    def of(self, who: Hashable, now: Instant, sees: Callable[[Places], Sees], *, everything: bool) -> Known:
        """Return what a caller knows; it blocks.

        Args:
            who: Tells this caller, with all that decides what it may see, from others.
            now: The present instant.
            sees: Returns what tells what it may see, by where everything is.
            everything: Whether that is all there is.
        """
        revision, series = self._registry.places_revision(), self._store.all_series()
        state = revision, len(series), series[-1].id if series else 0
        kept = self._kept.get(who)
        if kept is None or kept.state != state:
            known = self._anew(self._placed(revision), series, now, sees, everything=everything)
        elif 0 <= now - kept.known.now < _FRESH:
            return kept.known
        else:
            known = replace(kept.known, now=now, made={})
        if len(self._kept) >= _CALLERS:
            self._kept.clear()
        self._kept[who] = _Kept(state, known)
        return known

    def _placed(self, revision: int) -> Places:
        if self._places is None or self._places[0] != revision:
            registry = self._registry
            self._places = revision, Places(registry.areas(), registry.gateways(), registry.devices())
        return self._places[1]

    def _anew(
        self,
        places: Places,
        series: list[SeriesInfo],
        now: Instant,
        sees: Callable[[Places], Sees],
        *,
        everything: bool,
    ) -> Known:
        seen = sees(places)
        return Known(
            store=self._store,
            registry=self._registry,
            alarms=self._alarms,
            balances=self._balances,
            catalogue=Catalogue.of(series, places, lambda info: seen(info.gateway, info.device), self._shelf),
            places=places,
            sees=seen,
            everything=everything,
            now=now,
            shelf=self._shelf,
            zone=self._zone,
        )
