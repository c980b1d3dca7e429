"""Cases that core has made, worked out on this VM: ``main`` prints what came out, as one line of JSON."""

import binascii
import json

from linli_node import clock, config, crc, first_page, ringlog, saved, senml, senml_reading, threshold
from linli_node.errors import ConfigError


def _pack(case):
    held = json.dumps([1, case["at"], case["records"]])
    return senml.logged(case["node"], held, lambda _era, count: (count, False), case["place"]).decode()


def _unpack(text):
    try:
        return [list(record) for record in senml_reading.unpack(text.encode())]
    except ValueError as exc:
        return str(exc)


def _crc(case):
    kind, data, polynomial, start = case
    data = binascii.unhexlify(data)
    if kind == "crc32":
        return binascii.crc32(data)
    return {"crc8": crc.crc8, "crc_reflected": crc.crc_reflected}[kind](data, polynomial, start)


def _config(text):
    try:
        sensors = {"reed": {"pin": ("whole", 0, 48, config.REQUIRED)}, "float": {"pin": ("whole", 0, 48, 1)}}
        sensors["scd4x"] = {}
        actions = {"buzzer": {"above": ("number", -1000, 1000, config.REQUIRED)}, "relay": {}}
        return config.load(text.encode(), sensors, actions)
    except ConfigError as exc:
        return str(exc)


def _threshold(case):
    limit = threshold.Threshold(**case["limit"])
    return [[limit.update(value, count), limit.tripped] for value, count in case["values"]]


class _Memory:
    """Flash without a fault."""

    blocks = 4
    size = 512

    def __init__(self):
        self.held = [bytearray(b"\xff" * self.size) for _ in range(self.blocks)]

    def begun(self):
        return range(self.blocks)

    def filled(self, block):
        return self.size

    def read(self, block, offset, count):
        return self.held[block][offset : offset + count]

    def write(self, block, offset, data):
        self.held[block][offset : offset + len(data)] = data

    def erase(self, block):
        self.held[block] = bytearray(b"\xff" * self.size)


def _clock(case):
    """Each step: what to do, and its arguments."""
    flash, count, found = _Memory(), 0, []
    time = None

    def counting():
        return count

    for name, argument in case:
        if name == "start":
            time = clock.Clock(counting, saved.Saved(flash))
            time.open(goes_on=argument)
        elif name == "count":
            count = argument
        elif name == "set":
            time.set(argument)
        elif name == "now":
            found.append(time.time_of(*time.stamp())[0])
        elif name == "stamp":
            found.append(list(time.stamp()))
        else:
            found.append(list(time.time_of(*argument)))
    return found


def _acks(case):
    """What a log does with the acknowledgements of core's encoder."""
    log = ringlog.RingLog(_Memory(), lambda: 0xC0FFEE)
    log.open()
    for number in range(case["records"]):
        log.append(b"record %d" % number)
    states = []
    for text in case["acks"]:
        ack = json.loads(text)
        if ack["epoch"] == log.epoch:
            log.ack(ack["seq"])
        states.append([log.acked, [seq for seq, _, _ in log.pending()]])
    return states


def _dns(query):
    answer = first_page.dns_answer(binascii.unhexlify(query), "192.168.4.1")
    return None if answer is None else binascii.hexlify(answer).decode()


_PARTS = {
    "dns": _dns,
    "crc": _crc,
    "pack": _pack,
    "unpack": _unpack,
    "config": _config,
    "threshold": _threshold,
    "clock": _clock,
    "acks": _acks,
}


def main(path):
    """Work out the cases in a file: by part, a list."""
    with open(path) as file:
        cases = json.load(file)
    print(json.dumps({part: [_PARTS[part](case) for case in listed] for part, listed in cases.items()}))


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
