"""Whether what is at a node's pins wakes its board from deep sleep: told before anything is written to it.

A contact closes to ground; while it is open, the chip's own resistor holds its pin high. An **ESP32-C3** asleep wakes
by GPIO0-5, and by default has its own resistor up at a pin that is to go low, and down at one that is to go high
(ESP-IDF, ``esp_deep_sleep_enable_gpio_wakeup``): what opens is not seen. An **ESP32-S3** wakes by GPIO0-21, by two ways
(ESP-IDF, ext1 and ext0): several pins that go to one level, and one that goes to the other. A Raspberry Pi Pico sleeps
lightly and looks at its pins itself: all of them wake it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linli_edge.nodes.refused import Problem

NAMES: Final = {"esp32c3": "ESP32-C3", "esp32s3": "ESP32-S3", "rp2": "Raspberry Pi Pico W"}
ESP32: Final = ("esp32s3", "esp32c3")
"""Kinds of boards that sleep deeply, the one with more pins that wake it first."""
_LAST: Final = {"esp32c3": 5, "esp32s3": 21}
"""The last of the pins, from 0 on, that go on in a chip's deep sleep (its datasheet's RTC pins)."""


@dataclass(frozen=True, slots=True)
class WakingPin:
    """A pin that is to wake a node on a battery.

    Attributes:
        where: The node, and its place in the configuration.
        kind: The sensor's.
        pin: Its number.
        rises: Whether it goes high when the sensor says yes.
        driven: Whether something else than the chip holds its level: an output, or a resistor of 10 kOhm at most.
    """

    where: str
    kind: str
    pin: int
    rises: bool
    driven: bool


def waking_pins(config: Mapping[str, Any]) -> tuple[WakingPin, ...]:
    """Return the pins that must wake a node, of its configuration with all its defaults: contacts and pulses."""
    if config["power"] != "battery":
        return ()
    return tuple(
        WakingPin(
            f"{config['node']}: sensors[{place}]",
            table["kind"],
            table["pin"],
            table.get("active", "low") == "high",
            table["driven"],
        )
        for place, table in enumerate(config["sensors"])
        if "debounce_ms" in table
    )


def deaf(pins: Iterable[WakingPin], kind: str) -> list[Problem]:
    """Return what would not wake a kind of board; nothing for one that is always awake, or not known."""
    if kind not in _LAST:
        return []
    board, last, pins = NAMES[kind], _LAST[kind], tuple(pins)
    problems = [
        Problem("deaf", "pin", {**_named(pin), "board": board, "last": str(last)}) for pin in pins if pin.pin > last
    ]
    if kind == "esp32c3":
        # A meter that stands still with its contact closed is waited for until it opens.
        passive = [pin for pin in pins if not pin.driven]
        problems += [Problem("deaf", "opening", _named(pin)) for pin in passive if pin.rises and pin.kind != "pir"]
        problems += [Problem("deaf", "pulse", _named(pin)) for pin in passive if pin.kind == "pulse"]
        return problems
    high, low = [pin for pin in pins if pin.rises], [pin for pin in pins if not pin.rises]
    if len(high) > 1 and len(low) > 1:
        node = pins[0].where.partition(":")[0]
        problems.append(Problem("deaf", "ways", {"where": node, "high": _numbers(high), "low": _numbers(low)}))
    return problems


def _named(pin: WakingPin) -> dict[str, str]:
    return {"where": pin.where, "kind": pin.kind, "pin": str(pin.pin)}


def _numbers(pins: Iterable[WakingPin]) -> str:
    return ", ".join(f"GPIO{pin.pin}" for pin in pins)
