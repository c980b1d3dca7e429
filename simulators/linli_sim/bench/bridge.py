"""The peer of the ingest figures: what one would put together from well-known parts, on the same messages.

``python -m linli_sim.bench.bridge HOST:PORT URL READINGS`` is a program of its own: paho-mqtt takes the packs, the
standard library's JSON parser reads them, and lines are written straight to InfluxDB's ``/write`` in batches (a
``Point`` object for each would cost several times as much). It checks nothing, knows no duplicates, judges no alarms
and acknowledges no log; it ends once so many readings are written, with the CPU seconds it used as its last line.
"""

import json
import os
import queue
import sys
import urllib.request
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

_BATCH: Final = 5_000
_WAIT_S: Final = 60.0
_FILTER: Final = "linli/1/+/+/telemetry"
DATABASE: Final = "bench"


def lines_of(payload: bytes) -> list[str]:
    """Return a pack's readings as lines with times in seconds."""
    records: list[dict[str, Any]] = json.loads(payload)
    gateway, moment = records[0]["bn"].rstrip("/"), records[0]["bt"]
    lines = []
    for record in records:
        device, _, quantity = record["n"].partition("/")
        lines.append(f"{quantity},gateway={gateway},device={device} value={record['v']} {moment}")
    return lines


def main(host: str, port: int, url: str, readings: int) -> None:
    """Write so many readings."""
    taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, client_id="bridge", clean_session=True)
    client.on_message = lambda _client, _data, message: taken.put(bytes(message.payload))
    subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
    client.on_subscribe = lambda *_: subscribed.put(None)
    client.connect(host, port)
    client.subscribe(_FILTER, qos=1)
    client.loop_start()
    subscribed.get(timeout=_WAIT_S)
    print("ready", flush=True)  # noqa: T201 - the program's output
    written, lines = 0, []
    while written < readings:
        lines += lines_of(taken.get(timeout=_WAIT_S))
        if len(lines) >= _BATCH or written + len(lines) >= readings:
            body = "\n".join(lines).encode()
            request = urllib.request.Request(f"{url}/write?db={DATABASE}&precision=s", body, method="POST")  # noqa: S310
            with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310 - the bench's own server
                answer.read()
            written, lines = written + len(lines), []
    client.loop_stop()
    times = os.times()
    print(times.user + times.system, flush=True)  # noqa: T201 - the program's output


if __name__ == "__main__":
    address, _, service = sys.argv[1].rpartition(":")
    main(address, int(service), sys.argv[2], int(sys.argv[3]))
