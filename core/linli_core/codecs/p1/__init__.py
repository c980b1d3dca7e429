r"""P1: the customer interface of Dutch, Belgian, Luxembourgish, Nordic, Austrian… meters (DSMR and its relatives).

::

    reader = TelegramReader()
    reader.receive(chunk)
    telegram = reader.next_event()            # Telegram | NEED_DATA
    readings = Interpreter("meter-1").readings(telegram, now)

:mod:`frame` (telegrams in a stream, CRC), :mod:`sealed` (telegrams that come encrypted), :mod:`meaning` (readings),
:mod:`explain` (byte by byte). The syntax of the data is that of IEC 62056-21.
"""

from linli_core.codecs.p1.frame import Telegram, TelegramReader, crc16, decode_telegram
from linli_core.codecs.p1.meaning import Interpreter, identity_of
from linli_core.codecs.p1.sealed import SealedReader

__all__ = [
    "Interpreter",
    "SealedReader",
    "Telegram",
    "TelegramReader",
    "crc16",
    "decode_telegram",
    "identity_of",
]
