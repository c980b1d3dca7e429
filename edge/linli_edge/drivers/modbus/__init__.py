"""Modbus over TCP, serial lines (RTU) and RTU over TCP. See ``README.md``.

``registers`` (what an entry says) → ``plan`` (which requests) → ``client`` (one request, one answer) → ``decode``.
Profiles are data: ``register_map``, ``device_profile`` and ``profiles/*.toml``.
"""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.modbus.device_profile import SHELF
from linli_edge.drivers.modbus.driver import on_line, open_link, plan, serve, served
from linli_edge.drivers.modbus.rollover import moduli
from linli_edge.drivers.modbus.settings import parse

SPEC: Final = DriverSpec("modbus", parse, open_link, plan, on_line, SHELF, moduli, serve, served)

__all__ = ["SPEC"]
