"""The sensors a node can have, by kind: each a module that is loaded only where the configuration names it.

A sensor has ``quantities`` (what it measures), ``async read()`` (returns ``[(quantity, unit, value), …]`` or raises
:class:`SensorError`), and, if what it says can change by itself, ``poll(count)`` (whether it did) and ``wakes()``.
"""

_CONTACTS = ("reed", "pir", "float", "tilt", "button", "leak_switch")


def make(config, board):
    """Return the sensor that a table describes, or what says in its place that it is missing."""
    try:
        return _made(config, board)
    except (ValueError, OSError) as exc:
        # A pin that this board has not, or a bus that is short. Ended by it, the program would begin anew every ten
        # seconds, and read nothing.
        from linli_app.sensors.unmade import Unmade  # noqa: PLC0415 - loaded only where it is used

        why = config["kind"] + " cannot be made: " + str(exc)
        board.say(why)
        return Unmade(config, why, "no_communication" if isinstance(exc, OSError) else "configuration")


def _made(config, board):
    kind = config["kind"]
    if kind in _CONTACTS:
        from linli_app.sensors.contact import Contact  # noqa: PLC0415 - loaded only where it is used

        return Contact(config, board)
    if kind == "pulse":
        from linli_app.sensors.pulse import Pulse  # noqa: PLC0415

        return Pulse(config, board)
    if kind == "leak_rope":
        from linli_app.sensors.leak_rope import LeakRope  # noqa: PLC0415

        return LeakRope(config, board)
    if kind == "ds18b20":
        from linli_app.sensors.ds18b20 import Ds18b20  # noqa: PLC0415

        return Ds18b20(config, board.one_wire(config["pin"]))
    if kind == "pzem004t":
        from linli_app.sensors.pzem004t import Pzem004t  # noqa: PLC0415

        return Pzem004t(config, board.uart(config["uart"], config["tx"], config["rx"], 9600))
    from linli_app.sensors import i2c  # noqa: PLC0415

    return i2c.KINDS[kind](config, board.i2c(config["sda"], config["scl"]))
