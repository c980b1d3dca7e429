"""Electricity meters by DL/T 645, editions 2007 and 1997.

::

    reader = FrameReader()
    reader.receive(chunk)
    frame = reader.next_event()                   # Frame | NEED_DATA
    answer = decode_answer(frame)                 # Answer, or DeviceError when the meter refuses
    records = decode_records(answer.edition, answer.identifier, answer.data)
    readings = Interpreter("meter-1").readings(answer.edition, records, now)

Each layer stands alone: :mod:`frame` (addresses and checksum), :mod:`control` (function and error codes), :mod:`item`
(formats of values), :mod:`identifiers_2007` and :mod:`identifiers_1997` (what there is to read), :mod:`dictionary`
(both, and what a profile adds), :mod:`answer` (all of it together), :mod:`meaning` (the vocabulary's quantities),
:mod:`request` (what a master sends), :mod:`encode` (what a meter sends), :mod:`explain` (for people).
"""

from linli_core.codecs.dlt645.answer import Answer, Record, decode_answer, decode_records
from linli_core.codecs.dlt645.codec import Dlt645Codec
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.dictionary import Dictionary
from linli_core.codecs.dlt645.explain import explain
from linli_core.codecs.dlt645.frame import Frame, FrameReader, decode_frame, encode_frame
from linli_core.codecs.dlt645.item import Item
from linli_core.codecs.dlt645.meaning import Interpreter

__all__ = [
    "Answer",
    "Dictionary",
    "Dlt645Codec",
    "Edition",
    "Frame",
    "FrameReader",
    "Interpreter",
    "Item",
    "Record",
    "decode_answer",
    "decode_frame",
    "decode_records",
    "encode_frame",
    "explain",
]
