"""Water, heat and gas meters by CJ/T 188, editions 2004 and 2018.

::

    reader = FrameReader()
    reader.receive(chunk)
    frame = reader.next_event()                   # Frame | NEED_DATA
    answer = decode_answer(frame)                 # Answer, or DeviceError when the meter refuses
    records = decode_records(answer)
    readings = Interpreter("meter-1").readings(answer, records, now)

Each layer stands alone: :mod:`frame` (addresses and checksum), :mod:`control` (codes, units, identifiers),
:mod:`layout` (what stands in an answer, and how makers differ), :mod:`answer`, :mod:`meaning` (the vocabulary's
quantities), :mod:`request` (what a master sends), :mod:`encode` (what a meter sends), :mod:`explain` (for people).
"""

from linli_core.codecs.cjt188.answer import Answer, decode_answer
from linli_core.codecs.cjt188.codec import Cjt188Codec
from linli_core.codecs.cjt188.control import Order
from linli_core.codecs.cjt188.explain import explain
from linli_core.codecs.cjt188.frame import Frame, FrameReader, decode_frame, encode_frame
from linli_core.codecs.cjt188.layout import Dialect, Record, decode_records
from linli_core.codecs.cjt188.meaning import Interpreter

__all__ = [
    "Answer",
    "Cjt188Codec",
    "Dialect",
    "Frame",
    "FrameReader",
    "Interpreter",
    "Order",
    "Record",
    "decode_answer",
    "decode_frame",
    "decode_records",
    "encode_frame",
    "explain",
]
