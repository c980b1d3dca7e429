"""Device protocols: pure codecs, one package each. Bytes in, events out; no I/O, no clock."""  # noqa: A005 - never imported as ``codecs``
