"""Readings as InfluxDB's line protocol, microseconds: one measurement for each quantity (``docs/adr/0024-servers.md``).

A usable number is the field ``value``, the number of a BAD reading is ``raw``, text is ``text``; ``quality`` is in
every line, so that a reading that has nothing else is a line as well. Lines are built directly: by the client library's
point objects it takes ten times as long.
"""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.model import Quality, quality_code
from linli_platform.store import Batch, SeriesInfo, StoreError

BAD: Final = quality_code(Quality.BAD)
EARLIEST: Final = -(2**63 - 2) // 1000 + 1
LATEST: Final = (2**63 - 2) // 1000 - 1
"""µs; the server counts nanoseconds in 64 bits, and keeps the outermost for itself."""

LINES: Final = 10_000
"""Lines of one request: InfluxDB's own advice is 5,000 to 10,000."""

_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ "})
_TAG: Final = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\="})
_TEXT: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})


def key(info: SeriesInfo) -> str:
    """Return measurement and tags of a series; tags by name, which saves the server sorting them.

    Raises:
        StoreError: There is no way to write such a name.
    """
    tags = (("device", info.device), ("gateway", info.gateway), ("point", info.name))
    if any(mark in part for part in (info.gateway, info.name, info.quantity) for mark in "\\\n"):
        raise StoreError(f"{info.gateway!r} {info.name!r}: a backslash or a line break in a name")
    return info.quantity.translate(_MEASUREMENT) + "".join(f",{name}={value.translate(_TAG)}" for name, value in tags)


def encode(batch: Batch, rows: NDArray[np.int64], keys: Mapping[int, str]) -> Iterator[bytes]:
    """Yield rows of a batch as line protocol, in pieces that make good requests.

    Raises:
        StoreError: A reading cannot be written so.
    """
    times, values = batch.time[rows], batch.value[rows]
    if len(rows) and not (times.min() >= EARLIEST and times.max() <= LATEST):
        raise StoreError("a reading's time is outside of what the server's clock can say (1677 to 2262)")
    if np.isinf(values).any():
        raise StoreError("a reading's value is infinite, and the server takes none such")
    lines = []
    columns = (
        rows.tolist(),
        batch.series[rows].tolist(),
        times.tolist(),
        values.tolist(),
        batch.quality[rows].tolist(),
    )
    for row, series, time, value, quality in zip(*columns, strict=True):
        if not isnan(value):
            field = f"value={value!r}," if quality < BAD else f"raw={value!r},"
        elif (text := batch.texts.get(row)) is not None:
            field = f'text="{text.translate(_TEXT)}",'
        else:
            field = ""
        lines.append(f"{keys[series]} {field}quality={quality}i {time}")
        if len(lines) == LINES:
            yield "\n".join(lines).encode()
            lines.clear()
    if lines:
        yield "\n".join(lines).encode()
