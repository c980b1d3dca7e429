"""The MQTT client over streams that break: prints what is told of it, and whether the connection was let go."""

import asyncio
import json
import sys

from linli_app import mqtt
from linli_node.errors import LinkError

CONNACK = b"\x20\x02\x00\x00"
REFUSED = b"\x20\x02\x00\x05"
PUBLISH = b"\x32\x08\x00\x01t\x00\x07abc"


class Stream:
    """Both ways of one connection: says what it was given, and breaks at a write."""

    def __init__(self, says, breaks_at):
        self._says = says
        self._left = breaks_at
        self.closed = False

    async def read(self, _count):
        return self._says.pop(0) if self._says else b""

    def write(self, _data):
        self._left -= 1

    async def drain(self):
        if self._left < 0:
            raise OSError(104)

    def close(self):
        self.closed = True

    async def wait_closed(self):
        pass


async def _tried(says, breaks_at, then):
    stream = Stream(list(says), breaks_at)

    async def streams():
        return stream, stream

    client = mqtt.Client(streams, lambda _topic, _payload: None)
    try:
        await client.open("node-1", ["t"])
        await getattr(client, then)()
        told = ""
    except LinkError as exc:
        told = str(exc)
    except OSError as exc:
        told = "OSError " + str(exc)
    return [told, stream.closed]


def main(_path):
    cases = [
        ([CONNACK, PUBLISH], 2, "run"),
        ([CONNACK], 2, "ping"),
        ([CONNACK], 1, "ping"),
        ([REFUSED], 9, "ping"),
        ([], 9, "ping"),
    ]
    print(json.dumps([asyncio.run(_tried(*case)) for case in cases]))


if __name__ == "__main__":
    main(sys.argv[1])
