"""What a stock firmware calls ``socket``, on the desktop: ports that only a machine's owner may open lie elsewhere."""

import json
import os

import usocket
from usocket import *  # noqa: F403 - it is that module, but for one function

_PORTS = json.loads(os.getenv("LINLI_BOARD") or "{}").get("ports", {})


def getaddrinfo(host, port, *more):
    """Return where a port is."""
    return usocket.getaddrinfo(host, _PORTS.get(str(port), port), *more)
