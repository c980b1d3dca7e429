"""SenML packs (RFC 8428) in JSON, read: what a program on a board needs only where somebody sends it one."""

import json

MAX_RECORDS = 256
MAX_BYTES = 16384
_VALUES = {"v": (int, float), "vs": str, "vb": bool}
_BASES = (("bn", str), ("bt", (int, float)), ("bu", str), ("bv", (int, float)))


def unpack(data):
    """Return the records of a pack, each name with its base; ``ValueError`` where it is none.

    Times that are not whole seconds keep what a float of the port can hold of them.
    """
    if len(data) > MAX_BYTES:
        raise ValueError("a pack of " + str(len(data)) + " bytes; " + str(MAX_BYTES) + " at most")
    found = json.loads(data)
    if not isinstance(found, list) or not found or len(found) > MAX_RECORDS:
        raise ValueError("no array of 1 to " + str(MAX_RECORDS) + " records")
    base = {"bn": "", "bt": 0, "bu": "", "bv": None}
    records = []
    for record in found:
        if not isinstance(record, dict):
            raise ValueError("a record that is no object")  # noqa: TRY004 - what a caller catches for any bad pack
        _check(record)
        for label, kind in _BASES:
            base[label] = _typed(record, label, kind, base[label])
        held = [label for label in _VALUES if label in record]
        if len(held) > 1:
            raise ValueError(" and ".join(sorted(held)) + ": one value a record")
        if held or "q" in record or "n" in record:
            records.append(_resolved(record, base, held[0] if held else ""))
    return records


def _check(record):
    for label in record:
        if label.endswith("_"):
            raise ValueError("label " + label + " must be understood and is not")
    if record.get("bver", 10) not in (10, 26):
        raise ValueError("SenML version " + str(record["bver"]))


def _resolved(record, base, label):
    value = _typed(record, label, _VALUES[label], None) if label else None
    if label == "v" and base["bv"] is not None:
        value += base["bv"]
    quality = _typed(record, "q", str, "")
    if value is None and not quality.startswith("bad"):
        raise ValueError("neither a value nor q = bad")
    at = _milliseconds(base["bt"]) + _milliseconds(_typed(record, "t", (int, float), 0))
    unit = _typed(record, "u", str, base["bu"])
    return base["bn"] + _typed(record, "n", str, ""), unit, value, at, "" if quality == "good" else quality


def _typed(record, label, kind, default):
    value = record.get(label)
    if value is None and label not in record:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(label + " = " + str(value)[:40])
    return value


def _milliseconds(seconds):
    if isinstance(seconds, int):
        return seconds * 1000
    whole = int(seconds)
    return whole * 1000 + round((seconds - whole) * 1000)
