"""Small faults in a source: one operator, number or truth made another."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Final

_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one fault.

    Attributes:
        module: Its module's name in the package.
        first, last: The lines the fault lies in.
        is_inside: Whether that is a function's body, whose lines tests are seen to reach.
        fault: What became what.
        code: The module with it.
    """

    module: str
    first: int
    last: int
    is_inside: bool
    fault: str
    code: CodeType

    def __str__(self) -> str:
        return f"{self.module}.py:{self.first}: {self.fault}"


def mutants(module: str, source: str, filename: str) -> Iterator[Mutant]:
    """Yield the mutants of a module, in the order of its syntax tree."""
    tree = ast.parse(source)
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            inside.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    for node in _behaviour(tree):
        for fault in _mutate(node):
            # compile() may change a tree, and lines must stay those of the source.
            code = compile(copy.deepcopy(tree), filename, "exec")
            first = getattr(node, "lineno", 0)
            yield Mutant(module, first, getattr(node, "end_lineno", first), first in inside, fault, code)


def _behaviour(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is run, level by level: of a class its methods, not what it declares of its data."""
    level = [node]
    while level:
        yield from level
        level = [
            child
            for parent in level
            for child in ast.iter_child_nodes(parent)
            if not isinstance(parent, ast.ClassDef) or isinstance(child, ast.FunctionDef)
        ]


def _mutate(node: ast.AST) -> Iterator[str]:
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
        node.operand = ast.UnaryOp(ast.Not(), operand, lineno=node.lineno, col_offset=node.col_offset)
        ast.fix_missing_locations(node)
        yield "a not was dropped"
        node.operand = operand
