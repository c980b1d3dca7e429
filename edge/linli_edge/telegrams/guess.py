"""Which protocol some bytes are of, and by what it was recognised."""

from collections.abc import Iterable
from dataclasses import dataclass

from linli_edge.telegrams.dialect import Dialect, Recognised


@dataclass(frozen=True, slots=True)
class Guess:
    """One protocol that the bytes may be of."""

    protocol: str
    dialect: Dialect
    recognised: Recognised


def guess(data: bytes, dialects: Iterable[tuple[str, Dialect]]) -> list[Guess]:
    """Return the protocols that speak for some bytes with the highest certainty any has.

    One: that is it. Several: nothing tells them apart, and a person must say. None: no protocol known here.
    """
    found = [
        Guess(protocol, dialect, recognised)
        for protocol, dialect in dialects
        if (recognised := dialect.recognise(data)) is not None
    ]
    best = max((one.recognised.certainty for one in found), default=None)
    return [one for one in found if one.recognised.certainty is best]
