"""The node's configuration as it was checked: a start that finds it so needs neither the checking nor its memory."""

import binascii
import json

from linli_node.forget import forget


def load(folder):
    """Return the configuration in ``node.json``; raise :class:`ConfigError` with every mistake in it."""
    with open(folder + "/node.json", "rb") as file:
        written = file.read()
    seal = "%08x" % binascii.crc32(written)
    try:
        with open(folder + "/node.checked", "rb") as file:
            checked = file.read()
        if checked[:8].decode() == seal and int(checked[8:16], 16) == binascii.crc32(checked[16:]):
            return json.loads(checked[16:])
    except (OSError, ValueError):
        pass
    found = _checked(written)
    content = json.dumps(found).encode()
    try:
        with open(folder + "/node.checked", "wb") as file:
            file.write(seal.encode() + b"%08x" % binascii.crc32(content) + content)
    except OSError:
        # A full flash: it is checked again the next time.
        return found
    return found


def _checked(written):
    from linli_app.sensors.fields import ACTIONS, FIELDS  # noqa: PLC0415 - let go again
    from linli_node import config  # noqa: PLC0415

    try:
        return config.load(written, FIELDS, ACTIONS)
    finally:
        forget("linli_app.sensors.fields")
        forget("linli_node.config")
