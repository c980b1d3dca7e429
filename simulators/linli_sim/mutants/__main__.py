"""``python -m linli_sim.mutants [--every N] [MODULE…]``: of each module every Nth mutant is made and tested."""

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = Path("core/linli_core/alarm")
MODULES: Final = (
    "states", "watch", "absence", "figures", "happenings", "seasonal", "together", "expression", "schedule", "engine",
)  # fmt: skip
TESTS: Final = tuple(sorted((ROOT / "tests" / "core").glob("test_alarm_*.py")))
ENOUGH: Final = 0.9
TIMEOUT_S: Final = 120
"""A mutant that never ends is noticed too."""

_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
}  # fmt: skip


def mutate(node: ast.AST) -> Iterator[str]:
    """Change a node in place, one fault after another; each is undone when the next is asked for."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = _COMPARE[type(operator)]()
            node.ops[place] = other
            yield f"{type(operator).__name__} became {type(other).__name__}"
            node.ops[place] = operator
    elif isinstance(node, ast.BoolOp):
        before = node.op
        node.op = ast.Or() if isinstance(before, ast.And) else ast.And()
        yield f"{type(before).__name__} became {type(node.op).__name__}"
        node.op = before
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        operator_before = node.op
        node.op = _BINARY[type(operator_before)]()
        yield f"{type(operator_before).__name__} became {type(node.op).__name__}"
        node.op = operator_before
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value = node.value
        node.value = not value if isinstance(value, bool) else value + 1
        yield f"{value} became {node.value}"
        node.value = value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        operand = node.operand
        node.operand = ast.UnaryOp(ast.Not(), operand)
        yield "a not was dropped"
        node.operand = operand


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, fault and source of each mutant."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for fault in mutate(node):
            yield getattr(node, "lineno", 0), fault, ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))


def survives(core: Path) -> bool:
    """Tell whether the tests pass with what stands there."""
    path = os.pathsep.join([str(core), *sys.path])
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(str, TESTS)]
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    """Make mutants; return 1 if fewer than nine in ten were noticed."""
    parser = argparse.ArgumentParser(description="Small faults in the alarm engine, and whether the tests notice.")
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth mutant of a module")
    args = parser.parse_args()
    made = killed = 0
    with tempfile.TemporaryDirectory(prefix="linli-mutants-") as folder:
        core = Path(folder) / "core"
        shutil.copytree(ROOT / "core", core)
        if not survives(core):
            print("the tests fail without any mutant", file=sys.stderr)
            return 2
        for module in args.modules:
            path = Path(folder) / PACKAGE / f"{module}.py"
            source = path.read_text(encoding="utf-8")
            for number, (line, fault, mutant) in enumerate(mutants(source)):
                if number % args.every:
                    continue
                made += 1
                path.write_text(mutant, encoding="utf-8")
                if survives(core):
                    print(f"survived: {module}.py:{line}: {fault}", flush=True)
                else:
                    killed += 1
            path.write_text(source, encoding="utf-8")
            print(f"{module}: {killed} of {made} so far", flush=True)
    print(f'{{"mutants": {made}, "killed": {killed}, "share": {killed / max(made, 1):.3f}}}')
    return 0 if killed >= ENOUGH * made else 1


if __name__ == "__main__":
    sys.exit(main())
