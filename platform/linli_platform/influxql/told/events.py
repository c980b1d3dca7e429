"""``event``: what gateways said that is no reading: lines lost and back, devices silent, meters exchanged."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from linli_core.catalogue import Language, catalogue, text
from linli_core.wire.plan import PLAN
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.members import Members
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import ByRows, chosen, piece_of
from linli_platform.influxql.window import Range, microseconds
from linli_platform.store import EventRow, EventSort

_MOST: Final = 50_000
"""Events of one statement."""

_OF_DEVICES: Final = "linli.device."
"""Begins the types of events whose subject is a device."""

_CALLED: Final = "event_type."
"""Begins the keys of the texts that say what types of events are called."""

_Place = tuple[str, str, str]
"""A gateway, a device of it or none, a type of event."""


class Events(ByRows):
    """Every event, when it happened.

    Args:
        known: What there is.
    """

    name = "event"
    fields: Mapping[str, Kind] = {
        "id": Kind.STRING,
        "said_en": Kind.STRING,
        "said_zh": Kind.STRING,
        "subject": Kind.STRING,
    }

    def series(self) -> Sequence[Series]:
        """Return one series for each type of event of each device or gateway that may be seen."""
        return self._made()[0]

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return what happened within a range.

        Raises:
            QueryError: That is more than one statement may bring.
        """
        places = self._made()[1]
        wanted = {places[one.id]: one for one in series}
        if not wanted:
            return []
        # Asked of these alone: a line that comes and goes in another community must not use up the bound.
        gateways, types = {place[0] for place in wanted}, {place[2] for place in wanted}
        found = self._known.store.events(*microseconds(reach), gateways=gateways, types=types, limit=_MOST + 1)
        members: dict[_Place, list[EventRow]] = {}
        for event in reversed(found):
            place = _place(EventSort(event.gateway, event.type, event.subject))
            if place in wanted:
                members.setdefault(place, []).append(event)
        if len(found) > _MOST:
            raise QueryError(f"more than {_MOST} events: ask for a shorter time, or for one type of them")
        named = chosen(self.fields, fields)
        return [
            piece_of(self.name, one.tags, [each.time for each in own], [_values(one, each) for each in own], named)
            for place, one in wanted.items()
            if (own := members.get(place))
        ]

    def _made(self) -> tuple[Members, list[_Place]]:
        found: tuple[Members, list[_Place]] | None = self._known.made.get(self.name)
        if found is None:
            known = self._known
            places = {_place(sort) for sort in known.store.event_sorts() if sort.type != PLAN}
            seen = [place for place in places if known.sees(*place[:2])]
            tagged = sorted((sorted(_tags(known, place).items()), place) for place in seen)
            series = [Series(number, dict(tags)) for number, (tags, _) in enumerate(tagged)]
            found = known.made[self.name] = Members(series, known.shelf), [place for _, place in tagged]
        return found


def _place(sort: EventSort) -> _Place:
    return sort.gateway, sort.subject if sort.type.startswith(_OF_DEVICES) else "", sort.type


def _tags(known: Known, place: _Place) -> dict[str, str]:
    tags = {**known.places.tags(*place[:2]), "type": place[2]}
    return {name: value for name, value in tags.items() if value}


def _words(kind: str, lang: Language) -> str:
    """Return what people call a type of event; one that has no name is called by its type."""
    short = kind.removeprefix("linli.")
    return catalogue(lang).get(_CALLED + short.replace(".", "_").replace("-", "_"), short)


def _values(series: Series, event: EventRow) -> dict[str, Any]:
    tags = series.tags
    whose = {lang: tags.get(f"device_{lang}", event.subject or tags[f"gateway_{lang}"]) for lang in LANGUAGES}
    said = {
        f"said_{lang}": text("mark.of", lang, name=name, event=_words(event.type, lang)) for lang, name in whose.items()
    }
    return {"id": event.id, "subject": event.subject or None, **said}
