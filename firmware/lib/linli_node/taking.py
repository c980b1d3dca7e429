"""The taking of an update into the slot that does not run; :mod:`linli_node.slots` says how the two go together."""

import binascii
import hashlib
import json
import os

from linli_node import forget
from linli_node.errors import NodeError


class UpdateError(NodeError):
    """An update is refused; what runs goes on."""


MAX_MANIFEST = 8192
MAX_FILE = 32768
_COPY = 512
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_/."


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _digest(path):
    """Return the SHA-256 of a file; ``None`` where there is none."""
    found, buffer = hashlib.sha256(), bytearray(_COPY)
    try:
        with open(path, "rb") as file:
            while True:
                count = file.readinto(buffer)
                if not count:
                    return binascii.hexlify(found.digest()).decode()
                found.update(memoryview(buffer)[:count])
    except OSError:
        return None


def _verify(key, manifest, signature, step):
    """Tell whether a manifest is signed; what that needs is loaded for it, and let go."""
    from linli_node import ed25519  # noqa: PLC0415 - six kilobytes that are needed once in months

    right = ed25519.verify(key, manifest, signature, step)
    forget("linli_node.ed25519")
    return right


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        return


class Taking:
    """One update on its way; loaded when it is offered, and let go after it.

    Attributes:
        feed: Called all along in what takes seconds on a board: its watchdog ends what is silent for eight.
    """

    def __init__(self, slots):
        self.feed = None
        self._slots = slots
        self._wanted = None

    def held(self, name):
        """Return how much of a file has come."""
        try:
            return os.stat(self._path(name) + ".part")[6]
        except OSError:
            return 0

    def begin(self, manifest, signature, key, kind):
        """Take a manifest and return what is missing of its files: ``[(name, offset), …]``.

        Args:
            manifest: JSON: ``board`` (which kind it is for), ``number`` (rises with each), ``files`` by name: size and
                SHA-256 in hex.
            signature: Of it, 64 bytes.
            key: The public key of whoever may update.
            kind: Which kind of board this is.

        Raises:
            UpdateError: It is not for this board, older than what runs, or not signed by whoever may.
        """
        if len(manifest) > MAX_MANIFEST:
            raise UpdateError("a manifest of " + str(len(manifest)) + " bytes; " + str(MAX_MANIFEST) + " at most")
        if not _verify(key, manifest, signature, self.feed):
            raise UpdateError("the manifest is not signed by whoever may update this node")
        try:
            found = json.loads(manifest)
            files = {name: (int(size), digest) for name, (size, digest) in found["files"].items()}
            number = int(found["number"])
            made_for = found["board"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UpdateError("the manifest cannot be read") from None
        if made_for != kind:
            raise UpdateError("the update is for " + str(made_for) + "; this is " + kind)
        state = self._slots.state()
        if number <= state["number"]:
            raise UpdateError("update " + str(number) + " is no newer than " + str(state["number"]) + ", which runs")
        for name, (size, _) in files.items():
            right = all(letter in _NAME for letter in name) and ".." not in name and name.count("/") <= 2
            if not right or not 0 < size <= MAX_FILE:
                raise UpdateError("a file that no update has: " + name[:40])
        if state["trial"] is not None:
            if state["tries"]:
                raise UpdateError("the update before it is being tried: it must prove itself first")
            # One that was never started gives way: what runs is the active slot.
            state["trial"] = None
            self._slots.keep(state)
        self._wanted = (manifest, files, number, "b" if state["active"] == "a" else "a")
        # What it was made of is about to change.
        _remove(self._path("bundle"))
        return self.missing()

    def _path(self, name):
        return self._slots.root + "/" + self._wanted[3] + "/" + name

    def missing(self):
        """Return what must still come, after what the running program has was copied: ``[(name, offset), …]``."""
        _, files, _, slot = self._wanted
        active = self._slots.root + "/" + ("b" if slot == "a" else "a") + "/"
        found = []
        for name, (size, digest) in files.items():
            path = self._path(name)
            if self.feed is not None:
                self.feed()
            if _digest(path) == digest:
                continue
            self._folders(path)
            if _digest(active + name) == digest:
                self._copy(active + name, path)
                continue
            try:
                offset = os.stat(path + ".part")[6]
            except OSError:
                offset = 0
            if offset >= size:
                _remove(path + ".part")
                offset = 0
            found.append((name, offset))
        return found

    def _folders(self, path):
        folder = self._slots.root
        for part in path[len(self._slots.root) + 1 :].split("/")[:-1]:
            folder += "/" + part
            if not _exists(folder):
                os.mkdir(folder)

    @staticmethod
    def _copy(source, target):
        buffer = bytearray(_COPY)
        with open(source, "rb") as read, open(target + ".part", "wb") as written:
            while True:
                count = read.readinto(buffer)
                if not count:
                    break
                written.write(memoryview(buffer)[:count])
        os.rename(target + ".part", target)

    def chunk(self, name, offset, data):
        """Take a piece of a file at its end; tell whether the file is whole.

        Raises:
            UpdateError: It is not the piece that comes next, or the file is not what the manifest says.
        """
        if self._wanted is None or name not in self._wanted[1]:
            raise UpdateError("nobody asked for " + name[:40])
        size, digest = self._wanted[1][name]
        path, held = self._path(name), self.held(name)
        if offset != held or held + len(data) > size or not data:
            raise UpdateError("a piece of " + name + " at " + str(offset) + ", expected at " + str(held))
        with open(path + ".part", "ab") as file:
            file.write(data)
        if held + len(data) < size:
            return False
        if _digest(path + ".part") != digest:
            _remove(path + ".part")
            raise UpdateError(name + " is not what the manifest says")
        os.rename(path + ".part", path)
        return True

    def finish(self):
        """Make the slot a trial: it is what starts next.

        Raises:
            UpdateError: A file is missing.
        """
        manifest, files, number, slot = self._wanted
        for name, (_, digest) in files.items():
            if self.feed is not None:
                self.feed()
            if _digest(self._path(name)) != digest:
                raise UpdateError(name + " is missing")
        with open(self._path("manifest"), "wb") as file:
            file.write(manifest)
        state = self._slots.state()
        # Whatever becomes of it, an update of this number is not taken again, and none before it.
        state["trial"], state["tries"], state["number"] = slot, 0, number
        self._slots.keep(state)
        self._wanted = None
