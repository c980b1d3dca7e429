"""Data by chance: a few points of two gateways, irregular, with gaps, texts and what was read badly."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from linli_core.model import Quality, Reason, quality_code
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.registry import Area, Device, State
from linli_platform.store import Batch, Store

START: Final = 1_600_000_000_000_000
"""µs: 2020-09-13T12:26:40Z."""

MEASUREMENTS: Final = ("active_power", "temperature")

_GOOD: Final = quality_code(Quality.GOOD)
_UNCERTAIN: Final = quality_code(Quality.UNCERTAIN)
_BAD: Final = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading; see :class:`linli_platform.store.Batch`."""

    series: int
    time: int
    value: float | None
    text: str | None
    quality: int


@dataclass(frozen=True, slots=True)
class World:
    """Points with readings.

    Attributes:
        catalogue: The points.
        readings: In order of series and time.
    """

    catalogue: Catalogue
    readings: list[Reading]

    def lines(self) -> Iterator[str]:
        """Yield the readings in line protocol, with the tags and fields that our front gives them."""
        places = {one.id: (name, one.tags) for name, members in self.catalogue.series.items() for one in members}
        for reading in self.readings:
            name, tags = places[reading.series]
            key = ",".join([name, *(f"{tag}={_escaped(value)}" for tag, value in tags.items())])
            fields = [f"quality={reading.quality}i"]
            if reading.quality >= _BAD_FROM:
                fields.append(f"unusable={reading.quality}i")
            if reading.value is not None:
                fields.append(f"{'raw' if reading.quality >= _BAD_FROM else 'value'}={reading.value!r}")
            if reading.text is not None:
                fields.append(f'text="{reading.text}"')
            yield f"{key} {','.join(fields)} {reading.time * 1000}"


_BAD_FROM: Final = quality_code(Quality.BAD)


def make(store: Store, seed: int) -> World:
    """Put data into a store that is empty, and return what it holds."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    areas = [Area("north", None, "building"), Area("south", None, "building")]
    devices, readings = [], []
    for gateway in ("gw1", "gw2"):
        for device in ("a", "b", "c"):
            area = chance.choice(["north", "south", None])
            devices.append(Device(gateway, device, State.ACTIVE, area=area))
            for measurement in MEASUREMENTS:
                if chance.random() > 0.15:
                    series = store.series(gateway, f"{device}/{measurement}")
                    readings += list(_readings(chance, series.id))
    store.append(_batch(readings), {})
    catalogue = Catalogue.of(store.all_series(), Places(areas, [], devices), lambda _info: True)
    return World(catalogue, readings)


def _readings(chance: random.Random, series: int) -> Iterator[Reading]:
    # No two points have a reading at one instant: in what order InfluxDB has those is chance.
    time = START + chance.randrange(60) * _SECOND + series * 100
    for _ in range(chance.randrange(1, 60)):
        time += chance.choice([1, 10, 60, 60, 60, 600]) * _SECOND + chance.choice([0, 0, 1])
        kind = chance.random()
        if kind > 0.85:
            yield Reading(series, time, None, chance.choice(["on", "off", "hi there"]), _GOOD)
        elif kind < 0.1:
            yield Reading(series, time, None, None, _BAD)
        else:
            value = round(chance.uniform(-50, 300), chance.choice([0, 1, 3]))
            yield Reading(series, time, value, None, chance.choice([_GOOD, _GOOD, _GOOD, _UNCERTAIN, _BAD]))


def _batch(readings: list[Reading]) -> Batch:
    return Batch(
        series=np.array([reading.series for reading in readings], np.int32),
        time=np.array([reading.time for reading in readings], np.int64),
        value=np.array([np.nan if reading.value is None else reading.value for reading in readings], np.float64),
        quality=np.array([reading.quality for reading in readings], np.uint8),
        received_at=START,
        texts={row: reading.text for row, reading in enumerate(readings) if reading.text is not None},
    )


def _escaped(text: str) -> str:
    return text.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")
