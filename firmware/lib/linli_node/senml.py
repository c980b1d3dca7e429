"""SenML packs (RFC 8428) in JSON, as nodes send them; :mod:`linli_node.senml_reading` reads them.

Boards have floats of 32 bits, in which a time of today is wrong by a minute. So times are whole milliseconds, and a
value that a sensor gives as digits is a pair ``(whole, places)``: ``(2143, 2)`` is 21.43. Both go out as digits.

A record is a tuple ``(name, unit, value, milliseconds, quality)``. ``value`` is a number, a pair, a text, a truth, or
``None`` where it is missing; ``quality`` is empty where it is good.
"""

import json


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


def logged(node, payload, time_of, place):
    """Return a record of a node's log as it goes out; ``None`` while nobody knows when it was.

    Args:
        node: The node's id.
        payload: As it stands in the log: JSON of the era, the count in it, the records, and of a call its number.
        time_of: Returns when a count of an era was, and whether that is in doubt.
        place: As :func:`pack` takes it.
    """
    era, count, records, *call = json.loads(payload)
    at, doubtful = time_of(era, count)
    if at is None:
        return None
    found = []
    for name, unit, value, quality in records:
        if doubtful and not quality:
            quality = "uncertain/clock_doubt"  # noqa: PLW2901 - what is sent, not what was kept
        found.append((name, unit, tuple(value) if isinstance(value, list) else value, at, quality))
    return pack(node, found, place, call[0] if call else 0)


def pack(node, records, place=None, call=0):
    """Return a pack as bytes.

    Args:
        node: The node's id; names are relative to it.
        records: At least one.
        place: ``(epoch, seq, since, board)``: its number in the node's log, the number after the one before, and which
            board it is.
        call: Number of the first record of the call that these are of; 0: of none.
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
        if call:
            numbers += ',"call":' + str(call)
        head = '"epoch":' + json.dumps(epoch) + numbers + ',"board":' + json.dumps(board) + "," + head
    return ("[{" + head + "},{".join(parts) + "}]").encode()
