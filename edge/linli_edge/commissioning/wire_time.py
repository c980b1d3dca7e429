"""How long bytes take on a line. Pure, exact, in whole microseconds rounded up."""

from linli_core.instant import SECOND
from linli_edge.transport.settings import SerialSettings, TransportSettings


def bits_per_character(setting: SerialSettings) -> int:
    """Return the bits of one character: start, data, parity, stop."""
    return 1 + setting.data_bits + (setting.parity != "none") + setting.stop_bits


def transfer_time(setting: TransportSettings, count: int) -> int:
    """Return the microseconds that bytes take; 0 on a network, where only the other end knows its line."""
    if not isinstance(setting, SerialSettings):
        return 0
    return -(-count * bits_per_character(setting) * SECOND // setting.baud)


def show_time(microseconds: int) -> str:
    """Return a time for a progress line: ``42 s``, ``5 min 13 s``, ``1 h 02 min``."""
    seconds = max(0, round(microseconds / SECOND))
    if seconds < 1:
        return "< 1 s"
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def show_milliseconds(microseconds: int) -> str:
    """Return a short time with a tenth of a millisecond: ``9.2 ms``, ``150 ms``."""
    return f"{round(microseconds / 1000, 1):g} ms"
