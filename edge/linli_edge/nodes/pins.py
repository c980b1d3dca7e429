"""Whether a board has the pins that a configuration names, and can use them so: told before anything is written to it.

A driver on a pin that is not there cannot be made, and one on a pin of the flash stops the chip at each start. What a
chip has is its datasheet's:

- **ESP32-C3**: GPIO0-21; 12-17 are the flash's, which 11 (VDD_SPI) feeds; 18 and 19 are USB. Its first converter has
  GPIO0-4; its second, GPIO5, is the radio's.
- **ESP32-S3**: GPIO0-21 and 26-48; 26-32 are the flash's, 19 and 20 are USB. Its first converter has GPIO1-10; its
  second, GPIO11-20, is the radio's as long as that is on.
- **Raspberry Pi Pico W**: GPIO0-29; 23-25 and 29 are the radio's. Its converter has GPIO26-28. Its serial lines have
  pins of their own (RP2040, GPIO functions); those of an ESP32 go to any.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linli_edge.nodes.refused import Problem, Refused
from linli_edge.nodes.waking import NAMES, WakingPin, deaf

_LINES: Final = ("tx", "rx")
_PINS: Final = ("pin", "power", "sda", "scl", *_LINES)
"""Fields of a sensor or an action that name a pin."""
_MEASURING: Final = "leak_rope"
"""The kind of sensor whose ``pin`` measures a voltage."""


@dataclass(frozen=True, slots=True)
class _Chip:
    """What a kind of board can do.

    Attributes:
        free: Pins that anything may be at.
        taken: Pins that something else is at, by what: ``node.unfit.<what>``; what is in neither is not there.
        measuring: Pins that measure a voltage with the radio on.
        lines: The serial lines it has, each with its pins for ``tx`` and ``rx``; empty: any.
    """

    free: tuple[int, ...]
    taken: Mapping[str, range | tuple[int, ...]]
    measuring: range
    lines: Mapping[int, Mapping[str, tuple[int, ...]]]


_ANY: Final[Mapping[str, tuple[int, ...]]] = {}
_CHIPS: Final = {
    "esp32c3": _Chip(
        (*range(11), 20, 21), {"flash": range(11, 18), "usb": (18, 19)}, range(5), dict.fromkeys(range(2), _ANY)
    ),
    "esp32s3": _Chip(
        (*range(19), 21, *range(33, 49)),
        {"flash": range(26, 33), "usb": (19, 20)},
        range(1, 11),
        dict.fromkeys(range(3), _ANY),
    ),
    "rp2": _Chip(
        (*range(23), 26, 27, 28),
        {"radio": (23, 24, 25, 29)},
        range(26, 29),
        {0: {"tx": (0, 12, 16), "rx": (1, 13, 17)}, 1: {"tx": (4, 8, 20), "rx": (5, 9, 21)}},
    ),
}


@dataclass(frozen=True, slots=True)
class UsedPin:
    """A pin that a configuration names.

    Attributes:
        where: The node, and its place in the configuration.
        kind: The sensor's or the action's; ``battery``.
        field: The field that names it.
        pin: Its number.
        measures: Whether it measures a voltage.
        line: The serial line that it is of; -1: of none.
    """

    where: str
    kind: str
    field: str
    pin: int
    measures: bool = False
    line: int = -1


def used_pins(config: Mapping[str, Any]) -> tuple[UsedPin, ...]:
    """Return the pins of a configuration with all its defaults."""
    return tuple(_used(config))


def _used(config: Mapping[str, Any]) -> Iterator[UsedPin]:
    node = config["node"]
    if config["battery_pin"] >= 0:
        yield UsedPin(f"{node}: battery_pin", "battery", "battery_pin", config["battery_pin"], measures=True)
    for part in ("sensors", "actions"):
        for place, table in enumerate(config[part]):
            kind, where = table["kind"], f"{node}: {part}[{place}]"
            for field in _PINS:
                if field in table:
                    measures = (kind, field) == (_MEASURING, "pin")
                    line = table["uart"] if field in _LINES else -1
                    yield UsedPin(f"{where}.{field}", kind, field, table[field], measures, line)


def unfit(pins: Iterable[UsedPin], kind: str) -> list[Problem]:
    """Return what a kind of board has not or cannot use so; nothing for one that is not known."""
    if kind not in _CHIPS:
        return []
    return [problem for pin in pins if (problem := _problem(pin, _CHIPS[kind], NAMES[kind])) is not None]


def _problem(used: UsedPin, chip: _Chip, board: str) -> Problem | None:
    why, right = "", chip.free
    if used.measures:
        why, right = "converter" if used.pin not in chip.measuring else "", tuple(chip.measuring)
    if used.line >= 0:
        line = chip.lines.get(used.line)
        if line is None:
            # Told of one of its two pins.
            why, right = "line" if used.field == "tx" else "", tuple(chip.lines)
        elif used.field in line:
            why, right = "line_pin" if used.pin not in line[used.field] else "", line[used.field]
    if used.pin not in chip.free:
        why = next((what for what, pins in chip.taken.items() if used.pin in pins), "absent")
        right = chip.free if why == "line" else right
    if not why:
        return None
    names = ", ".join(map(str, right)) if why == "line" else spans(right)
    values = {"where": used.where, "kind": used.kind, "pin": str(used.pin), "board": board, "right": names}
    return Problem("unfit", why, {**values, "line": str(used.line)})


def spans(pins: Iterable[int]) -> str:
    """Return numbers of pins for people: ``GPIO0–10, GPIO20–21``."""
    found: list[list[int]] = []
    for pin in pins:
        if found and found[-1][-1] == pin - 1:
            found[-1][1:] = [pin]
        else:
            found.append([pin])
    return ", ".join("GPIO" + "–".join(map(str, span)) for span in found)


def least_unfit(pins: Iterable[UsedPin]) -> str:
    """Return the kind of board that most of the pins are for."""
    pins = tuple(pins)
    return min(NAMES, key=lambda kind: len(unfit(pins, kind)))


def problems(pins: Iterable[UsedPin], waking: Iterable[WakingPin], kind: str) -> list[Problem]:
    """Return what a kind of board cannot use; if it can use all of it, what does not wake it."""
    return unfit(pins, kind) or deaf(waking, kind)


def kinds_for(pins: Iterable[UsedPin] = (), waking: Iterable[WakingPin] = ()) -> list[str]:
    """Return the kinds of boards that can use all of the pins so, and that all of those that must wake them wake."""
    pins, waking = tuple(pins), tuple(waking)
    return [kind for kind in NAMES if not problems(pins, waking, kind)]


def refuse(where: str, pins: Iterable[UsedPin], waking: Iterable[WakingPin], kind: str) -> None:
    """Raise :class:`Refused` for a configuration that a kind of board cannot have.

    Args:
        where: Told in it: the file.
        pins: What it names.
        waking: Those that must wake it.
        kind: The kind of board.
    """
    if found := problems(pins, waking, kind):
        raise Refused(where, NAMES[kind], found)
