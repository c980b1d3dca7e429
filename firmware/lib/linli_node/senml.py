"""SenML packs (RFC 8428) in JSON, as nodes send them; :mod:`linli_node.senml_reading` reads them.

Boards have floats of 32 bits, in which a time of today is wrong by a minute. So times are whole milliseconds, and a
value that a sensor gives as digits is a pair ``(whole, places)``: ``(2143, 2)`` is 21.43. Both go out as digits.

A record is a sequence ``(name, unit, value, quality)``. ``value`` is a number, a pair, a text, a truth, or ``None``
where it is missing; ``quality`` is empty where it is good. Those of one pack are of one moment, which is its base time:
so all else of it can be worked out before that is known.
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
    if isinstance(value, (tuple, list)):
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


def ahead(node, payload, place, good=""):
    """Return a record of a node's log as it goes out, but for its time: era, count, and what goes around the time.

    Args:
        node: The node's id; names are relative to it.
        payload: As it stands in the log: JSON of the era, the count in it, the records, and of a call its number.
        place: ``(epoch, seq, since, board)``: its number in the node's log, the number after the one before, and which
            board it is.
        good: The quality of what has none of its own.
    """
    era, count, records, *call = json.loads(payload)
    parts = []
    for name, unit, value, quality in records:
        fields = '"n":' + json.dumps(name)
        if unit:
            fields += ',"u":' + json.dumps(unit)
        held = None if value is None else _value(value)
        quality = quality or good  # noqa: PLW2901 - what is sent, not what was kept
        if held is not None:
            fields += "," + held
        elif not quality.startswith("bad"):
            quality = "bad" if value is None else "bad/not_a_number"  # noqa: PLW2901 - as above
        if quality:
            fields += ',"q":' + json.dumps(quality)
        parts.append(fields)
    epoch, seq, since, board = place
    head = '[{"epoch":' + json.dumps(epoch) + ',"seq":' + str(seq) + ',"since":' + str(since)
    if call:
        # Number of the first record of the call that these are of.
        head += ',"call":' + str(call[0])
    head += ',"board":' + json.dumps(board) + ',"bver":26,"bn":' + json.dumps(node + "/") + ',"bt":'
    return era, count, (head, "," + "},{".join(parts) + "}]")


def timed(around, at):
    """Return as bytes what :func:`ahead` returned, with its time in milliseconds."""
    return (around[0] + digits(at, 3) + around[1]).encode()


def made(ready, floor, time_of):
    """Return what was made ready as it goes out: its numbers in the log, and its packs.

    What the gateway has is left out. Where it lacks more than that, or a time is in doubt now, so is all that follows:
    that goes as it stands in the log.

    Args:
        ready: Of each the number, the number after the one before, and what :func:`ahead` returned.
        floor: What the gateway has, or was sent.
        time_of: As for :func:`logged`.
    """
    numbers, packs = [], []
    for seq, since, era, count, around in ready:
        at, doubtful = time_of(era, count)
        if since <= floor + 1 <= seq and not doubtful:
            numbers.append(seq)
            packs.append(timed(around, at))
            floor = seq
    return numbers, packs


def logged(node, payload, time_of, place):
    """Return a record of a node's log as it goes out; ``None`` while nobody knows when it was.

    Args:
        node: As for :func:`ahead`, as are the two that follow.
        payload: The record.
        time_of: Returns when a count of an era was, and whether that is in doubt.
        place: Where it stands.
    """
    era, count, around = ahead(node, payload, place)
    at, doubtful = time_of(era, count)
    if at is None:
        return None
    if doubtful:
        around = ahead(node, payload, place, "uncertain/clock_doubt")[2]
    return timed(around, at)
