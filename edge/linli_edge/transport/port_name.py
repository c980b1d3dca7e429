"""Which serial port a name means, found anew each time it is opened.

An adapter that was unplugged may come back as another ``/dev/ttyUSBn``. Names that survive it::

    path = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
    path = "usb:0403:6001:A50285BI"     # vendor, product, serial number, as lsusb -v shows them
    path = "usb:1a86:7523"              # where there is but one of its kind: many have no serial number
    path = "/dev/ttyUSB*"               # whichever there is, if there is only one
"""

import glob
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from linli_core.errors import LinkError

_USB: Final = re.compile(r"usb:([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::(.+))?")
_WILD: Final = re.compile(r"[*?\[]")


class UsbPort(Protocol):
    """A serial port as pyserial lists it."""

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None


def is_port_name(name: str) -> bool:
    """Tell whether a text may name a serial port."""
    return not name.startswith("usb:") or _USB.fullmatch(name) is not None


def plugged_in() -> Iterable[UsbPort]:
    """Return the serial ports there are."""
    # Imported here: a gateway without a serial line does without pyserial.
    from serial.tools.list_ports import comports  # noqa: PLC0415

    ports: Iterable[UsbPort] = comports()
    return ports


_COUNTED: Final = re.compile(r"/dev/tty(?:USB|ACM)\d+")


def is_counted(name: str) -> bool:
    """Tell whether a name is no adapter's own: the system gives it to whichever comes first."""
    return _COUNTED.fullmatch(name) is not None


def what_there_is(ports: Callable[[], Iterable[UsbPort]] = plugged_in) -> str:
    """Return the USB adapters there are, for people, each by a name that survives being unplugged."""
    return ", ".join(_told(port) for port in ports() if port.vid is not None) or "no USB serial adapter"


def find_port(name: str, ports: Callable[[], Iterable[UsbPort]] = plugged_in) -> str:
    """Return the path of the port that a name means now.

    Raises:
        LinkError: There is none, or more than one; the text says what there is instead.
    """
    if (match := _USB.fullmatch(name)) is not None:
        return _usb_port(name, (int(match[1], 16), int(match[2], 16)), match[3], list(ports()))
    if _WILD.search(name) is None:
        return name
    found = sorted(glob.glob(name))  # noqa: PTH207 - the pattern is an absolute path
    if len(found) == 1:
        return found[0]
    if not found:
        raise LinkError(f"{name}: no port is called so; is the adapter plugged in?")
    raise LinkError(f"{name}: may be any of {', '.join(found)}; name one, best by /dev/serial/by-id")


def _usb_port(name: str, kind: tuple[int, int], serial: str | None, ports: Sequence[UsbPort]) -> str:
    found = [port for port in ports if (port.vid, port.pid) == kind and serial in {None, port.serial_number}]
    if len(found) == 1:
        return found[0].device
    if found:
        raise LinkError(f"{name}: may be any of {', '.join(map(_told, found))}; add the serial number")
    raise LinkError(f"{name}: not plugged in; there is {what_there_is(lambda: ports)}")


def _told(port: UsbPort) -> str:
    serial = f":{port.serial_number}" if port.serial_number else ""
    return f"usb:{port.vid or 0:04x}:{port.pid or 0:04x}{serial} at {port.device}"
