"""IEC 62056-21: meters read through their optical head, a current loop or RS-485, in plain text.

::

    reader = FrameReader()
    reader.receive(chunk)
    frame = reader.next_event()               # Identification | DataMessage | Command | … | NEED_DATA
    datasets = parse_data(frame.data)         # DataSet("1.8.0", ("0012345.678*kWh",))
    readings = Interpreter("meter-1").readings(datasets, now)

:mod:`frame` (messages in a stream), :mod:`dataset` (identifier and values in brackets; DSMR P1 uses it, too),
:mod:`request` (what a reader sends), :mod:`meaning` (readings), :mod:`explain` (byte by byte).
"""

from linli_core.codecs.iec62056.dataset import DataSet, parse_data
from linli_core.codecs.iec62056.frame import (
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    Frame,
    FrameReader,
    Identification,
    Nak,
    SignOn,
    decode_frame,
)
from linli_core.codecs.iec62056.meaning import Interpreter

__all__ = [
    "Ack",
    "Acknowledgement",
    "Command",
    "DataMessage",
    "DataSet",
    "Frame",
    "FrameReader",
    "Identification",
    "Interpreter",
    "Nak",
    "SignOn",
    "decode_frame",
    "parse_data",
]
