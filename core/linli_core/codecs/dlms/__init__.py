"""DLMS/COSEM: what meters push (IEC 62056-46, IEC 62056-47, IEC 62056-5-3, IEC 62056-6-2).

::

    opener = Opener(Keys(encryption, authentication), ciphers, ReplayGuard())
    reader = PushReader(Framing.HDLC, opener)
    reader.receive(chunk)
    received = reader.next_event()                     # Received | NEED_DATA
    readings = Interpreter("meter-1").readings(received.notification, now)

Each layer stands alone: :mod:`hdlc` and :mod:`wrapper` (how messages stand in a stream), :mod:`ciphering` (AES-GCM and
replays), :mod:`apdu`, :mod:`axdr` and :mod:`clock` (what they say), :mod:`push` (all of it together), :mod:`values`
and :mod:`layout` (lists of many makers), :mod:`buffer` (load curves), :mod:`meaning` (readings), :mod:`explain`.
"""

from linli_core.codecs.dlms.apdu import DataNotification, EventNotification, decode_apdu
from linli_core.codecs.dlms.axdr import Item, decode_data, decode_whole
from linli_core.codecs.dlms.ciphering import Keys, ReplayGuard
from linli_core.codecs.dlms.clock import CosemTime
from linli_core.codecs.dlms.hdlc import HdlcFrame, HdlcReader, decode_hdlc
from linli_core.codecs.dlms.meaning import Interpreter, identity_of
from linli_core.codecs.dlms.push import Framing, Opener, PushReader, Received
from linli_core.codecs.dlms.values import values_of
from linli_core.codecs.dlms.wrapper import Wrapped, WrapperReader, decode_wrapper

__all__ = [
    "CosemTime",
    "DataNotification",
    "EventNotification",
    "Framing",
    "HdlcFrame",
    "HdlcReader",
    "Interpreter",
    "Item",
    "Keys",
    "Opener",
    "PushReader",
    "Received",
    "ReplayGuard",
    "Wrapped",
    "WrapperReader",
    "decode_apdu",
    "decode_data",
    "decode_hdlc",
    "decode_whole",
    "decode_wrapper",
    "identity_of",
    "values_of",
]
