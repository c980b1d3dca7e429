"""A configuration that a kind of board cannot have: told before anything is written to it, a line for each problem."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linli_core.catalogue import Language, text
from linli_edge.nodes.trouble import BoardTrouble


@dataclass(frozen=True, slots=True)
class Problem:
    """What a kind of board cannot do that a configuration asks of it.

    Attributes:
        about: ``deaf``: it would sleep through something; ``unfit``: it has not such a pin.
        why: The text of the catalogue, ``node.<about>.<why>``.
        values: What stands in it.
    """

    about: str
    why: str
    values: Mapping[str, str]

    def told(self, lang: Language) -> str:
        """Return what is wrong, and what to do."""
        return text(f"node.{self.about}.{self.why}", lang, **self.values)


class Refused(BoardTrouble):
    """A configuration is for another kind of board than the one it was to go to."""

    def __init__(self, where: str, board: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems[0].about, where, board=board)

    def told(self, lang: Language) -> str:
        """Return what is wrong and what to do, a line for each problem."""
        return "\n".join([super().told(lang), *(f"  {problem.told(lang)}" for problem in self.problems)])
