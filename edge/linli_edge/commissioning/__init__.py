"""A basement visit that takes minutes: search a line, find a register, examine the line, hand over with a signed sheet.

Each command is a pure core (what to ask next, what the answers mean) under a thin shell that owns line, clock and
terminal. :mod:`~linli_edge.commissioning.scanner` is where other protocols join ``linli-edge scan``.
"""
