"""The canteen: its cold rooms with their deliveries and defrosts, and the kitchen."""

import math
from typing import Final

import numpy as np

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.coldroom_model import ColdRoom
from linli_sim.models.gas_room import GasRoom
from linli_sim.truth.faults import Faults
from linli_sim.truth.ledger import Ledger, grid

GATEWAY: Final = "gw-canteen"
_MINUTES: Final = DAY // MINUTE
ROOMS: Final = (
    ("cold-room-1", "cold_room", 3.0),
    ("cold-room-2", "cold_room", 2.5),
    ("freezer-1", "frozen_room", -21.0),
    ("freezer-2", "frozen_room", -22.0),
    ("fridge-1", "fridge", 4.0),
)
_TOLD: Final = (
    "air_temperature", "product_temperature", "evaporator_temperature", "door_open", "compressor_running",
    "defrost_active", "power_present", "probe_fault",
)  # fmt: skip


class Canteen:
    """Cold rooms and a kitchen."""

    def __init__(self, ledger: Ledger, faults: Faults, seed: int, rooms: int) -> None:
        self._ledger, self._faults = ledger, faults
        self._random = np.random.default_rng(seed)
        self._rooms = [
            ColdRoom(seed + number, setpoint=setpoint, longest_step=20.0)
            for number, (_, _, setpoint) in enumerate(ROOMS[:rooms])
        ]
        self._points = [
            [ledger.point(GATEWAY, f"{device}/{quantity}", kind) for quantity in _TOLD]
            for device, kind, _ in ROOMS[:rooms]
        ]
        self._gas = GasRoom(80.0, airing=6.0)

    def tell(self, start: Instant) -> None:
        """Tell a day."""
        for number, room in enumerate(self._rooms):
            self._tell_room(start, number, room)
        self._tell_kitchen(start)

    def _tell_room(self, start: Instant, number: int, room: ColdRoom) -> None:
        device, _, setpoint = ROOMS[number]
        place = f"{GATEWAY}/{device}"
        times = grid(start, start + DAY, MINUTE, (5 + 7 * number) * SECOND)
        opened = self._visits(setpoint)
        dead, door, probe = (self._faults.span(kind, place) for kind in ("compressor", "door", "probe"))
        rows = np.empty((len(_TOLD), _MINUTES))
        for minute, at in enumerate(times.tolist()):
            # The kitchen is at 24 °C in the morning and at 33 °C when all stoves are on.
            hour = minute / 60.0
            room.ambient = 24.0 + 9.0 * math.exp(-(((hour - 12.0) / 3.0) ** 2))
            room.compressor_failed = dead[0] <= at < dead[1]
            # Most visits are shorter than a minute: the door is open for a part of it.
            left = 60.0 if door[0] <= at < door[1] else float(opened[minute])
            if left > 0:
                room.door_open = True
                room.step(left)
            room.door_open = False
            shut = left >= 60.0
            if not shut:
                room.step(60.0 - left)
            rows[:, minute] = (
                room.measured_air,
                room.goods,
                room.evaporator,
                left > 30.0,
                room.compressor,
                room.defrosting,
                1.0,
                probe[0] <= at < probe[1],
            )
        rows[:3] = np.round(rows[:3], 1)
        broken = rows[7] > 0
        for quantity, point in enumerate(self._points[number]):
            self._ledger.tell(point, times, rows[quantity], broken if quantity == 0 else None)

    def _visits(self, setpoint: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return the seconds in each minute for which a door is open: visits, and a delivery in the morning."""
        random = self._random
        hours = np.arange(_MINUTES) / 60.0
        busy = 0.25 * np.exp(-(((hours - 9.0) / 2.0) ** 2)) + 0.2 * np.exp(-(((hours - 16.0) / 1.5) ** 2))
        opened = (random.random(_MINUTES) < busy) * random.uniform(8.0, 40.0, _MINUTES)
        chance = 0.6 if setpoint > 0 else 0.25
        if random.random() < chance:
            begins = int(random.uniform(5.5, 7.0) * 60)
            opened[begins : begins + int(random.uniform(6, 14))] = 60.0
        found: np.ndarray[tuple[int], np.dtype[np.float64]] = opened
        return found

    def _tell_kitchen(self, start: Instant) -> None:
        ledger, random = self._ledger, self._random
        times = grid(start, start + DAY, MINUTE, 41 * SECOND)
        hours = (times - start) / HOUR
        open_ = ((hours > 10.0) & (hours < 13.7)) | ((hours > 16.2) & (hours < 19.7))
        hot, value = np.empty(_MINUTES), 24.0
        for minute, heated in enumerate(open_.tolist()):
            value += ((74.0 if heated else 24.0) - value) / (9.0 if heated else 75.0)
            hot[minute] = value
        # A pan is changed: cold for five minutes.
        hot -= np.where(open_ & (random.random(_MINUTES) < 0.01), 20.0, 0.0)
        ledger.tell(ledger.point(GATEWAY, "bain-marie/hot_holding_temperature", "bain_marie"), times, np.round(hot, 1))
        fume = 150.0 + np.where(open_, random.lognormal(6.6, 0.5, _MINUTES), 0.0)
        ledger.tell(ledger.point(GATEWAY, "hood/oil_fume", "kitchen_hood"), times, np.round(fume))
        self._tell_batch(start)
        self._tell_gas(start)

    def _tell_batch(self, start: Instant) -> None:
        """Tell what is cooled after lunch: within the hour, as a rule."""
        times = grid(start, start + DAY, MINUTE, 47 * SECOND)
        since = (times - start) / HOUR - 14.0
        constant = self._random.uniform(0.6, 1.0)
        cooling = (since >= 0) & (since < 4.5)
        core = np.where(cooling, -5.0 + 77.0 * np.exp(-np.maximum(since, 0.0) / constant), 3.0)
        ledger = self._ledger
        ledger.tell(ledger.point(GATEWAY, "blast-1/product_temperature", "blast_chiller"), times, np.round(core, 1))
        running = ledger.point(GATEWAY, "blast-1/compressor_running", "blast_chiller")
        ledger.tell(running, times, cooling.astype(np.float64))

    def _tell_gas(self, start: Instant) -> None:
        ledger = self._ledger
        begins, ends = self._faults.span("gas", f"{GATEWAY}/kitchen-gas-1")
        step = 30 * SECOND
        shown: list[float] = []
        finely: list[int] = []
        for at in range(start, start + DAY, step):
            leaking = begins <= at < ends
            # A stove that is lit late lets out a little.
            lit = self._random.random() < 0.001
            self._gas.source = 9.0 if leaking else 1.5 if lit else 0.0
            self._gas.airing = 1.0 if leaking else 6.0
            self._gas.step(step / SECOND)
            finely.append(at)
            shown.append(min(max(self._gas.explosive + self._random.normal(0.3, 0.3), 0.0), 100.0))
        times, values = np.array(finely, np.int64), np.round(np.array(shown), 1)
        ledger.tell(ledger.point(GATEWAY, "kitchen-gas-1/combustible_gas", "kitchen_gas_detector"), times, values)
        fault = ledger.point(GATEWAY, "kitchen-gas-1/gas_detector_fault", "kitchen_gas_detector")
        ledger.state(fault, start, start + DAY, 10 * MINUTE, [])
