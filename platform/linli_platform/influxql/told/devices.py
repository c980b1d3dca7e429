"""``device_state`` and ``point_state``: how long each device has been silent, and the newest reading of each point."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from linli_core.instant import HOUR, SECOND, Instant
from linli_core.model import quality_from_code
from linli_core.vocabulary import vocabulary
from linli_platform.alarms.outside import KIND as OUTSIDE
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Standing, Values
from linli_platform.registry import State
from linli_platform.store import LatestRow

SILENT_AFTER: Final = 3
"""Intervals without a reading."""

ASSUMED: Final = HOUR
"""The interval of a device whose gateway has not told it."""


_NEVER: Final = -(2**63)

_Key = tuple[str, str]
"""A gateway, and a device of it."""


def _devices(known: Known) -> Iterator[tuple[Mapping[str, str], _Key]]:
    for device in known.places.devices():
        if device.state is not State.RETIRED and known.sees(device.gateway, device.id):
            tags = known.places.tags(device.gateway, device.id)
            labels = {f"label_{lang}": f"{tags[f'device_{lang}']} [{device.id}]" for lang in LANGUAGES}
            yield tags | labels, (device.gateway, device.id)


def _silences(known: Known, devices: Sequence[_Key]) -> list[Values]:
    newest: dict[_Key, Instant] = {}
    points: dict[_Key, int] = {}
    for row in known.store.latest():
        key = row.series.gateway, row.series.device
        points[key] = points.get(key, 0) + 1
        if row.time > newest.get(key, _NEVER):
            newest[key] = row.time
    silent_by_nature = {(each.gateway, each.id) for each in known.places.devices() if each.kind == OUTSIDE}
    return [
        _silence(known, key, newest.get(key), points.get(key, 0), is_to_speak=key not in silent_by_nature)
        for key in devices
    ]


def _silence(known: Known, key: _Key, newest: Instant | None, points: int, *, is_to_speak: bool) -> Values:
    interval = known.alarms.interval_of(*key)
    age = None if newest is None else max(0, known.now - newest)
    return {
        "age": None if age is None else age / SECOND,
        "interval": None if interval is None else interval / SECOND,
        "points": points,
        # Of what speaks when something happens alone nobody can say that it is silent: it is in no count of devices.
        "silent": int(age is None or age > SILENT_AFTER * (interval or ASSUMED)) if is_to_speak else None,
    }


def _points(known: Known) -> Iterator[tuple[Mapping[str, str], int]]:
    words = vocabulary()
    retired = {(each.gateway, each.id) for each in known.places.devices() if each.state is State.RETIRED}
    for name, members in known.catalogue.series.items():
        quantity = words.get(name)
        titles = {f"quantity_{lang}": quantity.titles[lang] if quantity else name for lang in LANGUAGES}
        for one in members:
            if (one.tags["gateway"], one.tags["device"]) not in retired:
                yield {**one.tags, "quantity": name, **titles}, one.id


def _newest(known: Known, points: Sequence[int]) -> list[Values | None]:
    rows = {row.series.id: row for row in known.store.latest(points)}
    return [_told(known, row) if (row := rows.get(point)) is not None else None for point in points]


def _told(known: Known, row: LatestRow) -> Values:
    return {
        "age": max(0, known.now - row.time) / SECOND,
        "number": row.value,
        "state": quality_from_code(row.quality)[0].name.lower(),
        "words": row.text,
    }


DEVICES: Final = Standing(
    "device_state",
    {"age": Kind.FLOAT, "interval": Kind.FLOAT, "points": Kind.INTEGER, "silent": Kind.INTEGER},
    _devices,
    _silences,
)
POINTS: Final = Standing(
    "point_state",
    {"age": Kind.FLOAT, "number": Kind.FLOAT, "state": Kind.STRING, "words": Kind.STRING},
    _points,
    _newest,
)
