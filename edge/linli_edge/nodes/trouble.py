"""What can be wrong with a board at a cable, in words for the person who holds it."""

from typing import Final

from linli_core.catalogue import Language, text
from linli_core.errors import LinliError

LAST_WORDS: Final = 300
"""Characters of what a board said that are told."""


class BoardTrouble(LinliError):
    """A board cannot be worked on; ``told`` says why, and what to do, in the reader's language.

    Attributes:
        kind: Which trouble; its text is ``node.trouble.<kind>`` of the catalogue.
        port: At which port.
    """

    def __init__(self, kind: str, port: str, /, **values: object) -> None:
        self.kind = kind
        self.port = port
        self._values = values
        super().__init__(self.told("en"))

    def told(self, lang: Language) -> str:
        """Return what is wrong and what to do."""
        return f"{self.port}: {text(f'node.trouble.{self.kind}', lang, port=self.port, **self._values)}"
