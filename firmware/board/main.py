"""The loader: chooses the slot, starts its program, and again whatever happens. It is never updated over the air."""

import sys

# What is built in is looked for on the flash first, three times in each folder of the path, whenever it is imported:
# a dozen milliseconds that a board on a battery has at each wake, some thirty times. So it is noted as loaded here.
_path, sys.path[:] = sys.path[:], [".frozen"]
for _name in (
    "array", "asyncio", "binascii", "errno", "io", "json", "machine", "network", "os", "random", "socket", "struct",
    "time", "vfs",
):  # fmt: skip
    try:
        sys.modules[_name] = __import__(_name)
    except ImportError:
        # Told where it is missed: a Pico without W has no network.
        continue
sys.path[:] = _path

import time  # noqa: E402 - found at once now

import machine  # noqa: E402
from linli_loader import Slots, path  # noqa: E402


def _note(exc):
    try:
        with open("/last_error", "w") as file:
            sys.print_exception(exc, file)
    except OSError as full:
        # That is no reason to stand still.
        print("the flash takes nothing:", full)  # noqa: T201 - the serial line is all there is
    sys.print_exception(exc)


try:
    _woke = machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None)
    sys.path.insert(0, path("/" + Slots("").start(), _woke))
    from linli_app.start import main

    main()
except Exception as exc:  # noqa: BLE001 - the one place: nobody is there who could look
    _note(exc)
    # Long enough to be interrupted at the serial line, and not to wear out anything.
    time.sleep(10)
machine.reset()
