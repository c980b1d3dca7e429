"""Device profiles of every driver: where they are, what each says of itself, and what is wrong with one.

A driver that has profiles keeps them in its package, in ``profiles/*.toml``, with at least one case each in
``testcases/``, and offers them by one :class:`Shelf` in its :class:`~linli_edge.driver.DriverSpec`::

    SHELF = Shelf("linli_edge.drivers.modbus", parse)
    SPEC = DriverSpec("modbus", …, profiles=SHELF)

``docs/profiles.md`` tells how to write one.
"""

from linli_edge.profiles.shelf import Profile, Shelf

__all__ = ["Profile", "Shelf"]
