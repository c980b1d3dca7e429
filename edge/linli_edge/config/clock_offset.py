"""The key ``clock``: how far meters' clocks are from UTC, as ``"+08:00"``."""

import re
from typing import Final

from linli_edge.config.table import Table

_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)


def clock_offset(item: Table, default: int) -> int:
    """Return the minutes east of UTC that a table's ``clock`` says."""
    text = item.text("clock", "")
    if not text:
        return default
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        item.problem("clock", f'found "{text}"', 'write how far the meters\' clocks are from UTC, such as "+08:00"')
        return default
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes
