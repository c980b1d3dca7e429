"""``event``: what gateways said that is no reading: lines lost and back, devices silent, meters exchanged."""

from collections.abc import Iterator
from typing import Final

from linli_core.instant import DAY
from linli_core.wire.plan import PLAN
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table

_BACK: Final = 400 * DAY
_MOST: Final = 50_000
"""The newest ones: a board shows marks, and does not search."""


def _rows(known: Known) -> Iterator[Row]:
    for event in known.store.events(known.now - _BACK, known.now + DAY, limit=_MOST):
        device = event.subject if event.type.startswith("linli.device.") else ""
        if event.type == PLAN or not known.sees(event.gateway, device):
            continue
        tags = known.places.tags(event.gateway, device)
        whose = {lang: tags.get(f"device_{lang}", event.subject or tags[f"gateway_{lang}"]) for lang in LANGUAGES}
        said = {f"said_{lang}": f"{name}: {event.type.removeprefix('linli.')}" for lang, name in whose.items()}
        yield Row(event.time, tags | {"type": event.type}, {"id": event.id, "subject": event.subject or None, **said})


EVENTS: Final = Table(
    "event",
    {"id": Kind.STRING, "said_en": Kind.STRING, "said_zh": Kind.STRING, "subject": Kind.STRING},
    _rows,
)
