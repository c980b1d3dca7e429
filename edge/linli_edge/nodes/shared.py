"""Shared keys: what a node on a battery and the gateway's broker both hold, so that a handshake computes little.

They are in one file of the folder of keys, which the broker reads (``shared_keys`` of its listener) and follows. Where
it is, the gateway has such a listener. A node has a certificate beside its key, and shows it where the broker does not
know the key: a gateway whose file was lost is reached all the same.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from linli_broker import shared_keys
from linli_core.errors import ConfigError
from linli_edge.durable_file import write_durably

FILE: Final = "shared.keys"
ON_BOARD: Final = "shared.key"
"""Its name in ``/keys`` of a board: a line like the broker's."""
_BYTES: Final = 32


def unseen(folder: Path) -> ConfigError:
    """Return what to say of a folder of keys that is another's."""
    return ConfigError(str(folder), "may not be looked into", "run this as its owner, or with sudo")


class SharedKeys:
    """The shared keys in a folder of keys.

    Attributes:
        path: Their file.

    Raises:
        ConfigError: The file is there, and cannot be read, or others can read it: said before a board is touched.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        if self.exists:
            shared_keys.read(self.path)

    @property
    def exists(self) -> bool:
        """Whether nodes are given shared keys here.

        Raises:
            ConfigError: That may not be seen.
        """
        try:
            return self.path.exists()
        except PermissionError as exc:
            raise unseen(self.path.parent) from exc

    def create(self) -> bool:
        """Make the file, without a key; tell whether there was none."""
        if self.exists:
            return False
        self._keep({})
        return True

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that have one.

        Raises:
            ConfigError: The file cannot be read, or others can read it.
        """
        return tuple(shared_keys.read(self.path)) if self.exists else ()

    def give(self, node: str, *, fresh: bool) -> bytes:
        """Return the key of a node, as its board keeps it; on return it is in the broker's file.

        Args:
            node: The node.
            fresh: Whether the one that it may have is another board's. Else it stays: who gives it may have been
                interrupted, and the board holds it already.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        with self._locked():
            keys = shared_keys.read(self.path)
            if fresh or node not in keys:
                keys[node] = secrets.token_bytes(_BYTES)
                self._keep(keys)
        return f"{node}:{keys[node].hex()}".encode()

    def take_off(self, node: str) -> bool:
        """Take the key of a node off the file: nobody is let in with it any more. Tell whether it had one."""
        if not self.exists:
            return False
        with self._locked():
            keys = shared_keys.read(self.path)
            had = keys.pop(node, None)
            if had is not None:
                self._keep(keys)
        return had is not None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others who give keys at the same time waiting: each reads all of them and writes all of them."""
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _keep(self, keys: Mapping[str, bytes]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            owner = None
            if self.exists:
                # The broker may be another user, and read it on.
                found = self.path.stat()
                owner = (found.st_uid, found.st_gid)
            # Through a link: the broker may have its file in a folder of its own.
            file = Path(os.path.realpath(self.path))
            write_durably(file, shared_keys.render(keys).encode(), mode=shared_keys.MODE, owner=owner)
        except OSError as exc:
            raise ConfigError(str(self.path), f"cannot be written: {exc}", "give --keys that you may write") from exc
