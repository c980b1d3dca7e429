"""The pure half of Linli: model, vocabulary, wire contract, codecs, log protocol, alarm engine.

Nothing in this package reads a clock, opens a file descriptor, awaits or logs: bytes and ``now`` come in as
arguments, events and bytes go out. import-linter holds the line (``pyproject.toml``).
"""

__version__ = "0.1.0"
