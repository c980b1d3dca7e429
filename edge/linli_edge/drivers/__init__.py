"""The drivers that ship with the gateway, one folder each; found by entry point, see :mod:`linli_edge.driver`."""
