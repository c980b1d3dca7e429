"""What nodes say, in the reader's language: a node speaks English, in few words, to save its flash."""

import re
from typing import Final

from linli_core.catalogue import Language, text

_PHRASES: Final = tuple(
    (re.compile(pattern), f"node.said.{key}")
    for pattern, key in (
        (r"no network lets this node in: (?P<networks>.*)", "no_network"),
        (r"the radio fails: (?P<reason>.*)", "radio"),
        (r"this board has no configuration yet", "no_configuration"),
        (r"no /keys/(?P<file>[\w.]+): linli-edge node provision writes it", "no_key"),
        (r"the keys of this node are damaged", "keys_damaged"),
        (r"the broker ends the handshake", "key_refused"),
        (r"is this node's key known there\?", "key_unknown"),
        (r"is its name the key's\?", "name_unknown"),
        # In the words of mbedTLS, which boards speak TLS with.
        (r"not correctly signed by the trusted CA|does not match with the expected CN", "other_authority"),
        (r"no connection: (?P<reason>.*)", "no_connection"),
        (r"the broker does not answer within", "broker_silent"),
        (r"the broker refuses this node \(code (?P<code>\d+)\)", "broker_refuses"),
        (r"the connection broke|the broker closed the connection", "broke"),
        (r"the gateway does not answer", "gateway_silent"),
        (r"the log cannot be written|starts and call cannot be kept", "log_broken"),
        (r"the battery cannot be measured", "battery_pin"),
        (r"(?P<kind>\w+) cannot be made: ", "unmade"),
        (r"awake for more than", "no_time"),
        (r"only one pin can wake this chip", "one_pin"),
        (r"no pin wakes this board", "deaf"),
        (r"pin (?P<pins>[\d, ]+) does not wake this board from its sleep", "deaf_pin"),
        (r"no newer than (?P<number>\d+)", "not_newer"),
        (r"not signed by whoever may update", "not_signed"),
        (r"the update is for (?P<built>\w+); this is (?P<kind>\w+)", "wrong_kind"),
        (r"it must prove itself first", "on_trial"),
        (r"nothing answers at address (?P<address>\w+)", "no_i2c"),
        (r"nothing answers on the 1-Wire bus", "no_one_wire"),
        (r"the module does not answer", "no_module"),
        (r"the rope is broken, or not connected", "rope"),
        (r"a wire is broken, or the supply is off", "loop_open"),
        (r"a wrong checksum|answer is damaged", "damaged"),
        (r"it says nothing but zeros|the I2C bus is held low", "short"),
        (r"which it cannot measure|the probe says |there is no CO2 at all", "impossible"),
        (r"what answers there is no BME280|its calibration cannot be read", "other_chip"),
        (r"lost its supply while it measured", "no_supply"),
        (r"a short, or a fault of the transmitter", "loop_short"),
        (r"the module refuses \(code (?P<code>\d+)\)", "module_refuses"),
        (r"it has nothing new to say|it has measured nothing", "not_yet"),
        (r"nothing in time", "hangs"),
        (r"^MemoryError", "memory"),
        (r"no module named '?machine", "not_micropython"),
    )
)


def explained(said: str, lang: Language) -> str:
    """Return what something that a node said means, and what to do; empty where there is nothing to add."""
    for pattern, key in _PHRASES:
        if found := pattern.search(said):
            return text(key, lang, **found.groupdict())
    return ""
