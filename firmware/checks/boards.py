"""The board's own part over stand-ins for ``machine``, ``network`` and ``esp32``: prints what it asked of them."""

import asyncio
import json
import sys
import time

SAID = []
STATE = {"connected": False, "memory": b"", "cause": 1, "levels": {}, "later": [], "slept": 0, "fed": 0, "fed_at": 0}
_WATCHDOG_MS = 8000


class Slept(BaseException):
    """The board sleeps: the program ends."""


class StoodStill(BaseException):
    """The watchdog ended while the chip slept lightly."""


class Module:
    pass


class Pin:
    IN, OUT, PULL_UP, IRQ_RISING, IRQ_FALLING = 0, 1, 2, 1, 2

    def __init__(self, number, mode=0, pull=None):
        if number in STATE["absent"]:
            raise ValueError("invalid pin")
        self.number = number

    def value(self, level=None):
        if level is None:
            return STATE["levels"].get(self.number, 1)
        SAID.append(["pin", self.number, level])
        return None

    def irq(self, handler, _edge):
        STATE["handlers"][self.number] = lambda: handler(self)


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
        STATE["connected"] = STATE["connected"] and on

    def isconnected(self):
        return STATE["connected"]

    def connect(self, ssid, password):
        SAID.append(["join", ssid, STATE["fed"]])
        if STATE["sick"]:
            raise OSError("Wifi Internal State Error")
        STATE["connected"] = ssid == "right"

    def disconnect(self):
        pass

    def status(self, _what):
        return -61


class Rtc:
    def memory(self, content=None):
        if content is None:
            return STATE["memory"]
        if len(content) > STATE["room"]:
            raise ValueError("buffer too long")
        STATE["memory"] = content
        return None


class Watchdog:
    def __init__(self, timeout):
        SAID.append(["watchdog", timeout])

    def feed(self):
        STATE["fed"] += 1
        STATE["fed_at"] = _now()


class Adc:
    ATTN_11DB = 3

    def __init__(self, _pin, atten=0):
        self._most = 3100000 if atten == self.ATTN_11DB else 950000

    def read_uv(self):
        if "adc_sick" in STATE["levels"]:
            raise OSError("ESP_ERR_TIMEOUT")
        return min(1450000, self._most)

    def read_u16(self):
        return STATE["levels"].get("adc", 30000)


def _now():
    return time.ticks_ms() + STATE["slept"]


def _passed(milliseconds):
    """Let time go by, and pins change; a watchdog that nobody fed meanwhile leaves an RP2040 that sleeps for dead."""
    STATE["slept"] += milliseconds
    later = STATE["later"]
    while later and later[0][0] <= STATE["slept"]:
        _, pin, level = later.pop(0)
        STATE["levels"][pin] = level
        if pin in STATE["handlers"]:
            STATE["handlers"][pin]()
    if _now() - STATE["fed_at"] > _WATCHDOG_MS:
        raise StoodStill


def _lightsleep(milliseconds):
    SAID.append(["lightsleep", milliseconds])
    _passed(milliseconds)


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
    machine.lightsleep = _lightsleep
    machine.wake_reason = lambda: STATE["reason"]
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
    elif STATE["chip"] == "c3":
        esp32.wake_on_gpio = lambda pins, level: SAID.append(["gpio", [pin.number for pin in pins], level])
    sys.modules.update({"machine": machine, "network": network, "esp32": esp32})
    if STATE["chip"] == "pico":
        del sys.modules["network"]


def _pico_time(board):
    """Give a board the time that goes on in its sleep."""
    board.time = Module()
    board.time.ticks_ms, board.time.ticks_diff, board.time.sleep_ms = _now, time.ticks_diff, _passed
    board.time.time_ns = lambda: (1000000 + _now()) * 1000000


