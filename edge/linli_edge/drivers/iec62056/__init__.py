"""IEC 62056-21 meters at an optical head, a current loop or RS-485. See ``README.md``.

``settings`` (what the TOML says) → ``conversation`` (one message, one answer, and the speed of the line) → ``readout``
(one meter) → ``driver`` (all). The protocol itself is :mod:`linli_core.codecs.iec62056`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.iec62056.device_profile import SHELF
from linli_edge.drivers.iec62056.driver import open_link, plan
from linli_edge.drivers.iec62056.settings import parse

SPEC: Final = DriverSpec("iec62056", parse, open_link, plan, profiles=SHELF)

__all__ = ["SPEC"]
