"""Water, heat and gas meters by CJ/T 188, at a serial line or behind a TCP converter. See ``README.md``.

``settings`` (what the TOML says) and ``device_profile`` (a make and model as data) → ``meter`` (one meter) → ``driver``
(all). The protocol itself is :mod:`linli_core.codecs.cjt188`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.cjt188.device_profile import SHELF
from linli_edge.drivers.cjt188.driver import guest, open_link, plan
from linli_edge.drivers.cjt188.settings import parse

SPEC: Final = DriverSpec("cjt188", parse, open_link, plan, guest, SHELF)

__all__ = ["SPEC"]
