"""A module's fault put into the running process: what imported its names has the fault too."""

import gc
import sys
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Final

from linli_sim.mutants.faults import Mutant

_PLAIN: Final = (bool, int, float, str, tuple, frozenset)

Functions = Mapping[tuple[str, str, int], list[FunctionType]]


def functions_of(package: str) -> Functions:
    """Return every function of a package by file, name and line; methods, closures and lambdas are there too."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for it in gc.get_objects():
        if isinstance(it, FunctionType) and it.__module__ and it.__module__.startswith(package):
            code = it.__code__
            found.setdefault((code.co_filename, code.co_qualname, code.co_firstlineno), []).append(it)
    return found


def graft(mutant: Mutant, package: str, functions: Functions) -> None:
    """Let every function, default and plain constant of a module be as the mutant has it.

    What was there before must be frozen (:func:`gc.freeze`): then the new functions are all that the collector knows.
    """
    module = sys.modules[f"{package}.{mutant.module}"]
    scratch = ModuleType(module.__name__)
    scratch.__dict__.update({"__file__": module.__file__, "__package__": package})
    sys.modules[module.__name__] = scratch
    try:
        exec(mutant.code, scratch.__dict__)  # noqa: S102 - our own source
    finally:
        sys.modules[module.__name__] = module
    for it in gc.get_objects():
        if not isinstance(it, FunctionType):
            continue
        code = it.__code__
        for known in functions.get((code.co_filename, code.co_qualname, code.co_firstlineno), ()):
            known.__code__, known.__defaults__, known.__kwdefaults__ = code, it.__defaults__, it.__kwdefaults__
    for name, value in list(scratch.__dict__.items()):
        known_value = module.__dict__.get(name)
        if isinstance(value, _PLAIN) and not name.startswith("__") and value != known_value:
            for other in list(sys.modules.values()):
                names = getattr(other, "__dict__", {})
                if names.get(name) is known_value:
                    names[name] = value
