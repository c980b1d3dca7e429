"""Reading the parts of a telegram that are the manufacturer's own, by the layouts that are known."""

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import MANUFACTURER, Record
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus.layout import Layout, Where
from linli_core.codecs.wmbus.layouts import of_maker
from linli_core.codecs.wmbus.schemes import SCHEMES, Sealed


class Sender(msgspec.Struct, frozen=True):
    """Whose telegram it is, and what opens its private parts.

    Attributes:
        header: M, A, V, T of the link layer.
        identities: Of the meter, and of the module that sends for it; the meter's first.
        key: The meter's key.
    """

    header: bytes
    identities: tuple[Identity, ...]
    key: bytes | None


def find_layout(sender: Sender, where: Where, part: bytes, ci: int = -1, vib: bytes = b"") -> Layout | None:
    """Return the layout that reads a part of a telegram, ``None`` if none is known."""
    for identity in sender.identities:
        for layout in of_maker().get((where, identity.manufacturer), ()):
            if layout.applies((identity,), part, ci, vib):
                return layout
    return None


def read_part(ciphers: Ciphers, sender: Sender, layout: Layout, ci: int, part: bytes) -> list[Record]:
    """Return the records that a private part stands for, and behind them the part itself, in plain.

    No layout is known to the last byte, so the part is kept raw whatever was read of it.

    Raises:
        KeyFault: It is encrypted, and the key is missing or another.
        ProtocolError: It ends before something that has to be there.
    """
    if layout.file.scheme:
        part = SCHEMES[layout.file.scheme](ciphers, Sealed(sender.header, ci, part, sender.key))
    return [*layout.read(part), raw(part)]


def raw(part: bytes) -> Record:
    """Return the record of a part that nobody can read: its bytes."""
    return Record(MANUFACTURER, part, part)


def read_parts(ciphers: Ciphers, sender: Sender, ci: int, records: list[Record]) -> tuple[list[Record], Layout | None]:
    """Return records with those replaced that a layout reads, and the layout; others stay as they were sent."""
    used: Layout | None = None
    read: list[Record] = []
    for record in records:
        header = record.header
        layout = None
        if header.measurand is Measurand.MANUFACTURER_DATA:
            layout = find_layout(sender, Where.TAIL, record.data, ci)
        elif header.measurand is Measurand.MANUFACTURER_SPECIFIC:
            layout = find_layout(sender, Where.RECORD, record.data, ci, header.vib)
        if layout is None:
            read.append(record)
        else:
            read.extend(read_part(ciphers, sender, layout, ci, record.data))
            used = layout
    return read, used
