"""What a maker means by records that say something else, or nothing, by the standard: data, not code.

Makers of electricity meters send reactive and apparent energy under the VIF of active energy, told apart by sub-unit or
by codes of their own behind the VIFE 7F. Booked by the standard's words alone they would be plausible and wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record_header import Header
from linli_core.codecs.mbus.vif import Measurand

MEANT: Final = {
    ("Wh", "varh"): (1, 1),
    ("Wh", "kvarh"): (1, 1000),
    ("Wh", "VAh"): (1, 1),
    ("Wh", "kVAh"): (1, 1000),
    ("W", "var"): (1, 1),
    ("W", "VA"): (1, 1),
}
"""Unit of the VIF and the unit that is meant by it → numerator and denominator."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """One kind of record of one make, and what it is.

    Attributes:
        measurand: What the VIF says.
        subunit, tariff, coding: Which records; ``None`` for any.
        codes: The maker's own codes behind the VIFE 7F, without extension bits; empty: none may stand there.
        quantity: The vocabulary's name; empty: the record is kept raw.
        phase: ``l1``…; empty: what the record itself says.
        exponent: Power of ten of the raw number, beside the VIF's.
        certain: Whether it is known rather than likely.
        keeps_channel: Whether the sub-unit still tells a channel; otherwise it only told what the record is.
    """

    measurand: Measurand
    subunit: int | None = None
    tariff: int | None = None
    coding: int | None = None
    codes: bytes = b""
    quantity: str = ""
    phase: str = ""
    exponent: int = 0
    certain: bool = True
    keeps_channel: bool = False

    def fits(self, header: Header) -> bool:
        """Tell whether a record is of this kind."""
        return (
            self.measurand is header.measurand
            and self.subunit in (None, header.subunit)
            and self.tariff in (None, header.tariff)
            and self.coding in (None, header.coding)
            and self.codes == makers_codes(header)
        )


QuirksOf = Callable[[Identity], Sequence[Quirk]]
"""Returns the quirks of a meter's make, the most special first."""


def no_quirks(_: Identity) -> Sequence[Quirk]:
    """Return nothing: every meter means what the standard says."""
    return ()


def makers_codes(header: Header) -> bytes:
    """Return the maker's own codes in a record's header, without extension bits; empty if there are none."""
    _, found, codes = header.vib.partition(b"\xff")
    return bytes(code & 0x7F for code in codes) if found else b""
