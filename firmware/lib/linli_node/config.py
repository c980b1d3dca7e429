"""A node's configuration: JSON that a person or a tool wrote, every mistake in it told at once.

What may stand where is data too: a field is ``(kind, least, most, default)``; :data:`REQUIRED` as default means that
it must be there. A kind of ``"text"`` bounds the length, ``"choice"`` lists the words in place of ``least``,
``"table"`` and ``"tables"`` leave their inside to the caller.
"""

import json

from linli_node.errors import ConfigError

REQUIRED = object()
MAX_BYTES = 8192

_SIGNAL = {
    "ssid": ("text", 1, 32, REQUIRED),  # IEEE 802.11: 32 bytes
    "password": ("text", 0, 63, ""),
}
_GATEWAY = {
    "host": ("text", 1, 253, REQUIRED),
    "port": ("whole", 1, 65535, 8884),
    # Where it asks for the key that both hold, in place of a certificate: for a node that was given one.
    "shared_port": ("whole", 1, 65535, 8885),
    "tls": ("truth", None, None, True),
    # Seconds the gateway may take to acknowledge; then it is sent again, three times before the connection is given up.
    "answer_s": ("whole", 1, 60, 10),
}
_NODE = {
    "node": ("id", 1, 63, REQUIRED),
    "gateway": ("table", None, None, REQUIRED),
    "wifi": ("tables", 0, 8, ()),
    "power": ("choice", ("battery", "mains"), None, "mains"),
    # The pin that measures half of the battery's voltage; -1: none.
    "battery_pin": ("whole", -1, 48, -1),
    "interval": ("whole", 1, 86400, 900),
    # On a battery: readings that are sent together, unless something cannot wait.
    "deliver_every": ("whole", 1, 96, 4),
    "sensors": ("tables", 1, 16, REQUIRED),
    "actions": ("tables", 0, 16, ()),
    "revision": ("whole", 0, 0x7FFFFFFF, 0),
}
_ID = "abcdefghijklmnopqrstuvwxyz0123456789-"


def is_id(text):
    """Tell whether a text may name a node: lower case, digits and hyphens, 63 at most."""
    return 1 <= len(text) <= 63 and text[0] != "-" and all(letter in _ID for letter in text)


def load(data, sensors, actions):
    """Return a configuration; raise :class:`ConfigError` with a line for each mistake.

    Args:
        data: JSON.
        sensors: Fields of each kind of sensor, by kind.
        actions: Fields of each kind of action, by kind.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError("the configuration: " + str(len(data)) + " bytes; " + str(MAX_BYTES) + " at most")
    try:
        found = json.loads(data)
    except ValueError:
        raise ConfigError("the configuration: no JSON; write it again with: linli-edge node provision") from None
    if not isinstance(found, dict):
        raise ConfigError("the configuration: no JSON object; write it again with: linli-edge node provision")
    problems = []
    config = read(found, _NODE, "", problems)
    config["gateway"] = read(config["gateway"] or {}, _GATEWAY, "gateway.", problems)
    config["wifi"] = [
        read(table, _SIGNAL, "wifi[" + str(place) + "].", problems) for place, table in enumerate(config["wifi"])
    ]
    config["sensors"] = _kinds(config["sensors"], sensors, "sensors", problems)
    config["actions"] = _kinds(config["actions"], actions, "actions", problems)
    if config["power"] == "battery":
        for place, sensor in enumerate(config["sensors"]):
            if sensor["kind"] == "scd4x":
                # It measures on while the node sleeps, and empties two cells in a week.
                here = "sensors[" + str(place) + '].kind: found "scd4x" on a battery'
                problems.append(here + '; write "power": "mains": it draws 15 mA all the time')
        for place, action in enumerate(config["actions"]):
            if action["kind"] == "relay":
                # Pins let go in deep sleep: a valve that was shut would open again, until the next time awake.
                here = "actions[" + str(place) + '].kind: found "relay" on a battery'
                problems.append(here + '; write "power": "mains": a relay lets go while the node sleeps')
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def read(table, fields, where, problems):
    """Return a table with its defaults; what is wrong with it is added to ``problems``."""
    config = {}
    for key in table:
        if key not in fields:
            problems.append(where + key + ": unknown key; known here: " + ", ".join(sorted(fields)))
    for key, (kind, least, most, default) in fields.items():
        if key not in table:
            if default is REQUIRED:
                problems.append(where + key + ": missing; add it")
                config[key] = {} if kind == "table" else () if kind == "tables" else None
            else:
                config[key] = default
            continue
        wrong = _fault(kind, least, most, table[key])
        if wrong:
            # A secret is not shown: what is told goes over the serial line, and onto flash.
            found = "something else" if key == "password" else json.dumps(table[key])[:60]
            problems.append(where + key + ": found " + found + "; write " + wrong)
        config[key] = ({} if kind == "table" else ()) if wrong and kind in ("table", "tables") else table[key]
    return config


def _fault(kind, least, most, value):  # noqa: PLR0911 - one for each kind
    """Return what should have been written; empty if the value is right."""
    if kind == "choice":
        return "" if value in least else "one of " + ", ".join(str(each) for each in least)
    if kind == "truth":
        return "" if isinstance(value, bool) else "true or false"
    if kind == "id":
        right = isinstance(value, str) and is_id(value)
        return "" if right else "lower case, digits and hyphens, 63 at most"
    if kind == "table":
        return "" if isinstance(value, dict) else "an object"
    if kind == "tables":
        right = isinstance(value, list) and all(isinstance(each, dict) for each in value)
        return (
            "" if right and least <= len(value) <= most else "a list of " + str(least) + " to " + str(most) + " objects"
        )
    if kind == "text":
        right = isinstance(value, str) and least <= len(value) <= most
        return "" if right else "a text of " + str(least) + " to " + str(most) + " characters"
    kinds, name = (int, "a whole number") if kind == "whole" else ((int, float), "a number")
    right = isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most
    return "" if right else name + " from " + str(least) + " to " + str(most)


def _kinds(tables, kinds, where, problems):
    found = []
    for place, table in enumerate(tables):
        here = where + "[" + str(place) + "]."
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            shown = json.dumps(kind) if "kind" in table else "nothing"
            problems.append(here + "kind: found " + shown + "; write one of " + ", ".join(sorted(kinds)))
            continue
        rest = {key: table[key] for key in table if key != "kind"}
        config = read(rest, kinds[kind], here, problems)
        config["kind"] = kind
        found.append(config)
    return found
