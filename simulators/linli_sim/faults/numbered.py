"""``python -m linli_sim.faults.numbered``: a Modbus unit whose every register block is a number it has never shown.

Each reading it serves gets the next number, and what it served is written down before it is sent, with the time by a
clock that no fault moves.
"""

import argparse
import asyncio
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer

POINTS: Final = 10
"""Readings in one answer."""

_SERVED: Final = struct.Struct("=QQ")

POINTS_TOML: Final = "\n".join(
    f'[[links.devices.points]]\nquantity = "active_power"\nchannel = {place + 1}\naddress = {2 * place}\n'
    'table = "input"\ntype = "uint32"\nunit = "W"'
    for place in range(POINTS)
)
"""The unit's points, for a gateway's configuration."""


def served(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the first number of each answer and when it was given (microseconds since 1970), in order."""
    data = path.read_bytes()
    for place in range(0, len(data) - len(data) % _SERVED.size, _SERVED.size):
        yield _SERVED.unpack_from(data, place)


async def serve(book: Path, last: int) -> None:
    """Serve until cancelled, numbers after ``last``."""
    unit = Unit()
    unit.put("input", 0, [0] * (2 * POINTS))
    descriptor = os.open(book, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def number(_unit: int) -> None:
        nonlocal last
        first = last + 1
        last += POINTS
        os.write(descriptor, _SERVED.pack(first, time.time_ns() // 1000))
        for place in range(POINTS):
            unit.put("input", 2 * place, ((first + place) >> 16, (first + place) & 0xFFFF))

    try:
        async with ModbusServer({1: unit}, before=number).listen() as port:
            print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
            await asyncio.Event().wait()
    finally:
        os.close(descriptor)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="linli_sim.faults.numbered")
    parser.add_argument("--book", type=Path, required=True, help="where to write down what was served")
    book = parser.parse_args().book
    # Numbers go on where the book ends.
    last = max((first + POINTS - 1 for first, _ in served(book)), default=0) if book.exists() else 0
    asyncio.run(serve(book, last))


if __name__ == "__main__":
    main()