def _life(case, root, wakes):
    """One life of the program on a battery, from power-up or out of sleep, until it sleeps for the last time."""
    from linli_app import board, program
    from linli_app.settings import check, load
    from linli_node.errors import ConfigError
    from linli_node.rests import rests_of

    board._JOIN_MS = case.get("join_ms", 100)
    is_pico = case["chip"] in ("rp2", "pico")
    board._ROOT, board._ESP32, board._RP2 = root, not is_pico, is_pico
    kind = {"c3": "esp32c3", "old": "esp32c3", "s3": "esp32s3"}.get(case["chip"], "rp2")
    if is_pico:
        _pico_time(board)
    try:
        config = check(root, kind) or load(root)
        made = board.Board(config)
        made.kind = kind
    except ConfigError as exc:
        return {"refused": str(exc)}
    made.say = lambda text: SAID.append(["say", text])
    rests, eras, pins = rests_of(made), [], []
    try:
        for _ in range(wakes):
            node = program.Node(config, made, rests)
            node.open()
            pins.append(list(made.woken_pins))
            asyncio.run(node.run())
            eras.append(node._clock.era)
    except Slept:
        pass
    return {
        "uid": made.uid,
        "woke": made.woke,
        "pins": pins[-1],
        "woken": pins,
        "state": {"epoch": node._log.epoch, "next_seq": node._log.next_seq},
        "eras": eras,
        "call": node.call,
        "millivolts": made.battery_mv(),
        "records": [json.loads(payload)[2] for _, _, payload in node._log.pending(0)],
        "status": json.loads(node._status()),
        "pulses": [sensor._counter.value for _, sensor in node.sensors if hasattr(sensor, "_counter")],
    }


def _counted(case):
    """How many pulses are in edges of a pin, each told with its time and the level that is found."""
    from linli_app import board

    now = [0]
    board.time = Module()
    board.time.ticks_ms, board.time.ticks_diff = lambda: now[0], time.ticks_diff
    edges = list(case["edges"])
    if edges[0][0] < 0:
        STATE["levels"][5] = edges.pop(0)[1]
    STATE["handlers"] = {}
    pulses, found = board.Pulses(Pin(5), case["debounce_ms"], 0), 0
    for at, level in edges:
        now[0], STATE["levels"][5] = at, level
        STATE["handlers"][5]()
        found += pulses.take()
    return found


def _held(case):
    """What becomes of what is held, one part after the other."""
    from linli_app.board import Memory

    STATE["memory"] = bytes(case["before"])
    told = []
    for name, size, letter in case["parts"]:
        had_room = Memory(name).set(letter.encode() * size)
        told.append([had_room, len(Memory(name).get())])
    left = {name: len(Memory(name).get()) for name, _, _ in case["parts"]}
    return {"told": told, "left": left, "size": len(STATE["memory"])}


def _begun(case):
    """Which network a board begins to join, with which address, an hour after its lease was over and before."""
    from linli_app import board

    board._ESP32 = True
    made, told = board.Board({"gateway": {}, "battery_pin": -1}), []
    for left in case["leases"]:
        lease = ["right", made.count() // 1000 + left, ["10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1"]]
        made.memory("lease").set(json.dumps(lease).encode())
        SAID.clear()
        made.begin(case["wifi"])
        told.append([entry[1] for entry in SAID if entry[0] in ("address", "join")])
    return told


def _reported(root, acked):
    """What is told at the cable of the log after its last life, the gateway having acknowledged so much in it."""
    import struct

    from linli_app import report
    from linli_app.board import Memory

    told = {}
    report.tell = lambda what, **said: told.setdefault(what, said)
    report.report(0, root)
    Memory("acked").set(struct.pack("<II", int(told["log"]["epoch"], 16), acked))
    told.clear()
    report.report(0, root)
    return told["log"]


def main(path):
    with open(path) as file:
        case = json.load(file)
    STATE["chip"] = case["chip"]
    STATE["sick"] = case.get("sick", False)
    STATE["absent"] = case.get("absent", ())
    # MICROPY_HW_RTC_USER_MEM_MAX of the port.
    STATE["room"] = case.get("room", 2048)
    _modules()
    if "edges" in case:
        print(json.dumps(_counted(case)))
        return
    STATE["cause"] = 1
    if "leases" in case:
        print(json.dumps(_begun(case)))
        return
    if "parts" in case:
        print(json.dumps(_held(case)))
        return
    lives = []
    for cause, levels, *reason in case["lives"]:
        STATE["reason"] = reason[0] if reason else 4
        STATE["cause"] = cause
        STATE["connected"] = False
        STATE["levels"] = {int(pin) if pin.isdigit() else pin: level for pin, level in levels.items()}
        STATE["handlers"] = {}
        STATE["later"] = list(case.get("later", ()))
        lives.append(_life(case, case["root"], case.get("wakes", 1)))
    from linli_app.board import Memory

    noted = [len(Memory("count" + str(pin)).get()) for pin in range(6)]
    told = {"lives": lives, "said": SAID, "fed": STATE.get("fed", 0), "noted": noted}
    if "acked" in case:
        told["log"] = _reported(case["root"], case["acked"])
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
