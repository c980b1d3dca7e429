"""SenML packs (RFC 8428) in JSON, as nodes send and read them.

Boards have floats of 32 bits, in which a time of today is wrong by a minute. So times are whole milliseconds, and a
value that a sensor gives as digits is a pair ``(whole, places)``: ``(2143, 2)`` is 21.43. Both go out as digits.

A record is a tuple ``(name, unit, value, milliseconds, quality)``. ``value`` is a number, a pair, a text, a truth, or
``None`` where it is missing; ``quality`` is empty where it is good.
"""

import json

MAX_RECORDS = 256
MAX_BYTES = 16384
_VALUES = {"v": (int, float), "vs": str, "vb": bool}
_BASES = (("bn", str), ("bt", (int, float)), ("bu", str), ("bv", (int, float)))


def digits(whole, places):
    """Return a pair as decimal digits: ``digits(-5, 2)`` is ``-0.05``."""
    if places <= 0:
        return str(whole * 10**-places)
    sign = "-" if whole < 0 else ""
    whole = abs(whole)
    unit = 10**places
    rest = str(whole % unit)
    return sign + str(whole // unit) + "." + "0" * (places - len(rest)) + rest


def _number(value):
    if isinstance(value, tuple):
        return digits(*value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return None
    return str(value) if isinstance(value, int) else json.dumps(value)


def _value(value):
    """Return a value's field; ``None`` where SenML has no way to say it."""
    if value is True or value is False:
        return '"vb":' + ("true" if value else "false")
    if isinstance(value, str):
        return '"vs":' + json.dumps(value)
    number = _number(value)
    return None if number is None else '"v":' + number


def pack(node, records, place=None):
    """Return a pack as bytes.

    Args:
        node: The node's id; names are relative to it.
        records: At least one.
        place: ``(epoch, seq, since, board)``: its number in the node's log, the number after the one before, and which
            board it is.
    """
    base = min(record[3] for record in records) // 1000
    parts = []
    for name, unit, value, at, quality in records:
        fields = ['"n":' + json.dumps(name)]
        if unit:
            fields.append('"u":' + json.dumps(unit))
        held = None if value is None else _value(value)
        if held is not None:
            fields.append(held)
        elif not quality.startswith("bad"):
            quality = "bad" if value is None else "bad/not_a_number"  # noqa: PLW2901 - what is sent, not what was given
        offset = at - base * 1000
        if offset:
            fields.append('"t":' + digits(offset, 3))
        if quality:
            fields.append('"q":' + json.dumps(quality))
        parts.append(",".join(fields))
    head = '"bver":26,"bn":' + json.dumps(node + "/") + ',"bt":' + str(base) + ","
    if place is not None:
        epoch, seq, since, board = place
        numbers = ',"seq":' + str(seq) + ',"since":' + str(since)
        head = '"epoch":' + json.dumps(epoch) + numbers + ',"board":' + json.dumps(board) + "," + head
    return ("[{" + head + "},{".join(parts) + "}]").encode()


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
