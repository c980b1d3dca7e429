"""The shape of every codec: bytes in, events out; no I/O, no clock."""

from enum import Enum
from typing import Final, Protocol, TypeVar


class NeedData(Enum):
    """The type of :data:`NEED_DATA`."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA
"""No complete event yet: feed more bytes."""

RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)


class Codec(Protocol[RequestT_contra, EventT_co]):
    """One side of one conversation on one wire."""

    def encode(self, request: RequestT_contra, /) -> bytes:
        """Return the bytes of a request."""
        ...

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire, in chunks of any size."""
        ...

    def next_event(self) -> EventT_co | NeedData:
        """Return the next complete event, or ``NEED_DATA``; raise ``ProtocolError``.

        After an error the codec goes on one byte past the false start: call again.
        """
        ...
