"""Commands to devices: who may have what written, once, in time, confirmed where it matters, and on record.

``settings`` (what is allowed) · ``ledger`` (which ids have run) · ``desk`` (decides and answers) · ``local`` (the door
for the person at the gateway). Carrying a write out is the link's business (:meth:`linli_edge.link.Link.submit`).
"""

from linli_edge.commands.desk import CommandDesk
from linli_edge.commands.settings import Allowed, CommandSettings

__all__ = ["Allowed", "CommandDesk", "CommandSettings"]
