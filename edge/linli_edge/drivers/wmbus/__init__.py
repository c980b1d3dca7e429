"""Wireless M-Bus meters, heard by a receiver: lines over serial or TCP, MQTT messages, or a file. See ``README.md``.

``settings`` (what the TOML says) → ``source`` (texts come in) → ``lines`` (a telegram out of a text) → ``hearing``
(whose it is, and what it says) → ``driver`` (what the link collects). The protocol is
:mod:`linli_core.codecs.wmbus`; why a link polls meters that nobody can ask: ``docs/adr/0018-heard-meters.md``.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.wmbus.device_profile import SHELF
from linli_edge.drivers.wmbus.driver import open_link, plan
from linli_edge.drivers.wmbus.settings import parse

SPEC: Final = DriverSpec("wmbus", parse, open_link, plan, profiles=SHELF)

__all__ = ["SPEC"]
