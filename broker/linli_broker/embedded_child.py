"""The embedded broker's own process: ``python -m linli_broker.embedded_child FILE``."""

import logging
import sys

from iotcore import IotCoreBroker


def main() -> None:
    """Run until a signal ends the process; rumqttd has no other way to stop."""
    # rumqttd wraps the routing of each message in error spans, which arrive here as one ERROR record a message.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


if __name__ == "__main__":
    main()
