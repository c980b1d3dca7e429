"""What a master sends: read, read on, search, clock, relay; and the authority that dangerous requests need."""

from dataclasses import dataclass
from typing import Final

from linli_core.codecs.bcd import decode_pair
from linli_core.codecs.dlt645 import control
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.frame import ANY, BROADCAST, Frame
from linli_core.codecs.mbus.values import MeterTime

_READ: Final = {Edition.E2007: control.READ_2007, Edition.E1997: control.READ_1997}
_READ_ON: Final = {Edition.E2007: control.READ_ON_2007, Edition.E1997: control.READ_ON_1997}

SEARCH_1997: Final = 0x9010
"""What a meter of 1997 is asked for to learn its address: it has no request for that, and every meter has this."""


def read(address: str, identifier: int, edition: Edition = Edition.E2007) -> Frame:
    """Ask for the value, or the block of values, of an identifier."""
    return Frame(address, _READ[edition], _identifier(identifier, edition))


def read_on(address: str, identifier: int, sequence: int, edition: Edition = Edition.E2007) -> Frame:
    """Ask for the next piece of an answer that said "more follow"; ``sequence`` counts from 1 (2007 only)."""
    number = bytes((sequence & 0xFF,)) if edition is Edition.E2007 else b""
    return Frame(address, _READ_ON[edition], _identifier(identifier, edition) + number)


def read_address(address: str = ANY) -> Frame:
    """Ask for the address; every meter whose address fits answers at once (2007 only)."""
    return Frame(address, control.READ_ADDRESS_2007)


def search(address: str, edition: Edition) -> Frame:
    """Ask in such a way that every meter of an edition whose address fits must answer."""
    if edition is Edition.E2007:
        return read_address(address)
    return read(address, SEARCH_1997, Edition.E1997)


def broadcast_time(moment: MeterTime) -> Frame:
    """Tell all meters the time; none answers, and a meter follows only within its own limits."""
    if moment.date is None or moment.time is None:
        raise ValueError("a clock needs date and time")
    year, month, day = moment.date
    hour, minute, second = moment.time
    return Frame(BROADCAST, control.BROADCAST_TIME, _packed(second, minute, hour, day, month, year % 100))


@dataclass(frozen=True, slots=True)
class Authority:
    """Who asks for something dangerous.

    Attributes:
        level: Level of the password, 00 to 09 (the lower the mightier).
        password: Six digits.
        operator: Eight digits, kept by the meter with what was done.
    """

    level: int
    password: str
    operator: str

    def encode(self) -> bytes:
        """Return password and operator as they stand in a request; ``ValueError`` if they are none."""
        if len(self.password) != 6 or len(self.operator) != 8 or not (self.password + self.operator).isdecimal():
            raise ValueError("a password is six digits, an operator eight")
        return bytes((self.level,)) + bytes.fromhex(self.password)[::-1] + bytes.fromhex(self.operator)[::-1]


def switch_relay(address: str, code: int, authority: Authority, valid_until: MeterTime) -> Frame:
    """Ask a meter to work its relay; dangerous: who uses it must have authority, and ask twice.

    Args:
        address: One meter; never a wildcard, never all.
        code: What to do, in the maker's code: the codes differ, see the meter's profile.
        authority: Who asks.
        valid_until: By the meter's clock; a meter refuses what comes later.
    """
    if not address.isdecimal() or address == BROADCAST:
        raise ValueError(f"a relay is switched at one meter, not at {address}")
    if valid_until.date is None or valid_until.time is None:
        raise ValueError("a command needs the date and time it is valid until")
    year, month, day = valid_until.date
    hour, minute, second = valid_until.time
    until = _packed(second, minute, hour, day, month, year % 100)
    return Frame(address, control.RELAY_2007, authority.encode() + bytes((code, 0)) + until)


def _identifier(identifier: int, edition: Edition) -> bytes:
    return identifier.to_bytes(edition.identifier_size, "little")


def _packed(*parts: int) -> bytes:
    packed = bytes(part // 10 << 4 | part % 10 for part in parts)
    assert all(decode_pair(byte) is not None for byte in packed), "each part has two digits"
    return packed
