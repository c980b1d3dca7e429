"""The loader: chooses the slot, starts its program, and again whatever happens. It is never updated over the air."""

import sys
import time

import machine
from linli_loader import Slots


def _note(exc):
    try:
        with open("/last_error", "w") as file:
            sys.print_exception(exc, file)
    except OSError as full:
        # That is no reason to stand still.
        print("the flash takes nothing:", full)  # noqa: T201 - the serial line is all there is
    sys.print_exception(exc)


try:
    sys.path.insert(0, "/" + Slots("").start())
    from linli_app.start import main

    main()
except Exception as exc:  # noqa: BLE001 - the one place: nobody is there who could look
    _note(exc)
    # Long enough to be interrupted at the serial line, and not to wear out anything.
    time.sleep(10)
machine.reset()
