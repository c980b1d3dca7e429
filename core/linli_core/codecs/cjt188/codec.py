"""The master's side of the line, as one codec: requests out, frames in."""

from linli_core.codec import NeedData
from linli_core.codecs.cjt188.frame import Frame, FrameReader, encode_frame


class Cjt188Codec:
    """Encodes a master's frames and finds those of the meters (:class:`linli_core.codec.Codec`).

    Attributes:
        reader: Where the bytes received wait; ``reader.skipped`` counts those that belonged to no frame.
        preamble: How many FE go before each request, to wake the meter.
    """

    def __init__(self, *, preamble: int = 4) -> None:
        self.reader = FrameReader()
        self.preamble = preamble

    def encode(self, request: Frame, /) -> bytes:
        """Return the bytes of a request."""
        return encode_frame(request, preamble=self.preamble)

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire, in chunks of any size."""
        self.reader.receive(data)

    def next_event(self) -> Frame | NeedData:
        """Return the next frame, or ``NEED_DATA``; raise ``ProtocolError`` and go on one byte behind a false start."""
        return self.reader.next_event()
