"""What can be wrong with boards."""

from difflib import get_close_matches

from linli_core.errors import ConfigError
from linli_core.vocabulary import vocabulary


class UnknownQuantity(ConfigError):
    """A board asks for a quantity that the vocabulary does not have, or has no longer."""

    def __init__(self, quantity: str) -> None:
        near = get_close_matches(quantity, vocabulary(), 1)
        remedy = f"did you mean {near[0]!r}?" if near else "name one of docs/vocabulary.md"
        super().__init__("board", f"no quantity is called {quantity!r}", remedy)
        self.quantity = quantity


class BoardError(ConfigError):
    """A board that cannot be made, or a file of one that cannot be used."""
