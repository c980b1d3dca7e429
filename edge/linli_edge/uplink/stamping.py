"""Epoch and seq onto a stored body, at the moment it is sent."""

from linli_edge.outbox import StoredMessage


def stamp(epoch: str, message: StoredMessage) -> bytes:
    """Return the payload of a stored message."""
    lead = b"{" if message.kind == "event" else b"[{"
    return b'%b"epoch":"%b","seq":%d,%b' % (lead, epoch.encode(), message.seq, message.body[len(lead) :])
