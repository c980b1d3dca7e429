"""Benchmarks: ``python -m linli_sim.bench [--only GLOB]`` prints one JSON line for each figure.

A benchmark is a function, plain or ``async``, that returns its figure, or a :class:`Result` where a peer ran beside
it in the same run::

    @bench("store.bytes_per_reading", unit="B", target=3)
    def bytes_per_reading() -> float: ...

Its name stands in :data:`linli_sim.bench.cli.BENCHES` too, beside the module it lives in, so that only what
``--only`` asks for is imported. What it needs and does not find, it says with :class:`CannotRun`.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from linli_core.errors import LinliError


class CannotRun(LinliError):
    """Something a benchmark needs is not here; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """A figure, and what a peer reached beside it.

    Attributes:
        value: In the benchmark's unit.
        peer: The peer's name and version.
        peer_value: Its figure, in the same unit and from the same run; not 0.
    """

    value: float
    peer: str = ""
    peer_value: float | None = None

    @property
    def ratio(self) -> float | None:
        """Our figure over the peer's."""
        return None if self.peer_value is None else self.value / self.peer_value


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of output. ``target`` is what the design asks for; whether more or less is better, the unit says."""

    bench: str
    value: float
    unit: str
    target: float | None = None
    peer: str = ""
    ratio: float | None = None


Function = Callable[[], float | Result] | Callable[[], Awaitable[float | Result]]


@dataclass(frozen=True, slots=True)
class Bench:
    """A registered benchmark."""

    name: str
    unit: str
    target: float | None
    function: Function

    def run(self) -> Line:
        """Run it, in an event loop of its own if it is ``async``, and return its line."""
        outcome = self.function()
        figure = asyncio.run(_awaited(outcome)) if inspect.isawaitable(outcome) else outcome
        result = figure if isinstance(figure, Result) else Result(figure)
        ratio = None if result.ratio is None else _rounded(result.ratio)
        return Line(self.name, _rounded(result.value), self.unit, self.target, result.peer, ratio)


REGISTRY: Final[dict[str, Bench]] = {}
"""What the modules imported so far have registered, by name."""


def bench(name: str, unit: str, *, target: float | None = None) -> Callable[[Function], Function]:
    """Register a function as the benchmark ``name``; ``ValueError`` if there is one."""

    def register(function: Function) -> Function:
        if name in REGISTRY:
            raise ValueError(f"two benchmarks are called {name!r}")
        REGISTRY[name] = Bench(name, unit, target, function)
        return function

    return register


async def _awaited(outcome: Awaitable[float | Result]) -> float | Result:
    return await outcome


def _rounded(figure: float) -> float:
    """Return a figure with four significant digits: no run repeats the fifth."""
    return float(f"{figure:.4g}")
