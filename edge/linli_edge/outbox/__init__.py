"""The outbox: the gateway's log on its own disk. ``docs/log-protocol.md`` tells what it promises.

::

    async with Outbox.open(directory / "outbox.db", OutboxLimits(), clock) as outbox:
        seq = outbox.append(Message("telemetry", body, observed_from=start, observed_to=end, readings=12))
        await outbox.durable(seq)      # only where somebody must know
"""

from linli_edge.outbox.message import Message, MessageTooLarge, OutboxFull, OutboxLimits, OutboxStats, StoredMessage
from linli_edge.outbox.outbox import Outbox

__all__ = ["Message", "MessageTooLarge", "Outbox", "OutboxFull", "OutboxLimits", "OutboxStats", "StoredMessage"]
