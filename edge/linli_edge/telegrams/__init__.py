"""Telegrams of every meter protocol, off the wire: ``linli-edge decode`` and ``linli-edge meters explain``.

A protocol joins by a module with a :class:`~linli_edge.telegrams.dialect.Dialect` and one line in
:data:`linli_edge.decode.DECODERS`, and speaks Chinese by a phrase book, ``phrases/<protocol>.toml``.
"""
