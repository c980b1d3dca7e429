"""What a master sends: read, search, and the valve."""

from linli_core.codecs.cjt188 import control
from linli_core.codecs.cjt188.control import Order
from linli_core.codecs.cjt188.frame import ANY, ANY_TYPE, Frame


def read(
    meter_type: int,
    address: str,
    identifier: int = control.READING,
    *,
    serial: int = 0,
    order: Order = Order.HIGH_FIRST,
) -> Frame:
    """Ask for what an identifier names."""
    return Frame(meter_type, address, control.READ, order.pack(identifier) + bytes((serial & 0xFF,)))


def read_address(meter_type: int = ANY_TYPE, *, serial: int = 0, order: Order = Order.HIGH_FIRST) -> Frame:
    """Ask for the address; every meter of the kind answers at once."""
    return Frame(meter_type, ANY, control.READ_ADDRESS, order.pack(control.ADDRESS) + bytes((serial & 0xFF,)))


def work_valve(meter_type: int, address: str, code: int, *, serial: int = 0, order: Order = Order.HIGH_FIRST) -> Frame:
    """Ask a meter to work its valve; dangerous: who uses it must have authority, and ask twice.

    Args:
        meter_type: What is metered.
        address: One meter; never a wildcard.
        code: What to do, in the maker's code: some use 55 and 99 the other way round, see the meter's profile.
        serial: Number of the frame.
        order: In which order the identifier is sent.
    """
    if "AA" in (address[place : place + 2] for place in range(0, len(address), 2)):
        raise ValueError(f"a valve is worked at one meter, not at {address}")
    data = order.pack(control.VALVE) + bytes((serial & 0xFF, code))
    return Frame(meter_type, address, control.WRITE, data)
