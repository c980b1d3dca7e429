"""Which protocols have a judge. One joins by one line, named as its folder of recordings is."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, cast

from linli_sim.vectors.verdict import Verdict

PROTOCOLS: Final = {
    "dlms": "linli_sim.vectors.dlms",
    "dsmr-p1": "linli_sim.vectors.p1",
    "iec62056-21": "linli_sim.vectors.iec62056",
    "cjt188": "linli_sim.vectors.cjt188",
    "dlt645": "linli_sim.vectors.dlt645",
    "mbus": "linli_sim.vectors.mbus",
    "wmbus": "linli_sim.vectors.wmbus",
}
"""Folder of recordings → module with its judge."""


class Judge(Protocol):
    """What such a module offers."""

    LISTED: Mapping[str, str]
    """Stem of a recording's file → why its expectation is wrong; the same words stand in ``docs/protocols.md``."""

    def judge(self, document: Mapping[str, Any], path: Path) -> Verdict:
        """Return what comes of one recording.

        Args:
            document: The parsed file; numbers with a fraction are ``Decimal``.
            path: The file; a long input lies beside it.
        """
        ...


def judge_of(protocol: str) -> Judge:
    """Import a protocol's module and return it."""
    return cast("Judge", import_module(PROTOCOLS[protocol]))
