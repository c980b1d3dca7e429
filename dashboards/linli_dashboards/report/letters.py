"""Names as people write them, on paper: what is read from the right, what must be joined, what nobody has a font for.

A device may be called in any script. In HTML the browser sees to all of it; in PDF we do.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection

_FROM_THE_RIGHT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_JOINED: Final = re.compile("[\u0300-\u036f\u0590-\u1cff\ua840-\uabff\ufb1d-\ufdff\ufe70-\ufefc]")
"""Scripts whose letters join, change places or bear marks: they are drawn as HarfBuzz lays them out."""

_TURNS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
_JOINERS: Final = frozenset("\u200c\u200d")
_GAPS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_ISOLATE: Final = "\u2068"
_END: Final = "\u2069"


class Run(NamedTuple):
    """Letters that are drawn in one go.

    Attributes:
        words: In the order in which they are read.
        from_right: Whether that is from the right.
        joined: Whether they must be laid out by HarfBuzz.
    """

    words: str
    from_right: bool
    joined: bool


def name_of(words: str, fallback: str) -> str:
    """Return a name so that it can stand in any sentence: what it turns around is itself alone.

    A figure after a name that is read from the right would change places with it; a mark that turns what follows
    would turn the rest of the line.

    Args:
        words: As somebody wrote it.
        fallback: Stands for a name of which nothing is to be seen.
    """
    name = _GAPS.sub(" ", plain(words)).strip()
    if not _UNSEEN.sub("", name).strip():
        return fallback
    return f"{_ISOLATE}{name}{_END}" if _FROM_THE_RIGHT.search(name) else name


def runs_of(words: str) -> Iterator[Run]:
    """Yield the runs of a line in the order in which they stand on paper, from the left."""
    if not _FROM_THE_RIGHT.search(words):
        yield from _run(words, from_right=False)
        return
    paragraph = BidiParagraph(text=words, base_direction=TextDirection.LTR, preserve_bn_chars=True)
    characters = paragraph.get_characters_with_embedding_level()
    runs = [
        (level, "".join(each.character for each in same))
        for level, same in groupby(characters, key=lambda each: each.embedding_level)
    ]
    # Rule L2 of Unicode's bidirectional algorithm, over runs: what is within a run HarfBuzz turns.
    for least in range(max(level for level, _ in runs), 0, -1):
        at = 0
        while at < len(runs):
            end = at
            while end < len(runs) and runs[end][0] >= least:
                end += 1
            runs[at:end] = reversed(runs[at:end])
            at = end + 1
    for level, run in runs:
        yield from _run(run, from_right=level % 2 == 1)


def _run(words: str, *, from_right: bool) -> Iterator[Run]:
    joined = from_right or _JOINED.search(words) is not None
    # A mark that is never seen is no letter that a font lacks; in what is joined, two of them say how.
    seen = _UNSEEN.sub(lambda mark: mark[0] if joined and mark[0] in _JOINERS else "", words)
    if seen:
        yield Run(seen, from_right, joined)


def cut(words: str) -> str:
    """Return words without their last letter, and without the marks that it bore."""
    while len(words) > 1:
        words, last = words[:-1], words[-1]
        if unicodedata.category(last)[0] != "M" and not _UNSEEN.match(last):
            break
    return words.rstrip("\u200d")


def plain(words: str) -> str:
    """Return words without what turns them: for where nothing is drawn."""
    return _TURNS.sub("", words)
