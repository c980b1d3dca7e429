"""Cumulative registers: is what a meter says now what can have followed what it said before?

``watch`` judges one register, ``billing`` notes what stood on it at the boundaries that bills are made of, ``book``
keeps those of a whole gateway, ``memory`` brings them over a restart, ``swap`` is a meter that was exchanged, and
``keeper`` looks after all of them while the gateway runs. ``watch``, ``billing`` and ``book`` are pure.

The raw value always goes on as it is, with its quality: nothing is invented, corrected or left out here, and what an
amount of use is made of is decided where bills are made. ``docs/adr/0012-registers.md`` tells why.
"""
