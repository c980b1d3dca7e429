"""Points to lines."""

import math
import re
from collections.abc import Mapping
from typing import Final

FieldValue = float | int | str | bool
"""What a field may hold; ``int`` is written with an ``i``."""

_IN_NAME: Final = re.compile(r"[,= ]")
_IN_TEXT: Final = re.compile(r'["\\]')


def escaped(name: str) -> str:
    r"""Return a measurement, a tag or a field's key as it stands in a line.

    ``ValueError`` for what the form cannot carry: nothing at all, a line break, a backslash at the end (it would
    escape what follows), or one before a character that needs an escape itself.
    """
    if not name or "\n" in name or name.endswith("\\") or re.search(r"\\[,= ]", name):
        raise ValueError(f"{name!r} cannot be said in line protocol")
    return _IN_NAME.sub(r"\\\g<0>", name)


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, FieldValue], time: int) -> str:
    """Return one line without its end.

    Args:
        measurement: Its name.
        tags: In the order in which they shall stand; servers like them sorted.
        fields: At least one.
        time: In the precision that the reader is told.
    """
    head = escaped(measurement) + "".join(f",{escaped(key)}={escaped(value)}" for key, value in tags.items())
    if head.startswith("#") or not fields:
        raise ValueError(f"{measurement!r} begins like a comment" if fields else f"{measurement!r} has no field")
    body = ",".join(f"{escaped(key)}={_value(value)}" for key, value in fields.items())
    return f"{head} {body} {time}"


def _value(value: FieldValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + _IN_TEXT.sub(r"\\\g<0>", value) + '"'
    if isinstance(value, int):
        return f"{value}i"
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be said in line protocol")
    return repr(value)
