"""Wired M-Bus meters behind a TCP converter or a serial level converter. See ``README.md``.

``settings`` (what the TOML says) → ``bus`` (one request, one answer) → ``readout`` (one meter) → ``driver`` (all).
The protocol itself is :mod:`linli_core.codecs.mbus`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.mbus.driver import on_line, open_link, plan
from linli_edge.drivers.mbus.meter_profile import SHELF
from linli_edge.drivers.mbus.settings import parse

SPEC: Final = DriverSpec("mbus", parse, open_link, plan, on_line, profiles=SHELF)

__all__ = ["SPEC"]
