"""The loader: chooses the slot, starts its program, and again whatever happens. It is never updated over the air."""

import sys
import time

import machine
from linli_loader import Slots


def _note(exc):
    sys.print_exception(exc)
    try:
        with open("/last_error", "w") as file:
            sys.print_exception(exc, file)
    except OSError:
        # A flash that takes nothing: that is no reason to stand still.
        return


try:
    sys.path.insert(0, "/" + Slots("").start())
    from linli_app.start import main

    main()
except Exception as exc:  # noqa: BLE001 - the one place: nobody is there who could look
    _note(exc)
    # Long enough to be interrupted at the serial line, and not to wear out anything.
    time.sleep(10)
machine.reset()
