"""``event``: what gateways said that is no reading: lines lost and back, devices silent, meters exchanged."""

from collections.abc import Iterator
from typing import Final

from linli_core.instant import DAY
from linli_core.wire.plan import PLAN
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table
from linli_platform.store import EventRow

_BACK: Final = 400 * DAY
_MOST: Final = 50_000
"""The newest ones: a board shows marks, and does not search."""
_APART: Final = 50
"""Gateways that are asked for one by one at most."""


def _rows(known: Known) -> Iterator[Row]:
    for event in _newest(known):
        device = event.subject if event.type.startswith("linli.device.") else ""
        if event.type == PLAN or not known.sees(event.gateway, device):
            continue
        tags = known.places.tags(event.gateway, device)
        whose = {lang: tags.get(f"device_{lang}", event.subject or tags[f"gateway_{lang}"]) for lang in LANGUAGES}
        said = {f"said_{lang}": f"{name}: {event.type.removeprefix('linli.')}" for lang, name in whose.items()}
        yield Row(event.time, tags | {"type": event.type}, {"id": event.id, "subject": event.subject or None, **said})


def _newest(known: Known) -> Iterator[EventRow]:
    start, end = known.now - _BACK, known.now + DAY
    gateways = known.gateways
    if gateways is None or len(gateways) > _APART:
        yield from known.store.events(start, end, limit=_MOST)
        return
    # Each by itself: a line that comes and goes in another community must not use up the bound.
    for gateway in sorted(gateways):
        yield from known.store.events(start, end, gateway=gateway, limit=_MOST // len(gateways))


EVENTS: Final = Table(
    "event",
    {"id": Kind.STRING, "said_en": Kind.STRING, "said_zh": Kind.STRING, "subject": Kind.STRING},
    _rows,
)
