"""The tests of the engine, collected once: each mutant is tried in a fork of the process, by those that reach it."""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol

from linli_sim.mutants.faults import Mutant
from linli_sim.mutants.graft import Functions, functions_of, graft

PATIENCE_S: Final = 4.0
"""CPU time a test of a mutant has besides twice what it takes: one that never ends is noticed too."""

_CALLS: Final = 100_000
"""So many calls of a test are looked at to see which functions it reaches: of an example in a hundred that is all."""

_EXAMPLES: Final = 25
_KILLED: Final = 1


def _functions_into(entered: set[CodeType]) -> Callable[[FrameType, str, Any], None]:
    """Return what notes the functions that a test enters."""
    left = _CALLS

    def trace(frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal left
        entered.add(frame.f_code)
        left -= 1
        if not left:
            sys.settrace(None)

    return trace


class Trial:
    """A pytest plugin that tries mutants instead of running the tests.

    Args:
        package: Theirs.
        mutants: Those that are tried.
        at_once: So many at a time.
        longest: Tests that take more seconds are not asked.
        say: Tells how it goes.

    Attributes:
        survivors: The mutants no test noticed.
        is_sound: Whether all tests pass without a mutant.
    """

    def __init__(
        self, package: str, mutants: Sequence[Mutant], *, at_once: int, longest: float, say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._package = package
        self._mutants = mutants
        self._reached: dict[tuple[str, int], set[int]] = {}
        self._took: list[float] = []
        self._at_once = at_once
        self._longest = longest
        self._tried: dict[int, Mutant] = {}
        self.survivors: list[Mutant] = []
        self.is_sound = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Let hypothesis find faults, but not the simplest example of each."""
        # Pytest must have seen it first, to rewrite its assertions.
        from hypothesis import Phase, settings  # noqa: PLC0415

        settings.register_profile(
            "mutants", settings.default, phases=(Phase.explicit, Phase.generate), database=None, max_examples=_EXAMPLES
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run each test once and note the functions it reaches; then try the mutants."""
        for number, item in enumerate(session.items):
            began = time.process_time()
            entered: set[CodeType] = set()
            sys.settrace(_functions_into(entered))
            passes = self._passes(item)
            sys.settrace(None)
            if not passes:
                self._say(f"fails without any mutant: {item.nodeid}")
                self.is_sound = False
                return True
            self._took.append(time.process_time() - began)
            for code in entered:
                for _, _, line in code.co_lines():
                    self._reached.setdefault((code.co_filename, line or 0), set()).add(number)
        self._say(f"{len(session.items)} tests, {len(self._mutants)} mutants")
        functions = functions_of(self._package)
        gc.freeze()
        for mutant in self._mutants:
            if len(self._tried) == self._at_once:
                self._hear()
            chosen = self._chosen(mutant, len(session.items))
            times = [self._took[it] for it in chosen]
            self._tried[self._try(mutant, [session.items[it] for it in chosen], times, functions)] = mutant
        while self._tried:
            self._hear()
        return True

    def _hear(self) -> None:
        """Wait until one of those that are tried is through."""
        number, status = os.wait()
        mutant = self._tried.pop(number)
        if status == 0:
            self.survivors.append(mutant)
            self._say(f"survived: {mutant}")

    @staticmethod
    def _passes(item: pytest.Item) -> bool:
        function = item if isinstance(item, pytest.Function) else None
        given = function.callspec.params if function is not None and hasattr(function, "callspec") else {}
        if function is None or set(function.fixturenames) - set(given):
            return all(report.passed or report.skipped for report in runtestprotocol(item, log=False, nextitem=None))
        # Nothing is to be set up: the test itself, without what surrounds it, is a hundred times as quick.
        try:
            function.obj(**given)
        except BaseException:  # noqa: BLE001 - whatever a fault in the source leads to
            return False
        return True

    def _chosen(self, mutant: Mutant, count: int) -> list[int]:
        """Return the tests that reach a mutant, the quickest first; all where nobody knows, as of a constant."""
        if not mutant.is_inside:
            found = set(range(count))
        else:
            lines = [(mutant.code.co_filename, line) for line in range(mutant.first, mutant.last + 1)]
            found = set().union(*(self._reached.get(line, ()) for line in lines))
        return sorted((it for it in found if self._took[it] <= self._longest), key=lambda it: self._took[it])

    def _try(self, mutant: Mutant, items: Sequence[pytest.Item], times: Sequence[float], functions: Functions) -> int:
        """Begin to try a mutant in a process of its own, which ends well if no test notices; return its number."""
        child = os.fork()
        if not child:
            with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - its descriptor is wanted
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            try:
                graft(mutant, self._package, functions)
                for item, took in zip(items, times, strict=True):
                    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S + 2 * took)
                    if not self._passes(item):
                        os._exit(_KILLED)
                os._exit(0)
            finally:
                os._exit(_KILLED)
        return child
