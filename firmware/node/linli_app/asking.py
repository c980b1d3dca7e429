"""What a board does that has no configuration, or one that it cannot use: it asks for one, and rests in between.

Beginning anew every ten seconds, it would empty two cells in a week and tell nobody why.
"""

import asyncio
import time

from micropython import const

from linli_app.access_point import AccessPoint
from linli_app.first_start import first_start, passphrase
from linli_node.errors import ConfigError
from linli_node.slots import Slots

_LISTEN_S = const(60)
"""A board that may open no network listens at its cable so long."""


def ask(root, fault):
    """Ask for a configuration; what is wrong with the one that is there is told at the cable, and on the page.

    Raises:
        ConfigError: The board has no configuration, and may not ask. Or the program is on trial: one that does not take
            what the one before it ran with is given up, and that takes three starts, not a day.
    """
    mistakes = str(fault).split("\n") if isinstance(fault, ConfigError) else ()
    if mistakes and Slots(root).told()[2] is not None:
        raise fault
    for line in mistakes:
        print("its configuration cannot be used: " + line)  # noqa: T201 - the serial line is all there is
    air = AccessPoint()
    try:
        passphrase(root)
    except ConfigError:
        if not mistakes:
            raise
        time.sleep(_LISTEN_S)
    else:
        if asyncio.run(first_start(root, air)):
            return
    air.rest()
