"""Records made ready before their time is known: ``main`` prints what goes out of each case, and what should."""

import json
import sys

from linli_app.greeting import ahead
from linli_node import senml


class Log:
    """A log of which nothing is acknowledged."""

    epoch = "ab12"

    def __init__(self, records):
        self._records = records

    def pending(self):
        """Yield what is in it."""
        for seq, since, payload in self._records:
            yield seq, since, payload.encode()


def _case(case):
    def time_of(_era, count):
        return count if count >= 0 else None, count < 0 or count in case["doubtful"]

    log = Log(case["records"])
    ready = ahead("door-1", "c3c3", log, case["most"])
    numbers, packs = senml.made(ready, case["floor"], time_of)
    logged = {
        seq: senml.logged("door-1", payload, time_of, (log.epoch, seq, since, "c3c3"))
        for seq, since, payload in log.pending()
    }
    return {"ready": len(ready), "numbers": numbers, "same": packs == [logged[number] for number in numbers]}


def main(path):
    """Work out the cases of a file."""
    with open(path) as file:
        cases = json.load(file)
    print(json.dumps([_case(case) for case in cases]))


if __name__ == "__main__":
    main(sys.argv[1])
