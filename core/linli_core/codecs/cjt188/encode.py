"""What a meter sends, for simulators and tests."""

from decimal import Decimal

from linli_core.codecs.bcd import encode_number
from linli_core.codecs.cjt188.control import Order
from linli_core.codecs.cjt188.frame import REFUSED, REPLY, Frame
from linli_core.codecs.mbus.values import MeterTime


def answer(
    request: Frame, meter_type: int, address: str, identifier: int, data: bytes, *, order: Order = Order.HIGH_FIRST
) -> Frame:
    """Return the answer to a request, with its serial number."""
    serial = request.data[2:3] or b"\x00"
    return Frame(meter_type, address, REPLY | request.control, order.pack(identifier) + serial + data)


def refusal(request: Frame, meter_type: int, address: str, status: bytes) -> Frame:
    """Return the answer that says: no."""
    serial = request.data[2:3] or b"\x00"
    return Frame(meter_type, address, REPLY | REFUSED | request.control, serial + status)


def amount(value: Decimal | None, unit: int | None, *, size: int = 4, decimals: int = 2) -> bytes:
    """Return a number and its unit byte; FF throughout for ``None``; no unit byte for ``None``."""
    number = b"\xff" * size if value is None else encode_number(value, size, decimals)
    return number if unit is None else number + bytes((unit,))


def clock(moment: MeterTime | None) -> bytes:
    """Return a clock, second first; zeros for ``None``."""
    if moment is None or moment.date is None:
        return bytes(7)
    year, month, day = moment.date
    hour, minute, second = moment.time or (0, 0, 0)
    parts = (second, minute, hour, day, month, year % 100, year // 100)
    return bytes(part // 10 << 4 | part % 10 for part in parts)
