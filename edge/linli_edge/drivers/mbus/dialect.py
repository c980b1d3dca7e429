"""Wired M-Bus for the commands that look at recorded telegrams."""

from typing import Final

from linli_core.codecs.explain import Part
from linli_core.codecs.mbus import LongFrame, ShortFrame
from linli_core.codecs.mbus.explain import explain, looks_damaged
from linli_edge.drivers.mbus.telegram_json import decode, split
from linli_edge.telegrams.dialect import Certainty, Dialect, Recognised
from linli_edge.telegrams.keys import Keys


def recognise(data: bytes) -> Recognised | None:
    """Tell whether some bytes are wired M-Bus; see :class:`linli_edge.telegrams.dialect.Dialect`."""
    frames, _ = split(data)
    if any(isinstance(frame, LongFrame) for frame in frames):
        return Recognised(Certainty.CHECKED, "68, two equal lengths, 68; the checksum is right")
    if any(isinstance(frame, ShortFrame) for frame in frames):
        return Recognised(Certainty.CHECKED, "10 and five bytes; the checksum is right")
    if looks_damaged(data):
        return Recognised(Certainty.SHAPED, "68, two equal lengths, 68")
    return None


def _explain(data: bytes, _keys: Keys) -> list[Part]:
    return explain(data)


DIALECT: Final = Dialect("M-Bus (EN 13757-2, EN 13757-3)", decode, _explain, recognise)
