"""The report's charts. A value that is missing is a grey column with a dash, never a bar of no height."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linli_dashboards.report.drawing import Box, Drawing, Line, Shape, Words
from linli_dashboards.report.scale import Scale, scale

INK: Final = "#16202A"
SOFT: Final = "#5B6875"
RULE: Final = "#D7DDE3"
VOID: Final = "#EEF1F4"

WIDTH: Final = 178.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 14.0, 2.0, 9.0, 6.0
_SMALL: Final = 7.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One value of each day.

    Attributes:
        name: In the legend.
        color: Of its bars or line.
        values: One each day; ``None`` where nobody can say.
    """

    name: str
    color: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What all charts have: days below, a unit and a legend above.

    Attributes:
        days: What stands below the columns.
        unit: Of the values.
        told: What the chart shows, in words.
        missing: What a grey column means.
        height: In millimetres.
        begun: How many of the days have begun; nothing is to be known of those ahead.
    """

    days: tuple[str, ...]
    unit: str
    told: str
    missing: str
    height: float = 46.0
    begun: int = 31

    @property
    def column(self) -> float:
        """How wide a day is."""
        return (WIDTH - _LEFT - _RIGHT) / max(1, len(self.days))

    def x(self, day: int) -> float:
        """Return where a day begins."""
        return _LEFT + day * self.column

    def y(self, axis: Scale, value: float) -> float:
        """Return the height at which a value stands."""
        return self.height - _BOTTOM - axis.part(value) * (self.height - _TOP - _BOTTOM)


def stacked(frame: Frame, layers: Sequence[Layer], *, highest: float | None = None, whole: bool = False) -> Drawing:
    """Return bars, the layers upon each other."""
    totals = [sum(value for value in column if value is not None) for column in _columns(layers)]
    axis = scale(0.0, highest if highest is not None else max(totals, default=0.0) or 1.0, whole=whole)
    shapes = list(_frame(frame, axis))
    voids = False
    for day, column in enumerate(_columns(layers)):
        if all(value is None for value in column):
            shapes += _void(frame, day)
            voids = voids or day < frame.begun
            continue
        base = 0.0
        for layer, value in zip(layers, column, strict=True):
            if value:
                shapes.append(_bar(frame, axis, day, (base, base + value), layer.color))
                base += value
    legend = [(layer.color, layer.name) for layer in layers] if len(layers) > 1 else []
    shapes += _legend([*legend, *([(VOID, frame.missing)] if voids else [])])
    return Drawing(WIDTH, frame.height, tuple(shapes), frame.told)


def against(frame: Frame, now: Layer, before: Layer) -> Drawing:
    """Return bars of what is, and a mark on each of what was."""
    known = [value for layer in (now, before) for value in layer.values if value is not None]
    axis = scale(min(0.0, *known) if known else 0.0, max(known, default=0.0) or 1.0)
    shapes = list(_frame(frame, axis))
    for day, value in enumerate(now.values):
        if value is None:
            shapes += _void(frame, day)
        else:
            shapes.append(_bar(frame, axis, day, (0.0, value), now.color))
    for day, value in enumerate(before.values[: len(frame.days)]):
        if value is not None:
            y = frame.y(axis, value)
            shapes.append(Line(((frame.x(day) + 0.2, y), (frame.x(day + 1) - 0.2, y)), before.color, 0.7))
    legend = [(now.color, now.name)]
    if any(value is not None for value in before.values):
        legend.append((before.color, before.name))
    if None in now.values[: frame.begun]:
        legend.append((VOID, frame.missing))
    shapes += _legend(legend)
    return Drawing(WIDTH, frame.height, tuple(shapes), frame.told)


def ranges(frame: Frame, lowest: Layer, highest: Layer, mean: Layer, marks: Mapping[int, str], marked: str) -> Drawing:
    """Return for each day a column from its lowest to its highest value, and its mean.

    Args:
        frame: What all charts have.
        lowest: Of each day.
        highest: Of each day.
        mean: Of each day.
        marks: Colours of days that are marked, by their place.
        marked: What a mark means.
    """
    known = [value for layer in (lowest, highest) for value in layer.values if value is not None]
    axis = scale(min(known, default=0.0), max(known, default=1.0))
    shapes = list(_frame(frame, axis))
    for day, (low, high, middle) in enumerate(zip(lowest.values, highest.values, mean.values, strict=True)):
        if low is None or high is None:
            shapes += _void(frame, day)
            continue
        shapes.append(_bar(frame, axis, day, (low, high), marks.get(day, highest.color)))
        if middle is not None:
            y = frame.y(axis, middle)
            shapes.append(Line(((frame.x(day) + 0.4, y), (frame.x(day + 1) - 0.4, y)), mean.color, 0.5))
    legend = [(highest.color, highest.name), *((color, marked) for color in sorted(set(marks.values())))]
    legend.append((mean.color, mean.name))
    if None in highest.values[: frame.begun]:
        legend.append((VOID, frame.missing))
    shapes += _legend(legend)
    return Drawing(WIDTH, frame.height, tuple(shapes), frame.told)


def _columns(layers: Sequence[Layer]) -> Iterator[tuple[float | None, ...]]:
    yield from zip(*(layer.values for layer in layers), strict=True)


def _bar(frame: Frame, axis: Scale, day: int, ends: tuple[float, float], color: str) -> Shape:
    low, high = sorted(frame.y(axis, end) for end in ends)
    gap = min(0.8, frame.column * 0.15)
    return Box(frame.x(day) + gap / 2, low, frame.column - gap, max(high - low, 0.3), color)


def _void(frame: Frame, day: int) -> Iterator[Shape]:
    if day >= frame.begun:
        return
    yield Box(frame.x(day), _TOP, frame.column, frame.height - _TOP - _BOTTOM, VOID)
    middle = frame.height - _BOTTOM - 1.5
    yield Words(frame.x(day) + frame.column / 2, middle, "–", _SMALL, SOFT, "middle")


def _frame(frame: Frame, axis: Scale) -> Iterator[Shape]:
    yield Words(0.0, 3.2, frame.unit, _SMALL, SOFT)
    for tick in axis.ticks:
        y = frame.y(axis, tick)
        yield Line(((_LEFT, y), (WIDTH - _RIGHT, y)), RULE, 0.2)
        yield Words(_LEFT - 1.2, y + 0.9, axis.told(tick), _SMALL, SOFT, "end")
    for day, label in enumerate(frame.days):
        yield Words(frame.x(day) + frame.column / 2, frame.height - 1.6, label, _SMALL, SOFT, "middle")


def _legend(entries: Sequence[tuple[str, str]]) -> Iterator[Shape]:
    """Yield it from the left on: a phone shows that end of a chart first."""
    x = _LEFT
    for color, name in entries:
        yield Box(x, 0.9, 3.2, 2.6, color)
        yield Words(x + 4.2, 3.2, name, _SMALL, INK)
        x += 4.2 + width_of(name, _SMALL) + 4.0


def width_of(text: str, size: float) -> float:
    """Return about how wide words are, in millimetres: a Chinese character is as wide as it is high."""
    ems = sum(1.0 if ord(letter) > 0x2E80 else 0.56 for letter in text)
    return ems * size * 25.4 / 72
