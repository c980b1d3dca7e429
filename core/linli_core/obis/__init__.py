"""OBIS: the codes by which IEC 62056-21, DSMR P1 and DLMS/COSEM meters name what they measure (IEC 62056-6-1).

::

    code = parse("1-0:1.8.1*255")            # or from_bytes(six bytes)
    meaning_of(code)                         # energy_import, tariff 1
    book = Booking("meter-1", now)           # from codes and values to readings
    book.number(code, Decimal("12.3"), "kWh", raw="1.8.1(12.3*kWh)")

:mod:`identifier` (the code itself), :mod:`table` (what it means, as data: ``obis.toml``), :mod:`unit` (units as meters
write them), :mod:`booking` (the readings). Shared by every codec whose values carry OBIS codes.
"""

from linli_core.obis.booking import RAW, Booking
from linli_core.obis.identifier import Obis, from_bytes, parse
from linli_core.obis.table import Meaning, meaning_of
from linli_core.obis.unit import unit_of

__all__ = ["RAW", "Booking", "Meaning", "Obis", "from_bytes", "meaning_of", "parse", "unit_of"]
