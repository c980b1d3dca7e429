"""Wireless M-Bus: radio telegrams of meters (EN 13757-4, EN 13757-7, OMS vol. 2).

::

    telegram = decode_telegram(data, ciphers, key_of, formats)       # Telegram, or a named error
    readings = Interpreter("meter-1").readings(telegram.application, now)

Each layer stands alone: :mod:`frame` (link layer and checksums), :mod:`layers` (extended link layer, authentication,
header), :mod:`security` (what is encrypted), :mod:`compact` (frames without headers), :mod:`layout` and
:mod:`layouts` (what manufacturers send in a way of their own), :mod:`telegram` (all of it together),
:mod:`duplicates` (repeaters), :mod:`encode` (what a meter sends), :mod:`explain` (byte by byte). Records, values and
their meaning are those of wired M-Bus (:mod:`linli_core.codecs.mbus`).
"""

from linli_core.codecs.wmbus.compact import Formats, UnknownFormat
from linli_core.codecs.wmbus.frame import Checksums, LinkFrame, decode_frame
from linli_core.codecs.wmbus.security import KeyFault
from linli_core.codecs.wmbus.telegram import Telegram, decode_telegram, identify, protection, read_telegram

__all__ = [
    "Checksums",
    "Formats",
    "KeyFault",
    "LinkFrame",
    "Telegram",
    "UnknownFormat",
    "decode_frame",
    "decode_telegram",
    "identify",
    "protection",
    "read_telegram",
]
