"""The customer port (P1) of smart meters. See ``README.md``.

``settings`` (what the TOML says) → ``driver`` (listens, and gives the newest telegram to each poll).
The protocol itself is :mod:`linli_core.codecs.p1`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.p1.driver import open_link, plan
from linli_edge.drivers.p1.settings import parse

SPEC: Final = DriverSpec("p1", parse, open_link, plan)

__all__ = ["SPEC"]
