"""One line whose devices speak several protocols at several speeds. See ``README.md``.

``settings`` (what the TOML says, each protocol's part read by its own driver) → ``line`` (whose turn it is, and how the
line is set meanwhile) → ``driver`` (one plan out of all plans).

A driver can be a guest here by ``guest`` in its :class:`~linli_edge.driver.DriverSpec`.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.shared_bus.driver import open_link, plan
from linli_edge.drivers.shared_bus.settings import parse

SPEC: Final = DriverSpec("shared_bus", parse, open_link, plan)

__all__ = ["SPEC"]
