"""DLMS/COSEM meters that are asked, over TCP. See ``README.md``.

``settings`` (what the TOML says) → ``session`` (one association, in a thread, by the ``dlms-cosem`` package) →
``driver``.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.dlms_client.driver import open_link, plan
from linli_edge.drivers.dlms_client.settings import parse

SPEC: Final = DriverSpec("dlms_client", parse, open_link, plan)

__all__ = ["SPEC"]
