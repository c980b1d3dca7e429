"""Device profiles of DL/T 645 meters: what a make and model is asked for, and where it differs from the standard.

A profile is a TOML file in ``profiles/`` (its name is the profile's), or any file a device names by its path.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from linli_core.codecs.dlt645 import Edition, Item
from linli_core.codecs.dlt645.dictionary import STANDARD, Dictionary
from linli_core.codecs.dlt645.item import Coding, Format
from linli_core.instant import DAY, SECOND
from linli_core.model import Phase
from linli_core.vocabulary import vocabulary
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf

USUAL: Final = "dlt645-standard"
"""Profile of a device that names none."""

_IDENTIFIER: Final = "[0-9A-F]{4}|[0-9A-F]{8}"
_RELAY_CODE: Final = "[0-9A-F]{2}"
_CODINGS: Final = (Coding.NUMBER, Coding.SIGNED, Coding.DIGITS, Coding.TEXT, Coding.WORD)


@dataclass(frozen=True, slots=True)
class Reads:
    """Identifiers that are read at one interval.

    Attributes:
        identifiers: Of each edition.
        interval: Microseconds from one reading to the next; 0: as often as the device.
    """

    identifiers: Mapping[Edition, tuple[int, ...]]
    interval: int


@dataclass(frozen=True, slots=True)
class RelayCodes:
    """What a meter is told to open and to close its relay; the codes differ by maker."""

    open: int
    close: int


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The declaration for a make and model.

    Attributes:
        name: What a device's ``profile = "…"`` says.
        make, model: Of the meter.
        manual: The document the identifiers were taken from.
        verified: What was checked against a meter or a recording, and what is from documents only.
        title: For people, in ``zh`` and ``en``.
        edition: The edition it speaks; ``None``: found out.
        preamble: How many FE go before a request.
        tariffs: How many tariffs a block is expected to hold.
        blocks: Whether it is worth asking for blocks.
        wildcard_echo: It answers with the wildcard it was asked by instead of its address.
        reads: What it is asked for.
        own: Identifiers that its maker has given a meaning of its own.
        relay: How its relay is worked; ``None`` where nobody declared it.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    edition: Edition | None
    preamble: int
    tariffs: int
    blocks: bool
    wildcard_echo: bool
    reads: tuple[Reads, ...]
    own: tuple[Item, ...] = ()
    relay: RelayCodes | None = None

    def words(self, edition: Edition) -> Dictionary:
        """Return the identifiers of this kind of meter."""
        own = {item.identifier: (item,) for item in self.own if item.edition is edition}
        return Dictionary(edition, own) if own else STANDARD[edition]


def parse(name: str, table: Mapping[str, object], where: str) -> DeviceProfile:
    """Return the profile that a file's tables declare; raise ``ConfigErrors`` with all that is wrong."""
    with reading(table, where, known=()) as profile:
        title = profile.table("title", required=True)
        titles = {language: title.text(language) for language in ("zh", "en")}
        edition = read_edition(profile, None)
        relay = profile.table("relay") if "relay" in profile else None
        own = tuple(_own(item) for item in profile.tables("identifiers"))
        return DeviceProfile(
            name,
            profile.text("make"),
            profile.text("model"),
            profile.text("manual"),
            profile.text("verified"),
            titles,
            edition,
            profile.integer("preamble", 4, minimum=0, maximum=16),
            profile.integer("tariffs", 4, minimum=0, maximum=63),
            profile.boolean("blocks", default=True),
            profile.boolean("wildcard_echo", default=False),
            tuple(read_group(item, edition, own) for item in profile.tables("reads", required=True)),
            own,
            _relay(relay) if relay is not None else None,
        )


def read_edition(table: Table, default: Edition | None) -> Edition | None:
    """Return the edition a table names; ``None`` for ``auto``."""
    if "edition" not in table:
        return default
    word = table.choice("edition", ("2007", "1997", "auto"))
    return None if word == "auto" else Edition(word)


def read_identifiers(
    table: Table, key: str, edition: Edition | None, own: tuple[Item, ...] = ()
) -> Mapping[Edition, tuple[int, ...]]:
    """Return the identifiers of a list, by edition: eight digits are of 2007, four of 1997."""
    found: dict[Edition, list[int]] = {Edition.E2007: [], Edition.E1997: []}
    for place, text in enumerate(table.texts(key)):
        digits = text.upper()
        where = f"{key}[{place}]"
        if len(digits) not in (4, 8) or any(digit not in "0123456789ABCDEF" for digit in digits):
            table.problem(where, f'found "{text}"', 'write eight digits (2007), such as "0001FF00", or four (1997)')
            continue
        of = Edition.E2007 if len(digits) == 8 else Edition.E1997
        identifier = int(digits, 16)
        if edition is not None and of is not edition:
            remedy = f"the meter speaks {edition.document}: leave it out, or correct the edition"
            table.problem(where, f'"{text}" is of {of.document}', remedy)
        elif not STANDARD[of].layout(identifier) and all(identifier != item.identifier for item in own):
            remedy = "correct it, or say what it is in [[identifiers]] of a profile"
            table.problem(where, f'no identifier of {of.document} is "{text}"', remedy)
        else:
            found[of].append(identifier)
    return {of: tuple(identifiers) for of, identifiers in found.items()}


def read_group(item: Table, edition: Edition | None, own: tuple[Item, ...]) -> Reads:
    """Return identifiers that are read together, and how often; 0 is as often as the device."""
    identifiers = read_identifiers(item, "identifiers", edition, own)
    return Reads(identifiers, item.duration("interval", 0, minimum=SECOND // 10, maximum=DAY))


def _own(item: Table) -> Item:
    """Return an identifier that a maker has given a meaning of its own."""
    text = item.text("identifier", pattern=_IDENTIFIER)
    coding = item.choice("coding", [coding.value for coding in _CODINGS], Coding.NUMBER.value)
    quantity = item.text("quantity")
    unit = item.text("unit", "")
    if quantity and quantity not in vocabulary():
        near = difflib.get_close_matches(quantity, vocabulary(), 1)
        remedy = f'did you mean "{near[0]}"?' if near else "see docs/vocabulary.md"
        item.problem("quantity", f'no quantity is called "{quantity}"', remedy)
    elif quantity and unit not in (vocabulary().units_of(quantity) or ("",)):
        choice = ", ".join(vocabulary().units_of(quantity)) or "no unit at all"
        item.problem("unit", f'{quantity} is not given in "{unit}"', f"choose {choice}")
    edition = Edition.E1997 if len(text) == 4 else Edition.E2007
    decimals = item.integer("decimals", 0, minimum=0, maximum=6)
    return Item(
        edition,
        int(text or "0", 16),
        Format(Coding(coding), item.integer("size", minimum=1, maximum=32), decimals),
        quantity,
        unit,
        item.text("zh"),
        item.text("en"),
        item.text("source"),
        phase=item.member("phase", Phase, None),
        channel=item.integer("channel", None, minimum=1),
        tariff=item.integer("tariff", None, minimum=1, maximum=63),
        storage=item.integer("storage", None, minimum=1),
    )


def _relay(table: Table) -> RelayCodes:
    codes = [int(table.text(key, pattern=_RELAY_CODE) or "0", 16) for key in ("open", "close")]
    return RelayCodes(*cast("tuple[int, int]", tuple(codes)))


SHELF: Final = Shelf("linli_edge.drivers.dlt645", parse)
"""The profiles of this driver."""
