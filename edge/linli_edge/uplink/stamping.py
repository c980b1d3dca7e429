"""Epoch and seq onto a stored body, at the moment it is sent."""

from linli_core.wire import event, senml
from linli_edge.outbox import StoredMessage


def stamp(epoch: str, message: StoredMessage) -> bytes:
    """Return the payload of a stored message."""
    place = event.stamp if message.kind == "event" else senml.stamp
    return place(message.body, epoch, message.seq)
