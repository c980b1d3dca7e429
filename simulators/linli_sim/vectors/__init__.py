"""Recorded frames of real devices, judged one by one: ``python -m linli_sim.vectors``.

The recordings are read in place (``LINLI_VECTORS``, default ``../shared/vectors``) and never copied. Each protocol has
a module with ``judge`` and ``LISTED``, named in :data:`linli_sim.vectors.protocols.PROTOCOLS`; what it compares with is
written down apart from the decoder's own tables, so that one checks the other.
"""

from linli_sim.vectors.verdict import Outcome, Verdict

__all__ = ["Outcome", "Verdict"]
