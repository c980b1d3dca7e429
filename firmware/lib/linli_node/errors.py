"""What can go wrong on a node, by name.

``NodeError`` → ``ConfigError``, ``FlashError``, ``SensorError``, ``LinkError``; and ``UpdateError``, which is rarely
loaded, where it is raised (:mod:`linli_node.taking`).
"""


class NodeError(Exception):
    """Anything a node expects to happen."""


class ConfigError(NodeError):
    """The configuration cannot be used; the text has a line for each mistake."""


class FlashError(NodeError):
    """The flash does not hold what was written: a worn block, or none left."""


class SensorError(NodeError):
    """A sensor answers wrongly or not at all; ``reason`` is the word that stands in the reading's quality."""

    def __init__(self, text, reason="device_failure"):
        super().__init__(text)
        self.reason = reason


class LinkError(NodeError):
    """The gateway cannot be reached, or breaks off."""
