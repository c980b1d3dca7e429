"""Meters with a pulse output, counted by a logger that says so in lines of text. See ``README.md``."""

from typing import Final

from linli_edge.driver import DriverSpec
from linli_edge.drivers.pulse.driver import open_link, plan
from linli_edge.drivers.pulse.settings import parse

SPEC: Final = DriverSpec("pulse", parse, open_link, plan)

__all__ = ["SPEC"]
