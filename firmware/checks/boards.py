"""The board's own part over stand-ins for ``machine``, ``network`` and ``esp32``: prints what it asked of them."""

import asyncio
import json
import sys

SAID = []
STATE = {"connected": False, "memory": b"", "cause": 1, "levels": {}}


class Slept(BaseException):
    """The board sleeps: the program ends."""


class Module:
    pass


class Pin:
    IN, OUT, PULL_UP, IRQ_FALLING = 0, 1, 2, 2

    def __init__(self, number, mode=0, pull=None):
        self.number = number

    def value(self, level=None):
        if level is None:
            return STATE["levels"].get(self.number, 1)
        SAID.append(["pin", self.number, level])
        return None

    def irq(self, handler, _edge):
        self.handler = handler


class Wlan:
    def __init__(self, _kind):
        pass

    PM_NONE = 0

    def config(self, pm):
        SAID.append(["pm", pm])

    def ifconfig(self, address=None):
        if address is None:
            return ("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1")
        SAID.append(["address", list(address)])
        return None

    def active(self, on):
        SAID.append(["wlan", on])

    def isconnected(self):
        return STATE["connected"]

    def connect(self, ssid, password):
        SAID.append(["join", ssid])
        STATE["connected"] = ssid == "right"

    def disconnect(self):
        pass

    def status(self, _what):
        return -61


class Rtc:
    def memory(self, content=None):
        if content is None:
            return STATE["memory"]
        STATE["memory"] = content
        return None


class Watchdog:
    def __init__(self, timeout):
        SAID.append(["watchdog", timeout])

    def feed(self):
        STATE["fed"] = STATE.get("fed", 0) + 1


class Adc:
    def __init__(self, _pin):
        pass

    def read_uv(self):
        return 1450000

    def read_u16(self):
        return 30000


def _deepsleep(milliseconds):
    SAID.append(["deepsleep", milliseconds // 1000])
    raise Slept


def _modules():
    machine, network, esp32 = Module(), Module(), Module()
    machine.Pin, machine.RTC, machine.WDT, machine.ADC = Pin, Rtc, Watchdog, Adc
    machine.PWRON_RESET, machine.DEEPSLEEP_RESET = 1, 4
    machine.reset_cause = lambda: STATE["cause"]
    machine.unique_id = lambda: b"\x7c\x2c\x67\x01"
    machine.deepsleep = _deepsleep
    machine.lightsleep = lambda milliseconds: SAID.append(["lightsleep", milliseconds // 1000])
    machine.disable_irq = lambda: 0
    machine.enable_irq = lambda state: None
    machine.reset = lambda: SAID.append(["reset"])
    network.WLAN, network.STA_IF = Wlan, 0
    esp32.WAKEUP_ANY_HIGH, esp32.WAKEUP_ALL_LOW = True, False
    esp32.Partition = Module()
    esp32.Partition.TYPE_DATA = 1
    esp32.Partition.find = lambda kind, label: []
    if STATE["chip"] == "s3":
        esp32.wake_on_ext1 = lambda pins, level: SAID.append(["ext1", [pin.number for pin in pins], level])
        esp32.wake_on_ext0 = lambda pin, level: SAID.append(["ext0", pin.number, level])
    else:
        esp32.wake_on_gpio = lambda pins, level: SAID.append(["gpio", [pin.number for pin in pins], level])
    sys.modules.update({"machine": machine, "network": network, "esp32": esp32})
    if STATE["chip"] == "pico":
        del sys.modules["network"]


def _life(case, root):
    """One life of the program on a battery, from power-up or out of sleep, until it sleeps."""
    from linli_app import board, program
    from linli_app.settings import check, load
    from linli_node.errors import ConfigError

    board._JOIN_MS = 100
    is_pico = case["chip"] in ("rp2", "pico")
    board._ROOT, board._ESP32, board._RP2 = root, not is_pico, is_pico
    config = check(root) or load(root)
    try:
        made = board.Board(config)
    except ConfigError as exc:
        return {"refused": str(exc)}
    made.say = lambda text: SAID.append(["say", text])
    node = program.Node(config, made)
    node.open()
    try:
        asyncio.run(node.run())
    except Slept:
        pass
    return {"uid": made.uid, "woke": made.woke, "pins": list(made.woken_pins), "state": node.state()}


def main(path):
    with open(path) as file:
        case = json.load(file)
    STATE["chip"] = case["chip"]
    _modules()
    lives = []
    for cause, levels in case["lives"]:
        STATE["cause"] = cause
        STATE["connected"] = False
        STATE["levels"] = {int(pin): level for pin, level in levels.items()}
        lives.append(_life(case, case["root"]))
    print(json.dumps({"lives": lives, "said": SAID, "fed": STATE.get("fed", 0)}))


if __name__ == "__main__":
    main(sys.argv[1])
