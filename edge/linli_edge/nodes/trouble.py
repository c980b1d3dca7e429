"""What can be wrong with a board at a cable, in words for the person who holds it."""

from typing import Final

from linli_core.catalogue import Language, text
from linli_core.errors import LinliError
from linli_edge.nodes.phrases import explained

LAST_WORDS: Final = 300
"""Characters of what a board said that are told."""


class BoardTrouble(LinliError):
    """A board cannot be worked on; ``told`` says why, and what to do, in the reader's language.

    Attributes:
        kind: Which trouble; its text is ``node.trouble.<kind>`` of the catalogue.
        port: At which port.
        said: What the board said of it, where it said something.
        values: What stands in the text.
    """

    def __init__(self, kind: str, port: str, /, **values: object) -> None:
        self.kind = kind
        self.port = port
        self.said = str(values.get("said", ""))
        self.values = {"port": port, **{name: str(value) for name, value in values.items()}}
        super().__init__(self.told("en"))

    def told(self, lang: Language) -> str:
        """Return what is wrong and what to do."""
        told = f"{self.port}: {text(f'node.trouble.{self.kind}', lang, **self.values)}"
        meaning = explained(self.said, lang)
        return f"{told}\n→ {meaning}" if meaning else told
