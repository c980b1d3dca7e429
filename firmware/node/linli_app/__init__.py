"""The node's program: reads its sensors, keeps what they say, and hands it to the gateway."""

VERSION = "0.1.0"


def point(config, quantity):
    """Return what a point of a sensor is called."""
    return quantity if config["channel"] < 0 else quantity + ".c" + str(config["channel"])
