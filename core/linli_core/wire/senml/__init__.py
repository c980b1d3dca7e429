"""SenML packs (RFC 8428), JSON and CBOR by the first byte: what gateways send as ``telemetry``.

Our packs name the gateway in the first record's ``bn`` and carry labels of our own, which others ignore: ``epoch`` and
``seq`` (first record: the message's place in the gateway's log), ``q`` (quality; absent: good), ``dt`` (the device's
own time, seconds since 1970) and ``day`` (first record, where the pack's times were put right over a midnight: the day
under which the gateway booked it). A missing value is a record without a value and with ``q``.

The vocabulary keeps some quantities in secondary units (Wh, ppm), so our packs are of version 26 (RFC 9100 §4).
Sums and update times are checked and let go: the store keeps values.

Unknown labels are ignored; one that ends in ``_`` must be understood and refuses its record (RFC 8428 §4.4). What is
wrong with one record costs that record only.

A pack that has a place in a log needs absolute times: one relative to now (RFC 8428 §4.5.3) would mean another
instant each time the log offers it, and so another reading.
"""

from linli_core.wire.senml.decoding import decode, parse_sequence
from linli_core.wire.senml.encoding import encode, encode_cbor, stamp
from linli_core.wire.senml.pack import (
    FARTHEST,
    MAX_BYTES,
    MAX_RECORDS,
    MAX_SEQ,
    MAX_TEXT,
    RELATIVE_BELOW,
    VERSIONS,
    Number,
    Pack,
    Record,
    ResolvedRecord,
)
from linli_core.wire.senml.resolving import booked_day, oldest, resolve

__all__ = [
    "FARTHEST",
    "MAX_BYTES",
    "MAX_RECORDS",
    "MAX_SEQ",
    "MAX_TEXT",
    "RELATIVE_BELOW",
    "VERSIONS",
    "Number",
    "Pack",
    "Record",
    "ResolvedRecord",
    "booked_day",
    "decode",
    "encode",
    "encode_cbor",
    "oldest",
    "parse_sequence",
    "resolve",
    "stamp",
]
