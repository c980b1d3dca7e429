"""The node's configuration as it was checked: a start that finds it so needs neither the checking nor its memory."""

import binascii
import json

from linli_node import forget

_WRITTEN = "/node.json"
_CHECKED = "/node.checked"
TABLES = 2
"""Goes up with each change of what may stand in a configuration (tests/firmware/test_settings.py tells when): what the
program of before has checked lacks what is new, and a node that was updated would end by it at each start."""


def _sealed(folder):
    """Return ``node.json``, the seal of what it was checked to be, and that; ``None`` where it was not checked."""
    with open(folder + _WRITTEN, "rb") as file:
        written = file.read()
    seal = b"%08x" % binascii.crc32(written, TABLES)
    try:
        with open(folder + _CHECKED, "rb") as file:
            checked = file.read()
        if checked[:8] == seal and int(checked[8:16], 16) == binascii.crc32(checked[16:]):
            return written, seal, checked[16:]
    except (OSError, ValueError):
        pass
    return written, seal, None


def known(folder):
    """Return the configuration where it is what was checked before, else ``None``."""
    checked = _sealed(folder)[2]
    return None if checked is None else json.loads(checked)


def check(folder, kind=""):
    """Check ``node.json``, unless it is what was checked before; returns what only a full flash keeps from being kept.

    With it goes whether this kind of board is ended by it (:mod:`linli_app.fitting`). A program that is to run calls
    this before it is loaded, and :func:`load` after that: the checking is gone by then, and most keys of the
    configuration are words that the program has already.

    Raises:
        ConfigError: With every mistake in it.
    """
    written, seal, checked = _sealed(folder)
    if checked is not None:
        return None
    from linli_app.fitting import checked  # noqa: PLC0415 - let go again

    try:
        found = checked(written, kind)
    finally:
        forget("linli_app.fitting")
    content = json.dumps(found).encode()
    try:
        with open(folder + _CHECKED, "wb") as file:
            file.write(seal + b"%08x" % binascii.crc32(content) + content)
    except OSError:
        # A full flash: it is checked again the next time.
        return found
    return None


class _Words:
    """Makes texts words of the program: each has one place in memory, wherever it stands."""


def load(folder):
    """Return the configuration that was checked.

    Its keys are words of the program, or will be when its sensors are loaded: so they take no memory of their own.
    """
    with open(folder + _CHECKED, "rb") as file:
        file.seek(16)
        content = file.read()
    found = json.loads(content)
    for table in [found, found["gateway"]] + found["sensors"] + found["actions"]:
        for key in table:
            setattr(_Words, key, None)
    del found
    return json.loads(content)
