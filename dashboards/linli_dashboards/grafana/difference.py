"""What changes, told in lines."""

import difflib
import json
from collections.abc import Mapping
from typing import Final

_LINES: Final = 60
"""A board that is made anew differs in thousands; the first tell what it is about."""


def between(present: object, wanted: object) -> tuple[str, ...]:
    """Return the lines that tell two values apart, at most 60."""
    before, after = (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) for value in (present, wanted))
    told = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    # Line numbers of a form that nobody sees tell nothing.
    lines = [line for line in told if not line.startswith(("---", "+++", "@@"))]
    if len(lines) <= _LINES:
        return tuple(lines)
    return (*lines[:_LINES], f"… {len(lines) - _LINES} more")


def differing(present: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, object]:
    """Return what ``present`` has at the keys at which it is not what is wanted; other keys are not ours."""
    return {key: present.get(key) for key, value in wanted.items() if present.get(key) != value}
