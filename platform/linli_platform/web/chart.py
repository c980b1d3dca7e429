"""Charts as SVG from the server: a line with its range, bars for counters, steps for states; gaps stay gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import ceil, floor, log10
from typing import Final

from markupsafe import Markup, escape

from linli_core.instant import DAY, HOUR, MINUTE, Instant, to_datetime
from linli_core.model import Kind

WIDTH: Final = 720
HEIGHT: Final = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 8, 18, 34
_FLAT: Final = 0.01
"""A range below this share of the value is shown as flat: noise must not look like a mountain range."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One step of a chart: its start, and its value in the unit shown; ``None`` where nothing usable was there."""

    time: Instant
    value: float | None
    low: float | None = None
    high: float | None = None
    bad: int = 0


def _ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Return round values that cover a range."""
    width = high - low or abs(high) or 1.0
    rough = width / wanted
    size = 10 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first, last = floor(low / step), ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that shows a nearly constant value as a flat line in the middle."""
    middle, least = (low + high) / 2, max(abs(high), abs(low)) * _FLAT or 1.0
    return (low, high) if high - low >= least else (middle - least / 2, middle + least / 2)


def _label(value: float) -> str:
    shown = f"{value:,.6f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
    return shown.replace("-", "\u2212")


def _time_ticks(start: Instant, end: Instant, zone: tzinfo | None) -> list[tuple[Instant, str]]:
    length = end - start
    steps = (5 * MINUTE, 10 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
    step = next((size for size in steps if length / size <= 7), DAY)
    offset = to_datetime(end).astimezone(zone).utcoffset()
    shift = 0 if offset is None else int(offset.total_seconds()) * 1_000_000
    first = -(-(start + shift) // step) * step - shift
    form = "%m-%d" if step >= DAY else "%H:%M"
    return [(at, f"{to_datetime(at).astimezone(zone):{form}}") for at in range(first, end + 1, step)]


def _runs(dots: Sequence[Dot], gap: Instant) -> list[list[Dot]]:
    """Split where a value is missing or nothing came for longer than ``gap``."""
    runs: list[list[Dot]] = []
    last: Instant | None = None
    for dot in dots:
        if dot.value is None:
            last = None
            continue
        if last is None or dot.time - last > gap:
            runs.append([])
        runs[-1].append(dot)
        last = dot.time
    return runs


class _Scale:
    """From instants and values to places on the drawing."""

    def __init__(self, start: Instant, end: Instant, low: float, high: float) -> None:
        self._start, self._length = start, max(end - start, 1)
        self._low, self._span = low, (high - low) or 1.0

    def x(self, time: Instant) -> float:
        """Return the place of an instant."""
        return round(_LEFT + (time - self._start) / self._length * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return round(HEIGHT - _BOTTOM - (value - self._low) / self._span * (HEIGHT - _TOP - _BOTTOM), 1)


def chart(
    dots: Sequence[Dot], start: Instant, end: Instant, step: Instant, *, kind: Kind, label: str, zone: tzinfo | None
) -> Markup:
    """Return a chart of a stretch of time.

    Args:
        dots: Steps in order of time; for a counter the amount within each step.
        start: Left edge.
        end: Right edge.
        step: Length of a step; nothing for twice as long is a gap.
        kind: Gauges are lines with their range, counters bars, states steps.
        label: What a screen reader says.
        zone: Time zone of the axis.
    """
    values = [v for dot in dots for v in (dot.value, dot.low, dot.high) if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if kind is Kind.GAUGE:
        low, high = _widened(low, high)
    else:
        low = min(low, 0.0)
    levels = _ticks(low, high)
    scale = _Scale(start, end, levels[0], levels[-1])
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for level in levels:
        y = scale.y(level)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{y + 5}">{_label(level)}</text>')
    for at, words in _time_ticks(start, end, zone):
        x = scale.x(at)
        if _LEFT + 10 < x < WIDTH - _RIGHT - 30:
            parts.append(f'<text class="tick mid" x="{x}" y="{HEIGHT - 10}">{escape(words)}</text>')
    if kind is Kind.COUNTER:
        parts += _bars(dots, scale, step)
    else:
        parts += _lines(dots, scale, step, stepped=kind is Kind.STATE)
    parts += [
        f'<rect class="bad" x="{scale.x(dot.time)}" y="{HEIGHT - _BOTTOM - 4}" width="3" height="4"/>'
        for dot in dots
        if dot.bad
    ]
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - numbers and escaped texts only


def _lines(dots: Sequence[Dot], scale: _Scale, step: Instant, *, stepped: bool) -> list[str]:
    parts = []
    for run in _runs(dots, 2 * step):
        band = [dot for dot in run if dot.low is not None and dot.high is not None and not stepped]
        if len(band) > 1:
            upper = " ".join(f"{scale.x(d.time)},{scale.y(d.high or 0.0)}" for d in band)
            lower = " ".join(f"{scale.x(d.time)},{scale.y(d.low or 0.0)}" for d in reversed(band))
            parts.append(f'<polygon class="band" points="{upper} {lower}"/>')
        places = [(scale.x(dot.time), scale.y(dot.value or 0.0)) for dot in run]
        if len(places) == 1:
            parts.append(f'<circle class="dot" cx="{places[0][0]}" cy="{places[0][1]}" r="2"/>')
            continue
        path = f"M{places[0][0]} {places[0][1]}"
        for x, y in places[1:]:
            path += f"H{x}V{y}" if stepped else f"L{x} {y}"
        parts.append(f'<path class="line" d="{path}"/>')
    return parts


def _bars(dots: Sequence[Dot], scale: _Scale, step: Instant) -> list[str]:
    floor_y = scale.y(0.0)
    parts = []
    for dot in dots:
        if dot.value is None:
            continue
        x, y = scale.x(dot.time), scale.y(dot.value)
        width = max(scale.x(dot.time + step) - x - 1, 1)
        top, height = min(y, floor_y), max(abs(floor_y - y), 0.5)
        parts.append(f'<rect class="amount" x="{x}" y="{round(top, 1)}" width="{width:.1f}" height="{height:.1f}"/>')
    return parts


def sparkline(dots: Sequence[Dot], start: Instant, end: Instant, gap: Instant, label: str) -> Markup:
    """Return a small line without axes, for a card."""
    values = [dot.value for dot in dots if dot.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    middle = (low + high) / 2
    half = max((high - low) / 2, 0.5)  # half a degree to each side at least, as above
    width, height = 240, 48

    def place(dot: Dot) -> tuple[float, float]:
        x = (dot.time - start) / max(end - start, 1) * width
        y = height / 2 - ((dot.value or 0.0) - middle) / half * (height / 2 - 4)
        return round(x, 1), round(y, 1)

    frame = f'class="spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    parts = [f'<svg {frame} role="img" aria-label="{escape(label)}">']
    for run in _runs(dots, gap):
        places = [place(dot) for dot in run]
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        if len(places) > 1:
            parts.append(f'<path class="fill" d="{path}L{places[-1][0]} {height}L{places[0][0]} {height}Z"/>')
            parts.append(f'<path class="line" d="{path}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - numbers and escaped texts only
