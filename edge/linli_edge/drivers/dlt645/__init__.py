"""Electricity meters by DL/T 645-2007 and -1997, at a serial line or behind a TCP converter. See ``README.md``.

``settings`` (what the TOML says) and ``device_profile`` (a make and model as data) → ``plan`` (blocks, and what was
learnt) → ``meter`` (one meter) → ``driver`` (all). The protocol itself is :mod:`linli_core.codecs.dlt645`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.dlt645.device_profile import SHELF
from linli_edge.drivers.dlt645.driver import guest, open_link, plan
from linli_edge.drivers.dlt645.settings import parse

SPEC: Final = DriverSpec("dlt645", parse, open_link, plan, guest, SHELF)

__all__ = ["SPEC"]
