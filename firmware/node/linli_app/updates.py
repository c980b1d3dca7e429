"""Updates over the connection to the gateway: it offers a manifest, the node asks for what it lacks, piece by piece.

An offer is JSON, ``{"manifest": "…", "signature": "…"}``; a piece is a byte 1, the length of the name, the name, the
offset (u32, little-endian) and the data. What the node asks for goes out on ``node/{node}/wants``: ``{"name": "…",
"offset": 0}``, or why it refuses: ``{"refused": "…"}``.
"""

import binascii
import json
import struct

from micropython import const

from linli_node import forget
from linli_node.taking import Taking, UpdateError

_PIECE = const(1)


class Updates:
    """Takes one update at a time.

    Args:
        root: The folder that programs are kept below.
        key: The public key of whoever may update; empty: nobody may.
        kind: Which kind of board this is.
        feed: Shows the watchdog that the program lives.
        ask: Sends on ``wants``.
        done: Called when the update is complete: start it.

    """

    def __init__(self, root, key, kind, *, feed, ask, done):
        self._root = root
        self._key = key
        self._kind = kind
        self._feed = feed
        self._ask = ask
        self._done = done
        self._taking = None

    @property
    def busy(self):
        """Whether one is under way."""
        return self._taking is not None

    def take(self, payload):
        """Take an offer or a piece."""
        try:
            if payload[:1] == b"{":
                self._offer(payload)
            elif payload[:1] == bytes([_PIECE]) and self.busy:
                self._piece(payload)
        except UpdateError as exc:
            self._over()
            self._ask({"refused": str(exc)})
        except OSError as exc:
            self._over()
            self._ask({"refused": "the flash takes it not: " + str(exc)})

    def _offer(self, payload):
        if self.busy:
            return
        try:
            offer = json.loads(payload)
            manifest, signature = offer["manifest"].encode(), binascii.unhexlify(offer["signature"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UpdateError("the offer cannot be read") from None
        from linli_node.slots import Slots  # noqa: PLC0415 - let go with all else here

        self._taking = Taking(Slots(self._root))
        self._taking.feed = self._feed
        self._taking.begin(manifest, signature, self._key, self._kind)
        self._next()

    def _over(self):
        self._taking = None
        forget("linli_node.taking")
        forget("linli_node.slots")

    def _piece(self, payload):
        end = 2 + payload[1] if len(payload) > 1 else 0
        if len(payload) < end + 5 or not end:
            raise UpdateError("a piece that ends too soon")
        try:
            name = payload[2:end].decode()
        except ValueError:
            raise UpdateError("a piece whose name cannot be read") from None
        if self._taking.chunk(name, struct.unpack("<I", payload[end : end + 4])[0], payload[end + 4 :]):
            self._next()
        else:
            self._want(name)

    def _want(self, name):
        self._ask({"name": name, "offset": self._taking.held(name)})

    def _next(self):
        missing = self._taking.missing()
        if missing:
            self._ask({"name": missing[0][0], "offset": missing[0][1]})
            return
        self._taking.finish()
        self._over()
        self._done()
