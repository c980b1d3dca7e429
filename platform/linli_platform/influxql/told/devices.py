"""``device_state`` and ``point_state``: how long each device has been silent, and the newest reading of each point."""

from collections.abc import Iterator
from typing import Final

from linli_core.instant import HOUR, SECOND, Instant
from linli_core.model import quality_from_code
from linli_core.vocabulary import vocabulary
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table
from linli_platform.registry import State

SILENT_AFTER: Final = 3
"""Intervals without a reading."""

ASSUMED: Final = HOUR
"""The interval of a device whose gateway has not told it."""


def _devices(known: Known) -> Iterator[Row]:
    newest: dict[tuple[str, str], Instant] = {}
    points: dict[tuple[str, str], int] = {}
    for row in known.store.latest():
        key = row.series.gateway, row.series.device
        newest[key] = max(newest.get(key, row.time), row.time)
        points[key] = points.get(key, 0) + 1
    for device in known.registry.devices():
        key = device.gateway, device.id
        if device.state is State.RETIRED or not known.sees(*key):
            continue
        interval = known.alarms.interval_of(*key)
        age = None if key not in newest else max(0, known.now - newest[key])
        yield Row(
            known.now,
            _labelled(known.places.tags(*key)),
            {
                "age": None if age is None else age / SECOND,
                "interval": None if interval is None else interval / SECOND,
                "points": points.get(key, 0),
                "silent": int(age is None or age > SILENT_AFTER * (interval or ASSUMED)),
            },
        )


def _labelled(tags: dict[str, str]) -> dict[str, str]:
    return tags | {f"label_{lang}": f"{tags[f'device_{lang}']} [{tags['device']}]" for lang in LANGUAGES}


def _points(known: Known) -> Iterator[Row]:
    words = vocabulary()
    seen = {one.id: one for members in known.catalogue.series.values() for one in members}
    for row in known.store.latest(list(seen)):
        one = seen[row.series.id]
        name = row.series.quantity
        quantity = words.get(name)
        titles = {f"quantity_{lang}": quantity.titles[lang] if quantity else name for lang in LANGUAGES}
        yield Row(
            known.now,
            {**one.tags, "quantity": name, **titles},
            {
                "age": max(0, known.now - row.time) / SECOND,
                "number": row.value,
                "state": quality_from_code(row.quality)[0].name.lower(),
                "words": row.text,
            },
        )


DEVICES: Final = Table(
    "device_state",
    {"age": Kind.FLOAT, "interval": Kind.FLOAT, "points": Kind.INTEGER, "silent": Kind.INTEGER},
    _devices,
)
POINTS: Final = Table(
    "point_state", {"age": Kind.FLOAT, "number": Kind.FLOAT, "state": Kind.STRING, "words": Kind.STRING}, _points
)
