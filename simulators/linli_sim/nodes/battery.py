"""How long two AA cells last, from how long a node was awake: a model, and all that it rests on.

The radio of an ESP32-C3 wants 3.0 V and more, two cells give 3.0 to 2.2: a converter lifts them to 3.3 V. What the
chip draws at 3.3 V is drawn from the cells as much more as their voltage is lower, and as the converter loses.
"""

from dataclasses import dataclass
from typing import Final

_HOURS_A_YEAR: Final = 8766.0
_MS_AN_HOUR: Final = 3_600_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What the model rests on; currents in mA at 3.3 V.

    Attributes:
        computing: The chip without its radio, at 160 MHz (datasheet of the ESP32-C3: 28 with all peripherals).
        radio: With its receiver on, 20 MHz wide (datasheet: 84).
        sending: What sending adds to it (datasheet: 276 to 335 in all).
        sending_ms: How long it sends in a delivery: some forty frames, eight of them at 1 Mbit/s.
        dozing: Light sleep (datasheet: 0.13) while a DS18B20 converts (its datasheet: 1.5 at most).
        asleep: Deep sleep (datasheet: 0.005), a divider of 2 MOhm at the battery, a DS18B20 and the converter at rest.
        usable_mah: Of two alkaline cells in a row of 2,500 mAh until they stand at 2.2 V, where the radio is kept
            silent.
        cells_v: Their mean voltage until then.
        efficiency: Of the converter.
        self_discharge: Share of ``usable_mah`` that goes by itself in a year.
    """

    computing: float = 28.0
    radio: float = 84.0
    sending: float = 250.0
    sending_ms: float = 30.0
    dozing: float = 1.63
    asleep: float = 0.009
    usable_mah: float = 2000.0
    cells_v: float = 2.5
    efficiency: float = 0.88
    self_discharge: float = 0.03


@dataclass(frozen=True, slots=True)
class Spent:
    """One time awake, in milliseconds: all of it, with the radio on, with all but the memory off."""

    awake_ms: float
    radio_ms: float
    dozed_ms: float


def charge(spent: Spent, supply: Supply) -> float:
    """Return what a time awake takes at 3.3 V, in mAh."""
    sent = supply.sending * supply.sending_ms if spent.radio_ms else 0.0
    computed = supply.computing * (spent.awake_ms - spent.radio_ms - spent.dozed_ms)
    return (computed + supply.radio * spent.radio_ms + supply.dozing * spent.dozed_ms + sent) / _MS_AN_HOUR


def calling(attempt: Spent, *, attempts: int, supply: Supply | None = None) -> float:
    """Return the share of the cells that so many attempts take to bring a call to a gateway that is away.

    Args:
        attempt: A time awake in which nobody answers: eight seconds of looking for each network, twenty at most.
        attempts: How many.
        supply: What the model rests on.
    """
    model = supply or Supply()
    return attempts * charge(attempt, model) * 3.3 / (model.cells_v * model.efficiency) / model.usable_mah


def years(delivering: Spent, still: Spent, *, interval_s: float, every: int, supply: Supply | None = None) -> float:
    """Return how long the cells last.

    Args:
        delivering: A time awake in which it delivers.
        still: One in which it only reads.
        interval_s: Seconds between two readings.
        every: How many readings are delivered at once.
        supply: What the model rests on.
    """
    model = supply or Supply()
    round_mah = charge(delivering, model) + (every - 1) * charge(still, model)
    rounds = _HOURS_A_YEAR * 3600 / (interval_s * every)
    awake_h = rounds * (delivering.awake_ms + (every - 1) * still.awake_ms) / _MS_AN_HOUR
    year_mah = rounds * round_mah + (_HOURS_A_YEAR - awake_h) * model.asleep
    drawn = year_mah * 3.3 / (model.cells_v * model.efficiency)
    return model.usable_mah / (drawn + model.usable_mah * model.self_discharge)
