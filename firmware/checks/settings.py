"""What a program takes for its checked configuration: prints it, and a digest of the tables that it is checked by."""

import binascii
import json
import sys


def _plain(value):
    """Return a table as JSON takes it, in one order."""
    if isinstance(value, dict):
        return [[key, _plain(value[key])] for key in sorted(value)]
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else "required"


def main(path):
    from linli_app import settings
    from linli_app.sensors.fields import ACTIONS, FIELDS
    from linli_node import config

    with open(path) as file:
        folder = json.load(file)["folder"]
    found = settings.known(folder) or settings.check(folder) or settings.load(folder)
    tables = [FIELDS, ACTIONS, config._NODE, config._GATEWAY, config._SIGNAL]
    digest = "{:08x}".format(binascii.crc32(json.dumps(_plain(tables)).encode()))
    print(json.dumps({"found": found, "tables": [settings.TABLES, digest]}))


if __name__ == "__main__":
    main(sys.argv[1])
