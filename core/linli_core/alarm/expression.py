"""A small language for conditions over several points: arithmetic, comparison, ``and``, ``or``, ``not``; no more.

::

    supply - back < 5 and flow > 0.1
    abs(l1 - l2) > 0.2 * max(l1, l2)
    valve is closed and flow > 0.00001

It has no loop, no call of anything but ``abs``, ``min`` and ``max``, and is bounded before it is read; so every
expression ends. What is not known makes unknown what rests on it (``None``), but ``false and …`` is false and
``true or …`` is true whatever the rest is. A division by zero is unknown. Of a state that a meter tells in words
``is`` asks which it is; as a number it is unknown, and so is which word a number is.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, NoReturn

from linli_core.errors import ConfigError

LONGEST: Final = 300
DEEPEST: Final = 24

Names = Mapping[str, float | str | None]
Compiled = Callable[[Names], float | None]
"""Gives the value for what the names stand for: a number, where 0 is false and all else true; ``None`` is unknown."""

_PIECE: Final = re.compile(
    r"(?:(?P<number>\d{1,15}(?:\.\d{1,15})?)|(?P<word>[a-z][a-z0-9_]*)|(?P<sign><=|>=|==|!=|[-+*/()<>,]))", re.ASCII
)
_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {"abs": abs, "min": min, "max": max}
_RESERVED: Final = frozenset({"and", "or", "not", "is", "true", "false", *_FUNCTIONS})


def parse_expression(text: str, names: Collection[str], where: str) -> Compiled:
    """Return an expression ready to be asked.

    Args:
        text: The expression.
        names: What it may speak of.
        where: What to call it in errors.

    Raises:
        ConfigError: It is no expression, speaks of something else, or is too long or too deep.
    """
    if len(text) > LONGEST:
        raise ConfigError(where, f"found {len(text)} characters", f"write at most {LONGEST}")
    reader = _Reader(text, names, where)
    found = reader.either()
    if reader.piece:
        reader.refuse()
    return found


class _Reader:
    """Reads by descent: each method takes what binds more tightly than the one above it."""

    def __init__(self, text: str, names: Collection[str], where: str) -> None:
        self._text = text.rstrip()
        self._names = names
        self._where = where
        self._at = 0
        self._depth = 0
        self._used: set[str] = set()
        for name in names:
            if name in _RESERVED:
                raise ConfigError(where, f"{name!r} is a word of the language", "name the point otherwise")
        self._next()

    def _next(self) -> None:
        self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip())
        self._begin = self._at
        if self._at >= len(self._text):
            self.kind, self.piece = "", ""
            return
        match = _PIECE.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self.piece = self._text[self._at :].strip()[:1]
            self.refuse()
        self.kind, self.piece = match.lastgroup, match[match.lastgroup]
        self._at = match.end()

    def refuse(self) -> NoReturn:
        """Say that what comes here does not belong here."""
        found = f"at character {self._begin + 1}, found {self.piece!r}" if self.piece else "it ends too early"
        raise ConfigError(self._where, found, "write one such as supply - back < 5 and flow > 0.1")

    def _take(self, piece: str) -> None:
        if self.piece != piece:
            self.refuse()
        self._next()

    def either(self) -> Compiled:
        """Read alternatives."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ConfigError(self._where, f"more than {DEEPEST} deep", "write it in fewer brackets")
        left = self._both()
        while self.piece == "or":
            self._next()
            left = _or(left, self._both())
        self._depth -= 1
        return left

    def _both(self) -> Compiled:
        left = self._denied()
        while self.piece == "and":
            self._next()
            left = _and(left, self._denied())
        return left

    def _denied(self) -> Compiled:
        denials = 0
        while self.piece == "not":
            self._next()
            denials += 1
        found = self._compared()
        if not denials:
            return found
        return _of(lambda value: float(bool(value) is (denials % 2 == 0)), (found,))

    def _compared(self) -> Compiled:
        left = self._sum()
        compare = _COMPARISONS.get(self.piece)
        if compare is None:
            return left
        self._next()
        return _of(lambda a, b: float(compare(a, b)), (left, self._sum()))

    def _sum(self) -> Compiled:
        left = self._product()
        while self.piece in {"+", "-"}:
            sign = self.piece
            self._next()
            left = _of(_ARITHMETIC[sign], (left, self._product()))
        return left

    def _product(self) -> Compiled:
        left = self._signed()
        while self.piece in {"*", "/"}:
            sign = self.piece
            self._next()
            left = _of(_ARITHMETIC[sign], (left, self._signed()))
        return left

    def _signed(self) -> Compiled:
        negative = False
        while self.piece == "-":
            self._next()
            negative = not negative
        found = self._atom()
        return _of(operator.neg, (found,)) if negative else found

    def _atom(self) -> Compiled:
        kind, piece = self.kind, self.piece
        if kind == "number":
            self._next()
            number = float(piece)
            return lambda _: number
        if piece == "(":
            self._next()
            found = self.either()
            self._take(")")
            return found
        if kind != "word" or piece in {"and", "or", "not", "is"}:
            self.refuse()
        if piece in {"true", "false"}:
            self._next()
            truth = float(piece == "true")
            return lambda _: truth
        if piece in _FUNCTIONS:
            return self._call(piece)
        if piece not in self._names:
            known = ", ".join(self._names)
            raise ConfigError(self._where, f"no point is called {piece!r}", f"known here: {known}")
        self._next()
        return _word(piece, self._state()) if self.piece == "is" else _number(piece)

    def _state(self) -> str:
        """Read the word a state is compared with."""
        self._next()
        word = self.piece
        if self.kind != "word" or word in _RESERVED:
            self.refuse()
        self._next()
        return word

    def _call(self, name: str) -> Compiled:
        self._next()
        self._take("(")
        arguments = [self.either()]
        while self.piece == ",":
            self._next()
            arguments.append(self.either())
        self._take(")")
        if (name == "abs") is not (len(arguments) == 1):
            wanted = "one" if name == "abs" else "two or more"
            raise ConfigError(self._where, f"{name} has {len(arguments)} values", f"give it {wanted}")
        return _of(_FUNCTIONS[name], tuple(arguments))


def _number(name: str) -> Compiled:
    def ask(names: Names) -> float | None:
        value = names.get(name)
        return None if isinstance(value, str) else value

    return ask


def _word(name: str, word: str) -> Compiled:
    def ask(names: Names) -> float | None:
        value = names.get(name)
        return float(value == word) if isinstance(value, str) else None

    return ask


def _of(function: Callable[..., float], parts: tuple[Compiled, ...]) -> Compiled:
    def ask(names: Names) -> float | None:
        values = [part(names) for part in parts]
        if None in values:
            return None
        try:
            found = function(*values)
        except (ZeroDivisionError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    return ask


def _and(left: Compiled, right: Compiled) -> Compiled:
    def ask(names: Names) -> float | None:
        one, other = left(names), right(names)
        if one == 0 or other == 0:
            return 0.0
        return None if one is None or other is None else 1.0

    return ask


def _or(left: Compiled, right: Compiled) -> Compiled:
    def ask(names: Names) -> float | None:
        one, other = left(names), right(names)
        if one or other:
            return 1.0
        return None if one is None or other is None else 0.0

    return ask
