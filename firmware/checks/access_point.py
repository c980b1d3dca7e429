"""How the Wi-Fi of a first start goes away and comes back, over stand-ins for a chip: prints what was asked of it."""

import json
import sys

from linli_node.errors import ConfigError


class Module:
    pass


class Slept(BaseException):
    """The chip sleeps: the start is over."""


class Rtc:
    held = b""

    def memory(self, content=None):
        if content is None:
            return Rtc.held
        Rtc.held = content
        return None


class Pin:
    IN, PULL_UP = 0, 2

    def __init__(self, number, _mode=0, _pull=None):
        if number > 21:
            raise ValueError("invalid pin")
        self.number = number


SAID = []


def _deepsleep(milliseconds):
    SAID.append(["deepsleep", milliseconds // 1000])
    raise Slept


def _modules(chip, start):
    machine, network, esp32, rp2 = Module(), Module(), Module(), Module()
    machine.RTC, machine.Pin, machine.deepsleep = Rtc, Pin, _deepsleep
    machine.DEEPSLEEP_RESET, machine.TIMER_WAKE = 4, 4
    machine.reset_cause, machine.wake_reason = lambda: start["cause"], lambda: start["reason"]
    network.WLAN, network.AP_IF = lambda _kind: None, 1
    esp32.WAKEUP_ALL_LOW = False
    esp32.wake_on_ext0 = lambda pin, level: SAID.append(["ext0", pin.number, level])
    presses = list(start.get("presses", []))
    rp2.bootsel_button = lambda: presses.pop(0) if presses else 0
    sys.modules.update({"machine": machine, "network": network, "esp32": esp32, "rp2": rp2})
    own = Module()
    own.platform = "rp2" if chip == "rp2" else "esp32"
    own.implementation = Module()
    own.implementation._machine = "Generic ESP32" + chip.upper() + " module"
    return own


def _ask(air, root):
    """Ask for a configuration, on a board that has one which cannot be used, and no passphrase."""
    from linli_app import asking

    asking.AccessPoint, asking.time = lambda: air, Module()
    asking.time.sleep = lambda seconds: SAID.append(["listen", seconds])
    asking.ask(root, ConfigError("wrong"))


def main(path):
    with open(path) as file:
        case = json.load(file)
    told = []
    for start in case["starts"]:
        SAID.clear()
        own = _modules(case["chip"], start)
        from linli_app import access_point

        access_point.sys, access_point.time = own, Module()
        access_point.machine, access_point.network = sys.modules["machine"], sys.modules["network"]
        access_point.time.sleep = lambda seconds: SAID.append(["sleep", seconds])
        if "held" in start:
            Rtc.held = bytes(start["held"])
            access_point.Memory("rests").set(b"its own")
        air = access_point.AccessPoint()
        if "pins" in start:
            told.append([air.has_pin(pin) for pin in start["pins"]])
            continue
        ends = "again"
        try:
            if "asks" in start:
                _ask(air, start["asks"])
            else:
                air.rest()
        except Slept:
            ends = "asleep"
        except ConfigError as exc:
            ends = str(exc)
        slept = sum(entry[1] for entry in SAID if entry[0] != "ext0")
        told.append([air.is_again, slept, ends, [entry[1:] for entry in SAID if entry[0] == "ext0"]])
        assert "held" not in start or access_point.Memory("rests").get() == b"its own"
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
