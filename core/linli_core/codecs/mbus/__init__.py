"""Wired M-Bus: link layer and application layer of meters (EN 13757-2 and EN 13757-3).

::

    reader = FrameReader()
    reader.receive(chunk)
    frame = reader.next_event()             # Ack | ShortFrame | LongFrame | NEED_DATA
    telegram = decode_telegram(frame)       # Telegram, or DeviceError when the meter reports one
    readings = Interpreter("meter-1").readings(telegram, now)

Each layer stands alone: :mod:`frame` (delimiters and checksum), :mod:`header` (who speaks), :mod:`record` (DIF, VIF
and data), :mod:`values` (data types), :mod:`vif` (what a VIF means), :mod:`telegram` (all of it together),
:mod:`meaning` (the vocabulary's quantities), :mod:`request` (what a master sends), :mod:`encode` (what a meter sends).
"""

from linli_core.codecs.mbus.codec import MbusCodec
from linli_core.codecs.mbus.frame import Ack, Frame, FrameReader, LongFrame, ShortFrame, decode_frame
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.meaning import Explained, Interpreter
from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.telegram import Telegram, decode_telegram, identity_of
from linli_core.codecs.mbus.values import MeterTime

__all__ = [
    "Ack",
    "Explained",
    "Frame",
    "FrameReader",
    "Identity",
    "Interpreter",
    "LongFrame",
    "MbusCodec",
    "MeterTime",
    "Record",
    "ShortFrame",
    "Telegram",
    "decode_frame",
    "decode_telegram",
    "identity_of",
]
