"""The MQTT client over streams that break: prints what is told of it, and whether the connection was let go."""

import asyncio
import json
import sys

from linli_app.greeting import opening
from linli_app.knocking import greeted
from linli_node.errors import LinkError

CONNACK = b"\x20\x02\x00\x00"
REFUSED = b"\x20\x02\x00\x05"
PUBLISH = b"\x32\x08\x00\x01t\x00\x07abc"
NOTHING = b"\x90\x03\x00\x01\x80"
"""SUBACK of a subscription that is refused (MQTT 3.1.1 §3.9.3)."""


class Stream:
    """Both ways of one connection: says what it was given, and breaks at a write."""

    def __init__(self, says, breaks_at, error):
        self._says = says
        self._left = breaks_at
        self._error = error
        self.closed = False
        self.sent = []

    async def read(self, _count):
        said = self._says.pop(0) if self._says else b""
        if isinstance(said, OSError):
            raise said
        return said

    def write(self, data):
        self._left -= 1
        self.sent.append(data)

    async def drain(self):
        if self._left < 0:
            raise OSError(self._error)

    def close(self):
        self.closed = True

    async def wait_closed(self):
        pass


async def _tried(says, breaks_at, then, error=104):
    stream = Stream(list(says), breaks_at, error)

    async def streams():
        return stream, stream

    taken = []
    try:
        said = [opening("node-1", ["t"], will=("w", b"gone"), first=("f", b"here"))]
        client = await greeted(streams, lambda topic, payload: taken.append(topic + " " + payload.decode()), said)
        await getattr(client, then)()
        told = ""
    except LinkError as exc:
        told = str(exc)
    except OSError as exc:
        told = "OSError " + str(exc)
    return [told, stream.closed, taken, [data[0] >> 4 for data in mqtt_packets(stream.sent[0])]]


def mqtt_packets(data):
    """Return the packets of one write, each shorter than 128 bytes."""
    found = []
    while data:
        found.append(data[: 2 + data[1]])
        data = data[2 + data[1] :]
    return found


def main(_path):
    cases = [
        ([CONNACK, PUBLISH], 1, "run"),
        ([CONNACK + PUBLISH], 1, "run"),
        ([CONNACK + PUBLISH], 9, "ping"),
        ([CONNACK], 1, "ping"),
        ([CONNACK], 0, "ping", 113),
        ([CONNACK], 0, "ping"),
        ([REFUSED], 9, "ping"),
        ([REFUSED + PUBLISH], 9, "ping"),
        ([], 9, "ping"),
        ([OSError(104)], 9, "ping"),
        ([CONNACK + NOTHING], 9, "run"),
    ]
    print(json.dumps([asyncio.run(_tried(*case)) for case in cases]))


if __name__ == "__main__":
    main(sys.argv[1])
