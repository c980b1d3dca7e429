"""The supply of electricity: feeders by the minute, dwellings' voltages, and the transformer of them all."""

from typing import Final

import numpy as np

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.models.feeder import Feeder
from linli_sim.truth.faults import Faults
from linli_sim.truth.ledger import Ledger, Numbers, grid

_MINUTES: Final = DAY // MINUTE
PHASES: Final = ("l1", "l2", "l3")


class Supply:
    """A building's feeder."""

    def __init__(self, ledger: Ledger, faults: Faults, gateway: str, count: int, seed: int) -> None:
        self._ledger, self._faults, self._gateway = ledger, faults, gateway
        self._random = np.random.default_rng(seed)
        self._emf = 230.0
        self._phases = [ledger.point(gateway, f"feeder/voltage.{phase}", "feeder") for phase in PHASES]
        self._unbalance = ledger.point(gateway, "feeder/voltage_unbalance", "feeder")
        self._flats = [
            ledger.point(gateway, f"flat-{number + 1:02}-electricity/voltage", "electricity_meter")
            for number in range(count)
        ]
        self._leaking = ledger.point(gateway, "riser/residual_current", "electrical_fire_monitor")
        self._cable = ledger.point(gateway, "riser/cable_temperature", "electrical_fire_monitor")
        self._arc = ledger.point(gateway, "riser/arc_fault", "electrical_fire_monitor")
        self._celsius = 32.0

    def tell(self, start: Instant, power: Numbers) -> None:
        """Tell a day, in which the building draws so much in each quarter, W."""
        random = self._random
        times = grid(start, start + DAY, MINUTE, 7 * SECOND)
        load = np.repeat(power, 15)
        # The grid's own voltage wanders over hours; tap changers keep it within two per cent.
        steps = random.normal(0.0, 0.06, _MINUTES)
        emf = np.empty(_MINUTES)
        for minute, step in enumerate(steps.tolist()):
            self._emf += (230.0 - self._emf) / 240.0 + step
            emf[minute] = self._emf
        shares = (0.36, 0.33, 0.31)
        drops = [load * share / 228.0 * 0.045 for share in shares]
        volts = np.stack([emf - drop + random.normal(0.0, 0.4, _MINUTES) for drop in drops])
        begins, ends = self._faults.span("neutral", f"{self._gateway}/feeder")
        for minute in np.flatnonzero((times >= begins) & (times < ends)).tolist():
            feeder = Feeder(emf=float(emf[minute]), neutral=float("inf"))
            feeder.power = [float(load[minute]) * share for share in (0.5, 0.32, 0.18)]
            volts[:, minute] = [abs(volt) for volt in feeder.voltages()]
        begins, ends = self._faults.span("outage", f"{self._gateway}/flat-01-electricity")
        dark = (times >= begins) & (times < ends)
        volts[:, dark] = 0.0
        for phase, point in enumerate(self._phases):
            self._ledger.tell(point, times, np.round(volts[phase], 1))
        spread = volts.max(axis=0) - volts.min(axis=0)
        unbalance = np.where(dark, 0.0, 100.0 * spread / np.maximum(volts.mean(axis=0), 1.0) * 0.6)
        self._ledger.tell(self._unbalance, times, np.round(unbalance, 2))
        for number, point in enumerate(self._flats):
            at = np.arange(number % 15, _MINUTES, 15)
            at = at[~dark[at]]
            seen = volts[number % 3, at] + random.normal(-0.3, 0.4, len(at))
            self._ledger.tell(point, times[at], np.round(seen, 1))
        self._tell_riser(start, load)

    def _tell_riser(self, start: Instant, load: Numbers) -> None:
        times = grid(start, start + DAY, MINUTE, 21 * SECOND)
        begins, ends = self._faults.span("joint", f"{self._gateway}/riser")
        share = np.where((times >= begins) & (times < ends), np.minimum((times - begins) / (30 * MINUTE), 1.0), 0.0)
        celsius = np.empty(_MINUTES)
        for minute, (watts, loose) in enumerate(zip(load.tolist(), share.tolist(), strict=True)):
            current = watts / 690.0
            goal = 29.0 + current**2 * (0.0008 + 0.0012 * loose) + 55.0 * loose
            self._celsius += (goal - self._celsius) / 8.0
            celsius[minute] = self._celsius
        self._ledger.tell(self._cable, times, np.round(celsius, 1))
        # Each installation leaks by what is switched on; a damp morning adds to it.
        leaks = 0.05 + load * 4e-7 + 0.3 * share**2 + self._random.normal(0.0, 0.003, _MINUTES)
        if self._random.random() < 0.1:
            leaks[360:600] += 0.05
        self._ledger.tell(self._leaking, times[::5], np.round(leaks[::5], 3))
        self._ledger.tell(self._arc, times[::5], (share[::5] > 0.6).astype(np.float64))


class Transformer:
    """The transformer of the community: all buildings, the lamps, and the cars that charge."""

    def __init__(self, ledger: Ledger, faults: Faults, gateway: str, seed: int) -> None:
        self._ledger, self._faults, self._gateway = ledger, faults, gateway
        self._random = np.random.default_rng(seed)
        self._load = ledger.point(gateway, "transformer/apparent_power", "transformer")
        self._rated = ledger.point(gateway, "transformer/apparent_power_limit", "transformer")
        self._factor = ledger.point(gateway, "transformer/power_factor", "transformer")
        self._power = ledger.point(gateway, "transformer/active_power", "transformer")

    def tell(self, start: Instant, power: Numbers) -> None:
        """Tell a day, in which the buildings draw so much in each quarter, W."""
        times = grid(start, start + DAY, MINUTE, 33 * SECOND)
        hours = (times - start) / HOUR
        cars = 140_000.0 * np.exp(-(((hours - 20.5) / 2.0) ** 2)) * self._random.uniform(0.7, 1.2)
        load = np.repeat(power, 15) * 0.7 + 60_000.0 + cars
        # Pumps and lifts that start together: a minute of half as much again.
        load *= 1.0 + 0.5 * (self._random.random(_MINUTES) < 0.002) + self._random.normal(0.0, 0.02, _MINUTES)
        begins, ends = self._faults.span("overload", f"{self._gateway}/transformer")
        load = np.where((times >= begins) & (times < ends), np.maximum(load, 0.0) * 0.1 + 740_000.0, load)
        factor = np.clip(0.955 + self._random.normal(0.0, 0.006, _MINUTES), 0.0, 1.0)
        self._ledger.tell(self._load, times, np.round(load))
        self._ledger.tell(self._factor, times[::5], np.round(factor[::5], 3))
        self._ledger.tell(self._power, times[::5], np.round((load * factor)[::5]))
        self._ledger.tell(self._rated, times[::15], np.full(_MINUTES // 15, 630_000.0))
