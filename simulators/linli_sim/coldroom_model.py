"""A cold room: air, goods, evaporator, a compressor with hysteresis, a defrost heater, a door. Pure: ``step``.

Three heat stores are enough for what a temperature alarm has to tell apart: air follows an open door within a minute
or two, goods hold their cold, and the evaporator warms in a defrost without the goods doing so.

The room is one of some 30 m³ with the door on a warm kitchen; with a setpoint of −20 °C it is a freezer. Its figures
are typical, not measured; each stands with its unit where it is declared. What can fail is a switch of its own, and
what follows from it follows from the heat.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Final

_STEP: Final = 1.0
"""Longest step in seconds: below it, the result does not depend on how often the model is asked."""

_TRIPS: Final = 240.0
"""Seconds from one stop by the low-pressure switch to the next."""


@dataclass
class ColdRoom:
    """The state of the room; temperatures in °C, powers in W, energy in Wh, times in simulated seconds.

    Attributes:
        seed: Of the sensor noise and the phase of the compressor.
        setpoint: What the controller holds.
        hysteresis: The compressor starts at ``setpoint + hysteresis`` and stops at ``setpoint - hysteresis``.
        ambient: Outside the door.
        defrost_interval: From one defrost to the next.
        defrost_length: How long a defrost lasts.
        longest_step: Longest step in seconds of the calculation; 5 s still tell the same story, in a fifth of the time.
        air: Air temperature.
        goods: Temperature of the goods.
        evaporator: Temperature of the evaporator.
        door_open: Whether the door stands open.
        compressor: Whether the compressor runs.
        defrosting: Whether the defrost heater is on.
        power: Electrical power.
        energy: Energy used since the start of the counter.
        elapsed: Simulated seconds since the start.
        powered: Whether there is mains power; the controller lives on its battery.
        compressor_failed: It does not run, whatever the controller wants.
        thermostat_stuck: The contactor is welded: it runs, whatever the controller wants.
        low_charge: So little refrigerant that the low-pressure switch stops the compressor again and again.
        heater_stuck: The defrost heater does not end.
        icing: How much of the evaporator is in ice, 0 to 1: it gives off less cold and gets colder itself.
    """

    seed: int = 0
    setpoint: float = 3.0
    hysteresis: float = 1.0
    ambient: float = 26.0
    defrost_interval: float = 21_600.0
    defrost_length: float = 900.0
    longest_step: float = _STEP
    air: float = field(default=3.0, init=False)
    goods: float = field(default=3.2, init=False)
    evaporator: float = field(default=-2.0, init=False)
    door_open: bool = field(default=False, init=False)
    compressor: bool = field(default=False, init=False)
    defrosting: bool = field(default=False, init=False)
    power: float = field(default=60.0, init=False)
    energy: float = field(default=0.0, init=False)
    elapsed: float = field(default=0.0, init=False)
    powered: bool = field(default=True, init=False)
    compressor_failed: bool = field(default=False, init=False)
    thermostat_stuck: bool = field(default=False, init=False)
    low_charge: bool = field(default=False, init=False)
    heater_stuck: bool = field(default=False, init=False)
    icing: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable noise, no secret
        self.air = self.setpoint + self._random.uniform(-0.5, 0.5) * self.hysteresis
        self.goods = self.setpoint + 0.2
        self.energy = float(self._random.randrange(200_000, 4_000_000))
        self._noise = 0.0

    @property
    def measured_air(self) -> float:
        """What the air sensor shows: a slow noise of some hundredths on top."""
        return self.air + self._noise

    def step(self, seconds: float) -> None:
        """Let simulated time pass."""
        left = seconds
        while left > 0:
            self._advance(min(left, self.longest_step))
            left -= self.longest_step

    def _advance(self, seconds: float) -> None:
        self.elapsed += seconds
        self._control()
        # Time constants in seconds as the air feels them: walls, lamps and leaks 50 min; goods 5 min; an open door
        # 8 min; the evaporator 10 min. Its fan rests while the door is open and during a defrost.
        door = (self.ambient - self.air) / 480.0 if self.door_open else 0.0
        walls = (self.ambient - self.air) / 3_000.0
        goods = (self.goods - self.air) / 300.0
        fan = self.powered and not (self.defrosting or self.door_open)
        coil = (self.evaporator - self.air) / 600.0 * (1.0 - 0.85 * self.icing) if fan else 0.0
        self.goods += (self.air - self.goods) / 18_000.0 * seconds
        self.air += (door + walls + goods + coil) * seconds
        depth = 14.0 * (1.0 + 0.8 * self.icing) * (0.4 if self.low_charge else 1.0)
        goal = 12.0 if self.defrosting else (self.air - depth if self.compressor else self.air)
        pace = 300.0 if self.defrosting else (60.0 if self.compressor else 90.0)
        self.evaporator += (goal - self.evaporator) * -math.expm1(-seconds / pace)
        self._noise += -self._noise * seconds / 30.0 + self._random.gauss(0.0, 0.006) * math.sqrt(seconds)
        self.power = 60.0 + (950.0 if self.compressor else 0.0) + (1200.0 if self.defrosting else 0.0)
        if not self.powered:
            self.power = 0.0
        self.energy += self.power * seconds / 3600.0

    def _control(self) -> None:
        self.defrosting = self.heater_stuck or (
            self.elapsed % self.defrost_interval > self.defrost_interval - self.defrost_length
        )
        self._want()
        if self.thermostat_stuck and not self.defrosting:
            self.compressor = True
        if self.low_charge and self.elapsed % _TRIPS > _TRIPS / 2:
            self.compressor = False
        if self.compressor_failed or not self.powered:
            self.compressor = False
        self.defrosting = self.defrosting and self.powered

    def _want(self) -> None:
        """Do as the controller wants."""
        if self.defrosting or self.air <= self.setpoint - self.hysteresis:
            self.compressor = False
        elif self.air >= self.setpoint + self.hysteresis or (self.low_charge and self.air > self.setpoint):
            self.compressor = True
