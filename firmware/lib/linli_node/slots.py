"""Two slots for the program: one runs, the other takes the next. Whatever is cut off, one of them can be started.

``/a`` and ``/b`` hold the compiled modules of a program each, and ``manifest`` with their sizes and SHA-256. ``/slot``
says which runs: ``{"active": "a", "trial": "b", "tries": 1, "number": 7}``, sealed with a checksum and replaced as a
whole (a rename is atomic on littlefs). An update fills the slot that does not run; files that the running program has
already are copied, the others come in chunks. Only when every file is there, and matches a manifest whose signature is
right, does the slot become a *trial*: it is started up to three times, and becomes the active one when the program has
proven that it reaches the gateway. If it does not, the old one goes on.
"""

import binascii
import json
import os

TRIES = 3


class Slots:
    """The two slots below a folder (``""`` on a board: the file system's root)."""

    def __init__(self, root):
        self.root = root

    def state(self):
        """Return which slot runs; what cannot be read is as on the day of the first flash."""
        for name in ("/slot", "/slot.new"):
            try:
                with open(self.root + name, "rb") as file:
                    content = file.read()
                if int(content[:8], 16) == binascii.crc32(content[8:]):
                    return json.loads(content[8:])
            except (OSError, ValueError):
                continue
        return {"active": "a", "trial": None, "tries": 0, "number": 0}

    def keep(self, state):
        """Replace what is noted, as a whole."""
        content = json.dumps(state).encode()
        with open(self.root + "/slot.new", "wb") as file:
            file.write(b"%08x" % binascii.crc32(content) + content)
        os.rename(self.root + "/slot.new", self.root + "/slot")

    def start(self):
        """Return the slot to start now; a trial that has been started three times without proof is over."""
        state = self.state()
        trial = state["trial"]
        if trial is None:
            return state["active"]
        over = state["tries"] >= TRIES
        if over:
            state["trial"], state["tries"] = None, 0
        else:
            state["tries"] += 1
        try:
            self.keep(state)
        except OSError:
            # A flash that takes nothing: a trial that cannot be counted would never end.
            over = True
        return state["active"] if over else trial

    def proven(self):
        """Note that what runs is healthy; tell whether that ended a trial."""
        state = self.state()
        if state["trial"] is None or not state["tries"]:
            return False
        state["active"], state["trial"], state["tries"] = state["trial"], None, 0
        self.keep(state)
        return True

    def told(self):
        """Return what the status says: the number of the update taken last, of the one that runs, the slot on trial.

        The program of the first flash has the number 0.
        """
        state = self.state()
        return state["number"], self._running(state), state["trial"]

    def _running(self, state):
        slot = state["trial"] if state["trial"] is not None and state["tries"] else state["active"]
        try:
            with open(self.root + "/" + slot + "/manifest", "rb") as file:
                return int(json.loads(file.read())["number"])
        except (OSError, ValueError, KeyError):
            return 0
