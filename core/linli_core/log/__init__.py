"""The log protocol's two halves, as pure state machines: the gateway sends, the platform receives.

``docs/log-protocol.md`` tells the protocol; :mod:`linli_core.wire.messages` holds its two messages.
"""

from linli_core.log.intervals import IntervalSet
from linli_core.log.receiver import LateArrival, LossEntry, Offer, Receiver, ReceiverLimits
from linli_core.log.sender import AckOutcome, LogState, Sender, SenderSettings

__all__ = [
    "AckOutcome",
    "IntervalSet",
    "LateArrival",
    "LogState",
    "LossEntry",
    "Offer",
    "Receiver",
    "ReceiverLimits",
    "Sender",
    "SenderSettings",
]
