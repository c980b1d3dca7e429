"""The community's nodes: a door contact, a leak rope and an old water meter's pulses, alive until told to stop."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import NoMachine, unix

DOOR: Final = "pump-room-door"
LEAK: Final = "pump-room-leak"
WATER: Final = "garden-water"

_DOOR_PIN: Final = 4
_PULSE_PIN: Final = 5
_ROPE_PIN: Final = 6
_DRY: Final = 40_000
_WET: Final = 2_000
_LITRES_A_PULSE: Final = 10
_CELLS: Final = 2_870
"""Millivolts of two cells in their second year."""

BOARDS: Final = {DOOR: "d0d0", LEAK: "1eaf", WATER: "0a7e"}
_SENSORS: Final[dict[str, list[dict[str, Any]]]] = {
    DOOR: [{"kind": "reed", "pin": _DOOR_PIN}],
    LEAK: [{"kind": "leak_rope", "pin": _ROPE_PIN, "power": 7}],
    # In m3 with three places, ten litres a pulse, and the register that stood on the old meter's dial.
    WATER: [
        {
            "kind": "pulse", "pin": _PULSE_PIN, "quantity": "water_volume", "places": 3, "per_pulse": _LITRES_A_PULSE,
            "initial": 1_234_560,
        }
    ],
}  # fmt: skip
_ACTIONS: Final = [{"kind": "relay", "pin": 8, "when": "water_leak"}]


def installed() -> bool:
    """Tell whether there is a virtual machine to run them."""
    try:
        unix()
    except NoMachine:
        return False
    return True


class ThreeNodes:
    """Three nodes at one broker; ``async with`` switches them on, and off again."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        """Store.

        Args:
            folder: A folder below it for each node: configuration, flash, what it said.
            port: The broker's, on this machine.
            seed: Of what happens to them.
        """
        gateway = {"host": "127.0.0.1", "port": port, "tls": False}
        self._dice = random.Random(seed)  # noqa: S311 - weather, not secrets
        self._stack = AsyncExitStack()
        self.nodes = {
            node: SimNode(
                folder / node,
                {
                    "node": node,
                    "gateway": gateway,
                    "interval": 2,
                    "sensors": sensors,
                    "actions": _ACTIONS if node == LEAK else [],
                    # The door has no socket beside it.
                    **({"power": "battery", "deliver_every": 1} if node == DOOR else {}),
                },
                uid=BOARDS[node],
            )
            for node, sensors in _SENSORS.items()
        }

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for node in self.nodes.values():
                stack.push_async_callback(node.kill)
                await node.start()
                await node.tell(f"adc {_ROPE_PIN} {_DRY}")
            await self.nodes[DOOR].tell(f"battery {_CELLS}")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def live(self) -> None:
        """Let water run, the door open and shut, and the rope get wet now and then, until cancelled."""
        dice, is_open, wet = self._dice, False, False
        while True:
            await self.nodes[WATER].tell(f"pulse {_PULSE_PIN} {dice.randrange(1, 4)}")
            if dice.random() < 0.2:
                is_open = not is_open
                await self.nodes[DOOR].tell(f"pin {_DOOR_PIN} {int(is_open)}")
            if dice.random() < (0.3 if wet else 0.05):
                wet = not wet
                await self.nodes[LEAK].tell(f"adc {_ROPE_PIN} {_WET if wet else _DRY}")
            await asyncio.sleep(1)
