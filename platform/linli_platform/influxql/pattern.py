"""Regular expressions between slashes: Go's syntax, which is RE2's, in time that grows with the text and no faster.

Python's own would do for the syntax, but a pattern such as ``/(a+)+$/`` keeps it busy for hours, and a query comes from
outside.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import re2

from linli_platform.influxql.parse import QueryError

_MEMORY: Final = 4 * 1024 * 1024
_ANYTHING: Final = frozenset({".*", "^.*$"})


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a pattern is found in a text; :class:`QueryError` if it is no pattern."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        search: Callable[[str], Any] = re2.compile(pattern, options).search
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise QueryError(f"/{pattern[:80]}/ is no regular expression: {reason}") from exc
    if pattern in _ANYTHING:
        # What a board asks while its reader has chosen nothing: of each of five thousand points, four times.
        return lambda text: "\n" not in text or search(text) is not None
    return lambda text: search(text) is not None
