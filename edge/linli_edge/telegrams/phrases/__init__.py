"""What parts of telegrams are called in Chinese: a phrase book a protocol, ``<protocol>.toml``.

Parts speak English, the language of the standards they quote. A phrase book maps whole texts (``"control code" =
"控制码"``), or texts with gaps (``"the bytes give {}" = "按字节计算为 {}"``; ``{1}`` in the Chinese is the second gap).
A text that is not there is taken apart at ``; ``, ``: `` and ``, `` and each piece looked up, so that what is composed
(``read data, reply``) needs no entry of its own. What has no entry stays as it is: numbers, units, times.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from linli_core.catalogue import Language

SHARED: Final = "shared"
"""Phrases of every protocol: ``start``, ``checksum``…"""

_BASIS: Final = {"wmbus": "mbus"}
"""Protocol → the one whose records it carries, and whose phrases it needs too."""

_JOINTS: Final = {"; ": "；", ": ": "：", ", ": "，"}
"""Where a text is taken apart, the loosest joint first."""


@dataclass(frozen=True, slots=True)
class PhraseBook:
    """A protocol's phrases.

    Attributes:
        whole: English to Chinese.
        gapped: The same for texts with gaps.
    """

    whole: Mapping[str, str]
    gapped: tuple[tuple[re.Pattern[str], str], ...]

    def knows(self, text: str) -> bool:
        """Tell whether a text has an entry of its own."""
        return text in self.whole or any(pattern.fullmatch(text) for pattern, _ in self.gapped)

    def translate(self, text: str) -> str:
        """Return a text in Chinese, as far as there are entries."""
        if text in self.whole:
            return self.whole[text]
        for pattern, chinese in self.gapped:
            if match := pattern.fullmatch(text):
                return chinese.format(*(self.translate(gap) for gap in match.groups()))
        for joint, chinese in _JOINTS.items():
            if joint in text:
                return chinese.join(self.translate(piece) for piece in text.split(joint))
        return text


def translate(text: str, protocol: str, language: Language) -> str:
    """Return a part's text in a language."""
    return text if language == "en" or not text else phrase_book(protocol).translate(text)


@cache
def phrase_book(protocol: str) -> PhraseBook:
    """Return a protocol's phrases, the shared ones among them."""
    phrases = _read(SHARED) | _read(_BASIS.get(protocol, SHARED)) | _read(protocol)
    gapped = tuple((_pattern(english), chinese) for english, chinese in phrases.items() if "{}" in english)
    return PhraseBook({english: chinese for english, chinese in phrases.items() if "{}" not in english}, gapped)


def _pattern(english: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(piece) for piece in english.split("{}")))


def _read(name: str) -> dict[str, str]:
    content = (resources.files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
    return {english: str(chinese) for english, chinese in tomllib.loads(content).items()}
