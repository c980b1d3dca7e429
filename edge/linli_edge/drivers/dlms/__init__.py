"""DLMS/COSEM meters that push. See ``README.md``.

``settings`` (what the TOML says) → ``entrance`` (lines, converters, sockets that meters connect to) → ``driver`` (who
sent what). The protocol itself is :mod:`linli_core.codecs.dlms`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.dlms.device_profile import SHELF
from linli_edge.drivers.dlms.driver import open_link, plan
from linli_edge.drivers.dlms.settings import parse

SPEC: Final = DriverSpec("dlms", parse, open_link, plan, profiles=SHELF)

__all__ = ["SPEC"]
