"""VictoriaMetrics over HTTP: numbers in and out by its own JSON (``docs/adr/0024-servers.md``).

A reading is a sample of a metric named after its quantity: ``energy_import_value`` where it is usable,
``energy_import_raw`` where it is a BAD number, ``energy_import_missing`` where there is nothing. Labels are ``db``,
``gateway``, ``device``, ``point`` and ``quality``, the code. So a better reading never overwrites a worse one: it is of
another metric or label, and whoever reads takes the best of an instant.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, SECOND, Instant
from linli_core.model import Quality, quality_code
from linli_platform.store import Batch, SeriesInfo, StoreError, StoreUnavailable
from linli_platform.store.server import Server

MILLISECOND: Final = SECOND // 1000

SAMPLES: Final = 10_000
"""Samples of one line of an import or an export."""

_SERIES: Final = 200
"""Points named in one selector."""

_LAST: Final = (2**63 - 1) // 1_000_000
"""Milliseconds; the server's clock ends there."""

_BAD: Final = quality_code(Quality.BAD)
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
_KINDS: Final = ("value", "raw", "missing")
_FLAG: Final = re.compile(r'^flag\{name="([^"]*)", value="([^"]*)", is_set="(true|false)"\} 1$', re.MULTILINE)
_STARTED: Final = re.compile(r"^vm_app_start_timestamp (\S+)$", re.MULTILINE)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(h|d|w|y|)")
_UNITS: Final = {"h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY, "": 31 * DAY}


class _Line(msgspec.Struct):
    """One metric's samples; times in milliseconds."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


class _Vector(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Vector]


class _Answer(msgspec.Struct):
    data: _Data


_lines: Final = msgspec.json.Decoder(_Line)
_answers: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Samples:
    """What the server has of one point, of one kind and quality.

    Attributes:
        gateway, point: Which.
        quality: The code.
        time: int64, µs.
        value: float64; NaN where nothing was read.
    """

    gateway: str
    point: str
    quality: int
    time: NDArray[np.int64]
    value: NDArray[np.float64]


class Victoria:
    """One server, and the label that tells whose readings are ours.

    Args:
        server: Open.
        database: Value of the label ``db``.
    """

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database

    def write(self, batch: Batch, rows: NDArray[np.int64], infos: Mapping[int, SeriesInfo]) -> None:
        """Hand over rows of a batch; the server writes them to its disk some seconds later."""
        samples: dict[tuple[int, int, str], tuple[list[float], list[int]]] = {}
        columns = (
            batch.series[rows].tolist(),
            (batch.time[rows] // MILLISECOND).tolist(),
            batch.value[rows].tolist(),
            batch.quality[rows].tolist(),
        )
        for series, time, value, quality in zip(*columns, strict=True):
            kind = "missing" if isnan(value) else "value" if quality < _BAD else "raw"
            values, times = samples.setdefault((series, quality, kind), ([], []))
            values.append(0.0 if kind == "missing" else value)
            times.append(time)
        lines = []
        for (series, quality, kind), (values, times) in samples.items():
            metric = self._labels(infos[series], kind, quality)
            for first in range(0, len(values), SAMPLES):
                last = first + SAMPLES
                lines.append(msgspec.json.encode(_Line(metric, list(values[first:last]), times[first:last])))
        if lines:
            self.server.call("POST", "/api/v1/import", body=b"\n".join(lines))

    def _labels(self, info: SeriesInfo, kind: str, quality: int) -> dict[str, str]:
        return {
            "__name__": f"{info.quantity}_{kind}",
            "db": self.database,
            "gateway": info.gateway,
            "device": info.device,
            "point": info.name,
            "quality": str(quality),
        }

    def export(self, infos: Sequence[SeriesInfo], start: Instant, end: Instant) -> Iterator[Samples]:
        """Yield what there is of points with ``start <= time < end``, as it comes."""
        first, last = max(0, -(-start // MILLISECOND)), min(_LAST, (end - 1) // MILLISECOND)
        if last < first:
            return
        for selector in self.selectors(infos):
            asked = {"match[]": selector, "start": str(first / 1e3), "end": str(last / 1e3)}
            query = urlencode({**asked, "max_rows_per_line": str(SAMPLES)}).encode()
            for line in self.server.lines("POST", "/api/v1/export", body=query, headers=_FORM):
                found = self._samples(line)
                if found is not None:
                    yield found

    def _samples(self, line: bytes) -> Samples | None:
        try:
            found = _lines.decode(line)
        except msgspec.DecodeError as exc:
            raise StoreError(f"{self.server.url}: an answer that is none of VictoriaMetrics': {exc}") from exc
        name, _, kind = found.metric.get("__name__", "").rpartition("_")
        quality = found.metric.get("quality", "")
        if not name or kind not in _KINDS or not quality.isdecimal():
            return None  # somebody else's
        values = np.array(found.values, np.float64)
        if kind == "missing":
            values = np.full(len(values), np.nan)
        times = np.array(found.timestamps, np.int64) * MILLISECOND
        return Samples(found.metric.get("gateway", ""), found.metric.get("point", ""), int(quality), times, values)

    def last(self, start: Instant, end: Instant, info: SeriesInfo | None = None) -> Iterator[Samples]:
        """Yield the last sample of each point, kind and quality with ``start < time <= end``."""
        # A window that reaches to within five minutes of 1970 holds nothing, whatever is there.
        within = f"[{(end - max(HOUR, start)) // MILLISECOND}ms]"
        selector = next(self.selectors([info])) if info else f"{{db={_quoted(self.database)}}}"
        asked = {"time": f"{end / SECOND:.3f}", "nocache": "1"}
        for kind in _KINDS:
            chosen = f'{selector[:-1]},__name__=~".+_{kind}"}}'
            found: list[dict[tuple[str, str, str], str]] = []
            for function in ("tlast_over_time", "last_over_time"):
                query = f"{function}({chosen}{within})"
                body = urlencode({**asked, "query": query}).encode()
                answer = self.server.call("POST", "/api/v1/query", body=body, headers=_FORM)
                labels = _answers.decode(answer).data.result
                found.append({_key(item.metric): item.value[1] for item in labels})
            times, values = found
            for key in times.keys() & values.keys():
                gateway, point, quality = key
                if quality.isdecimal():
                    time = np.array([round(float(times[key]) * 1e3) * MILLISECOND], np.int64)
                    value = np.array([np.nan if kind == "missing" else float(values[key])])
                    yield Samples(gateway, point, int(quality), time, value)

    def forget(self, infos: Sequence[SeriesInfo]) -> None:
        """Take out all there is of points, for good."""
        for selector in self.selectors(infos):
            self.server.call("POST", "/api/v1/admin/tsdb/delete_series", {"match[]": selector})

    def flush(self) -> None:
        """Let what was handed over be seen at once, not a second later."""
        self.server.call("GET", "/internal/force_flush")

    def selectors(self, infos: Iterable[SeriesInfo]) -> Iterator[str]:
        """Yield selectors that choose points, some of one gateway in each."""
        by_gateway: dict[str, list[str]] = {}
        for info in infos:
            by_gateway.setdefault(info.gateway, []).append(info.name)
        for gateway, names in by_gateway.items():
            for first in range(0, len(names), _SERIES):
                points = "|".join(re.escape(name) for name in names[first : first + _SERIES])
                yield f"{{db={_quoted(self.database)},gateway={_quoted(gateway)},point=~{_quoted(points)}}}"

    def started(self) -> float:
        """Return when the server began to run, in whole seconds of its own clock."""
        found = _STARTED.search(self._page())
        if found is None:
            raise StoreUnavailable(f"{self.server.url}: /metrics does not say since when it runs; no VictoriaMetrics?")
        return float(found[1])

    def flags(self) -> dict[str, str]:
        """Return the settings that the server was started with."""
        return {name: value for name, value, _ in _FLAG.findall(self._page())}

    def _page(self) -> str:
        return self.server.call("GET", "/metrics").decode("utf-8", "replace")


def _key(metric: Mapping[str, Any]) -> tuple[str, str, str]:
    return metric.get("gateway", ""), metric.get("point", ""), metric.get("quality", "")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def duration(text: str) -> int:
    """Return a duration of VictoriaMetrics' settings in µs; a bare number is months of 31 days. 0 if it is none."""
    match = _DURATION.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0
