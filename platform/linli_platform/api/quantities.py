"""What the vocabulary says of a stored series; a quantity this version does not know still has a name to show."""

from dataclasses import dataclass

from linli_core.model import Kind
from linli_core.vocabulary import vocabulary


@dataclass(frozen=True, slots=True)
class QuantityFacts:
    """Unit, kind and titles of a quantity."""

    unit: str
    kind: Kind
    zh: str
    en: str


def facts(quantity: str) -> QuantityFacts:
    """Return what is known of a quantity."""
    known = vocabulary().get(quantity)
    if known is None:
        return QuantityFacts("", Kind.GAUGE, quantity, quantity)
    return QuantityFacts(known.unit, known.kind, known.titles["zh"], known.titles["en"])
