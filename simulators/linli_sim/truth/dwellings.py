"""A building's dwellings: what they draw of water, electricity and gas, and the bulk meters before them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.loadcurve import HOURLY
from linli_sim.models.dwelling_water import DRAWS, HOURS
from linli_sim.truth.faults import Faults
from linli_sim.truth.ledger import Ledger, Numbers, Times, grid

QUARTER: Final = 15 * MINUTE
_SLOTS: Final = DAY // QUARTER
_WATER: Final = np.repeat(np.array(HOURS) / sum(HOURS) / 4.0, 4)
_POWER: Final = np.repeat(np.array(HOURLY), 4)
_GAS: Final = np.repeat(
    np.array([0, 0, 0, 0, 0, 0.2, 1.2, 1.0, 0.3, 0.1, 0.2, 1.2, 1.0, 0.2, 0, 0, 0.2, 1.0, 2.0, 1.6, 0.8, 0.5, 0.3, 0.1])
    / 12.0,
    4,
)


class Dwellings:
    """The dwellings of one building.

    Attributes:
        power: What the building draws in each quarter of the day last told, W.
    """

    def __init__(self, ledger: Ledger, faults: Faults, gateway: str, count: int, seed: int, *, alone: int = 0) -> None:
        """Make them.

        Args:
            ledger: Takes the readings.
            faults: What goes wrong.
            gateway: The building's.
            count: How many there are.
            seed: Of their habits.
            alone: In how many of the first somebody lives alone and is cared for.
        """
        self._random = np.random.default_rng(seed)
        self._faults, self._ledger, self._gateway, self._count = faults, ledger, gateway, count
        random = self._random
        self._people = random.choice([1, 2, 3, 4, 5], count, p=[0.15, 0.3, 0.3, 0.2, 0.05]).astype(np.float64)
        self._people[random.random(count) < 0.03] = 0.0  # nobody lives there
        self._cared = np.arange(count) < alone
        self._people[self._cared] = 1.2
        # Taps drip in a tenth of the dwellings, up to three litres an hour: no leak yet.
        self._drip = np.where(random.random(count) < 0.1, random.uniform(0.5, 3.0, count), 0.0)
        self._drip[self._cared] = 0.0
        self._pilot = np.where(random.random(count) < 0.4, random.uniform(4.0, 9.0, count), 0.0)
        self._idle = random.uniform(40.0, 120.0, count)
        self._gone_until = np.zeros(count, np.int64)
        self._water = random.uniform(50_000.0, 400_000.0, count)
        self._energy = random.uniform(1e6, 9e6, count)
        self._gas = random.uniform(100_000.0, 900_000.0, count)
        self._bulk = np.array([1e8, 9e8, 9e7])
        self._offset = random.integers(0, 4, count)
        self._jitter = random.integers(0, 800, count) * SECOND
        self.power: Numbers = np.zeros(_SLOTS)
        names = [f"flat-{number + 1:02}" for number in range(count)]
        self._points = {
            what: [
                ledger.point(
                    gateway,
                    f"{name}-{what}/{quantity}",
                    f"{what}_meter",
                    tags=["care-agreed"] if what == "water" and self._cared[number] else [],
                )
                for number, name in enumerate(names)
            ]
            for what, quantity in (("water", "water_volume"), ("electricity", "energy_import"), ("gas", "gas_volume"))
        }
        self._lives = [
            ledger.point(gateway, f"{name}-electricity/power_present", "electricity_meter") for name in names
        ]
        self._bulks = [
            ledger.point(gateway, f"bulk-{what}/{quantity}", f"bulk_{what}_meter")
            for what, quantity in (("water", "water_volume"), ("electricity", "energy_import"), ("gas", "gas_volume"))
        ]

    def tell(self, start: Instant) -> None:
        """Tell a day."""
        slots = start + np.arange(_SLOTS, dtype=np.int64) * QUARTER
        activity = self._activity(start)
        water, gas = self._draw_water(activity, slots), self._draw_gas(activity, slots)
        power = self._draw_power(activity)
        dark = self._within("outage", "flat-01-electricity", slots)
        power[:, dark] = 0.0
        self.power = power.sum(axis=0) + 6_000.0  # lifts, lamps, pumps
        lost = 40.0 / 4.0 + np.where(self._within("leak", "bulk-water", slots), 1_400.0 / 4.0, 0.0)
        stolen = np.where(self._within("theft", "bulk-electricity", slots), 5_000.0, 0.0)
        counts = (
            self._add("water", water, 1.0, 1000.0),
            self._add("electricity", power / 4.0, 1.0, 1.0),
            self._add("gas", gas, 10.0, 1000.0),
        )
        ends = slots + QUARTER
        for number in range(self._count):
            for what, count in zip(self._points, counts, strict=True):
                # Radio water meters tell of themselves each quarter of an hour, the others are read once an hour.
                mine = slice(None) if what == "water" else slice(int(self._offset[number]), None, 4)
                times = ends[mine] + self._jitter[number]
                if what == "electricity" and dark.any():
                    lit = ~dark[mine]
                    self._ledger.tell(self._points[what][number], times[lit], count[number, mine][lit])
                else:
                    self._ledger.tell(self._points[what][number], times, count[number, mine])
        self._tell_power(start)
        common = 6_000.0 / 4.0
        totals = (
            water.sum(axis=0) + lost,
            (power.sum(axis=0) + stolen) / 4.0 * 1.012 + common,
            gas.sum(axis=0) * 1.002,
        )
        self._tell_bulk(ends, totals)
        meter = self._ledger.point(self._gateway, "common-electricity/energy_import", "electricity_meter")
        self._ledger.tell(meter, ends[::4], 5e7 + common * ((ends[::4] - ends[0]) / QUARTER + start // QUARTER % 10**6))

    def _within(self, kind: str, device: str, slots: Times) -> NDArray[np.bool_]:
        begins, ends = self._faults.span(kind, f"{self._gateway}/{device}")
        found: NDArray[np.bool_] = (slots >= begins) & (slots < ends)
        return found

    def _activity(self, start: Instant) -> Numbers:
        """Return how much goes on in each dwelling that day: away, at work, guests."""
        random = self._random
        leaves = (random.random(self._count) < 0.01) & ~self._cared
        away = random.integers(2, 9, self._count) * DAY
        self._gone_until = np.where(leaves, start + away, self._gone_until)
        activity = random.uniform(0.7, 1.3, self._count)
        activity[random.random(self._count) < 0.03] = 2.0
        activity[self._gone_until > start] = 0.0
        return activity

    def _draw_water(self, activity: Numbers, slots: Times) -> Numbers:
        random = self._random
        expected = (self._people * activity)[:, None] * _WATER[None, :]
        litres = np.zeros((self._count, _SLOTS))
        for kind in DRAWS:
            events = random.poisson(kind.daily * expected)
            litres += events * kind.litres * random.uniform(0.7, 1.4, events.shape)
        # Whoever is cared for washes, cooks and goes to bed, whatever else the day brings.
        for slot in (29, 34, 49, 73, 86):
            litres[self._cared, slot] += 7.0
        litres += self._drip[:, None] / 4.0
        # A garden is watered now and then: half a cubic metre in an hour is no burst.
        for gardener in np.flatnonzero(random.random(self._count) < 0.004):
            litres[gardener, 76:80] += 120.0
        for number in range(self._count):
            device = f"flat-{number + 1:02}-water"
            litres[number] += np.where(self._within("toilet", device, slots), 9.0 / 4.0, 0.0)
            litres[number] += np.where(self._within("hose", device, slots), 2_200.0 / 4.0, 0.0)
            litres[number, self._within("fall", device, slots)] = 0.0
        return litres

    def _draw_power(self, activity: Numbers) -> Numbers:
        random = self._random
        lived = (self._people > 0).astype(np.float64)
        base = self._idle[:, None] * (0.4 + 0.6 * lived[:, None])
        share = (self._people * activity * 90.0)[:, None] * _POWER[None, :]
        appliances = (random.random((self._count, _SLOTS)) < share / 4_000.0) * 1_800.0
        watts: Numbers = base + share * random.lognormal(0.0, 0.3, share.shape) + appliances
        return watts

    def _draw_gas(self, activity: Numbers, slots: Times) -> Numbers:
        random = self._random
        meals = random.random((self._count, _SLOTS)) < (np.minimum(self._people, 3) * activity)[:, None] * _GAS / 4.0
        litres = meals * random.uniform(40.0, 160.0, meals.shape)
        litres += np.where(self._people > 0, self._pilot, 0.0)[:, None] / 4.0
        for number in range(self._count):
            span = self._within("gas-tap", f"flat-{number + 1:02}-gas", slots)
            litres[number] += np.where(span, 60.0 / 4.0, 0.0)
        return litres

    def _add(self, what: str, amounts: Numbers, step: float, unit: float) -> Numbers:
        """Return what the meters show after each quarter; they count whole steps."""
        register = {"water": self._water, "electricity": self._energy, "gas": self._gas}[what]
        counts = register[:, None] + np.cumsum(amounts, axis=1)
        register[:] = counts[:, -1]
        shown: Numbers = np.floor(counts / step) * step / unit
        return shown

    def _tell_power(self, start: Instant) -> None:
        begins, ends = self._faults.span("outage", f"{self._gateway}/flat-01-electricity")
        for number, point in enumerate(self._lives):
            gasp = begins + (number * 37 % 40) * SECOND // 10
            times = grid(start, start + DAY, HOUR, int(self._jitter[number]))
            times = times[(times < begins) | (times >= ends)]
            edges = [(at, value) for at, value in ((gasp, 0.0), (ends, 1.0)) if begins and start <= at < start + DAY]
            every = np.concatenate([times, np.array([at for at, _ in edges], np.int64)])
            values = np.concatenate([np.ones(len(times)), np.array([value for _, value in edges])])
            self._ledger.tell(point, every, values)

    def _tell_bulk(self, ends: Times, totals: tuple[Numbers, Numbers, Numbers]) -> None:
        for number, (amounts, (step, unit)) in enumerate(
            zip(totals, ((1.0, 1000.0), (10.0, 1.0), (10.0, 1000.0)), strict=True)
        ):
            counts = self._bulk[number] + np.cumsum(amounts)
            self._bulk[number] = counts[-1]
            self._ledger.tell(self._bulks[number], ends + 20 * SECOND, np.floor(counts / step) * step / unit)
