"""The fast way through a telemetry message: the canonical form our gateways send, as columns.

Anything else (CBOR, base units, names that are not the vocabulary's, a missing unit, an unknown label) is not judged
here: the answer is ``None``, and the full decoder of :mod:`linli_core.wire.senml` decides.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from linli_core.instant import SECOND, Instant
from linli_core.model import Quality, parse_point, quality_code, quality_from_label, quality_label
from linli_core.vocabulary import vocabulary
from linli_core.wire import senml

_CACHED: Final = 100_000
_RELATIVE: Final = 2.0**28
"""RFC 8428 §4.5.3: a time below this many seconds is relative to now; gateways send absolute ones."""
EARLIEST: Final = round(_RELATIVE) * SECOND
_GOOD: Final = quality_label(Quality.GOOD)

# The full decoder's bounds, held while parsing: no arithmetic below can overflow, no text is longer than it allows.
_Seconds = Annotated[float, msgspec.Meta(gt=-senml.FARTHEST, lt=senml.FARTHEST)]
_Text = Annotated[str, msgspec.Meta(max_length=senml.MAX_TEXT)]

_BAD: Final = quality_code(Quality.BAD)
_NAN: Final = float("nan")


class _First(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A pack's first record (RFC 8428 §4) as far as the canonical form uses it, with this contract's own labels."""

    bn: str
    bt: _Seconds
    epoch: str
    seq: int
    n: str
    u: str = ""
    v: float | None = None
    vb: bool | None = None
    vs: _Text | None = None
    t: _Seconds = 0.0
    q: str = _GOOD
    dt: _Seconds | None = None
    bver: int = 10


class _Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Any other record."""

    n: str
    u: str = ""
    v: float | None = None
    vb: bool | None = None
    vs: _Text | None = None
    t: _Seconds = 0.0
    q: str = _GOOD
    dt: _Seconds | None = None


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A record that is what most are: a good number."""

    n: str
    v: float
    u: str = ""
    t: _Seconds = 0.0
    dt: _Seconds | None = None


class Columns(msgspec.Struct, gc=False):
    """Readings of one message, parallel; NaN where the value is missing or text; few have a device time."""

    epoch: str
    seq: int
    names: list[str]
    times: list[int]
    values: list[float]
    quality: list[int]
    texts: dict[int, str]
    device_times: dict[int, Instant] = {}


def _device_times(records: Sequence[_First | _Plain] | Sequence[_First | _Record]) -> dict[int, Instant]:
    return {row: round(record.dt * SECOND) for row, record in enumerate(records) if record.dt is not None}


class ColumnDecoder:
    """Decodes canonical packs; remembers the units of points and the codes of quality labels it has seen."""

    def __init__(self) -> None:
        self._decode_first = msgspec.json.Decoder(_First).decode
        self._decode_plain = msgspec.json.Decoder(list[_Plain]).decode
        self._decode_any = msgspec.json.Decoder(list[_Record]).decode
        self._units: dict[str, str] = {}
        self._codes: dict[str, int] = {_GOOD: 0}

    def decode(self, payload: bytes, gateway: str) -> Columns | None:
        """Return a pack's readings, or ``None`` if it is not in the canonical form."""
        # The cut may fall into a text that looks like it; then neither part is JSON, and the full decoder is asked.
        cut = payload.find(b"},{")
        head, rest = (payload[1:-1], b"[]") if cut < 0 else (payload[1 : cut + 1], b"[" + payload[cut + 2 :])
        stamped = b"dt" in payload or b"\\" in payload  # a label may be written with escapes
        array = payload[:1] == b"[" and payload[-1:] == b"]" and len(payload) <= senml.MAX_BYTES
        if not array or b"null" in payload:  # null is no SenML value, but would pass for an absent one
            return None
        try:
            first = self._decode_first(head)
            placed = first.epoch and 1 <= first.seq <= senml.MAX_SEQ
            if first.bn != f"{gateway}/" or not placed or first.bver not in senml.VERSIONS:
                return None
            value = first.v
            if value is None or first.q != _GOOD or first.vb is not None or first.vs is not None:
                return self._mixed(first, self._decode_any(rest), stamped=stamped)
            try:
                return self._plain(first, value, self._decode_plain(rest), stamped=stamped)
            except msgspec.ValidationError:
                return self._mixed(first, self._decode_any(rest), stamped=stamped)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _plain(self, first: _First, value: float, others: list[_Plain], *, stamped: bool) -> Columns | None:
        records: list[_First | _Plain] = [first, *others]
        values = [value]
        values += [record.v for record in others]
        names = [record.n for record in records]
        if self._expected(names) != [record.u for record in records] or not math.isfinite(sum(values)):
            return None
        base = first.bt
        times = [round((base + record.t) * SECOND) for record in records]
        if min(times) < EARLIEST:
            return None
        told = _device_times(records) if stamped else {}
        return Columns(first.epoch, first.seq, names, times, values, [0] * len(names), {}, told)

    def _mixed(self, first: _First, others: list[_Record], *, stamped: bool) -> Columns | None:
        records: list[_First | _Record] = [first, *others]
        names = [record.n for record in records]
        if self._expected(names) != [record.u for record in records]:
            return None
        columns = self._values(records)
        if columns is None:
            return None
        values, quality, texts = columns
        base = first.bt
        times = [round((base + record.t) * SECOND) for record in records]
        if min(times) < EARLIEST:
            return None
        told = _device_times(records) if stamped else {}
        return Columns(first.epoch, first.seq, names, times, values, quality, texts, told)

    def _expected(self, names: list[str]) -> list[str] | None:
        """Return the unit each point must have; ``None`` if one is no point of the vocabulary."""
        units = self._units
        try:
            return [units[name] for name in names]
        except KeyError:
            return [units[name] for name in names] if self._learn(names) else None

    def _values(self, records: list[_First | _Record]) -> tuple[list[float], list[int], dict[int, str]] | None:
        values: list[float] = []
        quality: list[int] = []
        texts: dict[int, str] = {}
        for row, record in enumerate(records):
            held = (record.v is not None) + (record.vb is not None) + (record.vs is not None)
            code = self._codes.get(record.q)
            if code is None and (code := self._learn_label(record.q)) is None:
                return None
            if held > 1 or (not held and code < _BAD) or (record.v is not None and not math.isfinite(record.v)):
                return None
            value = record.v if record.vb is None else float(record.vb)
            values.append(_NAN if value is None else value)
            quality.append(code)
            if record.vs is not None:
                texts[row] = record.vs
        return values, quality, texts

    def _learn(self, names: list[str]) -> bool:
        """Look up the units of points not seen yet; ``False`` if one is no point of the vocabulary."""
        if len(self._units) >= _CACHED:
            self._units.clear()
        words = vocabulary()
        for name in names:
            if name not in self._units:
                try:
                    quantity = words.get(parse_point(name).quantity)
                except ValueError:
                    return False
                if quantity is None:
                    return False
                self._units[name] = quantity.unit or ""
        return True

    def _learn_label(self, label: str) -> int | None:
        if len(self._codes) >= _CACHED:
            return None
        try:
            code = quality_code(*quality_from_label(label))
        except ValueError:
            return None
        self._codes[label] = code
        return code
