"""The node: what it does from one start to the next.

On mains it reads, acts and delivers all the time. On a battery it wakes, reads, delivers if something is due, and
sleeps; what it may spend awake is bounded. Either way a reading is in the log before anybody hears of it, and a sensor
that fails is told as a missing value, never as the last one.
"""

import asyncio
import gc
import json

from micropython import const

from linli_app.actions import Action
from linli_app.uplink import Uplink, ended
from linli_node.clock import Clock
from linli_node.errors import LinkError, NodeError, SensorError
from linli_node.forget import forget
from linli_node.ringlog import RingLog
from linli_node.saved import Saved

_READ_S = const(8)
"""Seconds a sensor may take."""
_LOOK_MS = const(20)
"""How often contacts and pulses are looked at."""
_CALL_S = const(10)
"""A call of the button is repeated so often until somebody confirms it."""
_AWAKE_S = const(20)
"""What a node on a battery may spend awake, whatever happens."""
_HEALTH_S = const(3600)
_LOW_MV = const(2200)
"""Two cells below this break down when the radio speaks: then only the log is written."""
_RETRY_S = const((1, 2, 5, 10, 30, 60, 120, 300))
"""Pauses between attempts to reach the gateway, each made longer by up to a half."""


def _calls(config):
    """Tell whether a sensor is a button whose press is a call."""
    return config["kind"] == "button" and config["quantity"] == "emergency_button"


class Node:
    """One node.

    Args:
        config: Its configuration, checked.
        board: What it runs on.
    """

    def __init__(self, config, board):
        self._config = config
        self._board = board
        self._log = RingLog(board.flash("log", *board.log_size), board.random32)
        self._clock = Clock(board.count, Saved(board.flash("clock", 2, 4096)))
        self._kept = Saved(board.flash("starts", 2, 4096))
        self._sensors = []
        self._actions = []
        self._uplink = Uplink(
            config, board, self._log, self._clock, told=self._told, take=self._take, heard=self._heard_of
        )
        self._updates = None
        # Number of the update that was taken last, of the one that runs, the slot on trial.
        self._programs = (0, 0, None)
        self._starts = 0
        # The call under way, by the number of its first record; 0: none. It outlasts sleep and power cuts.
        self._call = 0
        self._called_at = 0
        self._health_at = None
        self._failures = 0
        self.ended = False

    def open(self):
        """Take up what is on flash, and the sensors and actions that the configuration names."""
        board = self._board
        self._log.open()
        self._clock.open(goes_on=board.goes_on)
        kept = (self._kept.load() or b"0").split()
        self._starts = int(kept[0])
        self._call = int(kept[1]) if len(kept) > 1 else 0
        if not board.woke:
            self._starts += 1
            self._keep_counts()
        self._called_at = board.count()
        calls = [name for name, _, _, _ in self._said(True)]
        self._actions = [Action(config, board, calls=config["when"] in calls) for config in self._config["actions"]]
        from linli_app.sensors import make  # noqa: PLC0415 - what only a start needs is let go after it
        from linli_node.slots import Slots  # noqa: PLC0415

        self._sensors = [(config, make(config, board)) for config in self._config["sensors"]]
        self._programs = Slots(board.root).told()
        del make, Slots
        forget("linli_app.sensors")
        forget("linli_node.slots")

    def _keep_counts(self):
        try:
            self._kept.save((str(self._starts) + " " + str(self._call)).encode())
        except NodeError as exc:
            self._board.say("starts and call cannot be kept: " + str(exc))

    def state(self):
        """Return where the log stands, for whoever looks on."""
        log = self._log
        return {"epoch": log.epoch, "next_seq": log.next_seq, "acked": log.acked, "backlog": log.backlog}

    def _told(self):
        board, config = self._board, self._config
        number, running, trial = self._programs
        return {
            "kind": board.kind,
            "number": number,
            "running": running,
            "trial": trial,
            "interval": config["interval"],
            "revision": config["revision"],
            "reset": board.reset_cause,
            "starts": self._starts,
            "call": self._call,
            "points": [
                self._point(config, quantity) for config, sensor in self._sensors for quantity in sensor.quantities
            ],
        }

    def _heard_of(self):
        """The gateway has answered: this program can be reached, and may stay."""
        if self._programs[2] is None:
            return
        from linli_node.slots import Slots  # noqa: PLC0415

        slots = Slots(self._board.root)
        slots.proven()
        self._programs = slots.told()
        forget("linli_node.slots")

    def _want(self, wanted):
        self._uplink.say("wants", json.dumps(wanted).encode())

    def _point(self, config, quantity):
        return quantity if config["channel"] < 0 else quantity + ".c" + str(config["channel"])

    async def _read(self, config, sensor):
        """Return a sensor's records; missing values where it fails."""
        if self._call and _calls(config):
            # A press is a call until somebody confirms it, however short it was.
            return [(self._point(config, config["quantity"]), "", True, "")]
        try:
            found = await asyncio.wait_for(sensor.read(), _READ_S)
        except asyncio.TimeoutError:
            reason = "no_communication"
        except SensorError as exc:
            reason = exc.reason
        except OSError:
            # A short on the bus: the port itself gives up.
            reason = "no_communication"
        else:
            return [(self._point(config, quantity), unit, value, "") for quantity, unit, value in found]
        return [(self._point(config, quantity), "", None, "bad/" + reason) for quantity in sensor.quantities]

    def _act(self, records):
        count = self._board.count()
        for name, _, value, _ in records:
            for action in self._actions:
                if action.when == name:
                    action.update(value, count)

    def _keep(self, records):
        """Write records to the log, as of now; those of a call name it."""
        era, count = self._clock.stamp()
        kept = [era, count, records, self._call] if self._call else [era, count, records]
        try:
            self._log.append(json.dumps(kept).encode())
        except NodeError as exc:
            # The flash is at its end: what can still be done by itself is done.
            self._board.say("the log cannot be written: " + str(exc))
        self._uplink.wake()

    async def sample(self):
        """Read every sensor once, act, and log."""
        records = []
        for config, sensor in self._sensors:
            records += await self._read(config, sensor)
            self._board.feed()
        self._act(records)
        count = self._board.count()
        if self._health_at is None or count - self._health_at >= _HEALTH_S * 1000:
            self._health_at = count
            records += self._health()
        self._keep(records)

    def _health(self):
        board = self._board
        gc.collect()
        records = [
            ("restarts", "count", self._starts, ""),
            ("heap_free", "B", gc.mem_free(), ""),
            ("backlog", "count", self._log.backlog, ""),
        ]
        millivolts, strength = board.battery_mv(), board.signal()
        if millivolts is not None:
            records.append(("battery_voltage", "V", (millivolts, 3), ""))
        if strength is not None:
            records.append(("signal_strength", "dBm", strength, ""))
        return records

    async def look(self):
        """Look at contacts and pulses once, act, and log what changed; tell whether anything did."""
        count, changed, pressed = self._board.count(), [], False
        for config, sensor in self._sensors:
            poll = getattr(sensor, "poll", None)
            if poll is None:
                continue
            moved = poll(count)
            if not self._call and _calls(config) and self._pressed(config, sensor):
                pressed = True
            elif moved:
                changed += await self._read(config, sensor)
        if pressed:
            self._note_call(self._log.next_seq)
        if pressed or (self._call and count - self._called_at >= _CALL_S * 1000):
            self._called_at = count
            changed += self._said(True)
        if changed:
            self._act(changed)
            self._keep(changed)
        for action in self._actions:
            action.tick(count)
        return bool(changed)

    def _pressed(self, config, sensor):
        """Tell whether a button is pressed, or was when it woke the board: nobody holds it until then."""
        if config["pin"] in self._board.woken_pins:
            self._board.woken_pins = ()
            return True
        return sensor.state

    def _note_call(self, call):
        # Kept before its first record is: whatever is cut off between the two, the call goes on.
        self._call = call
        self._keep_counts()

    def _said(self, called):
        """Return what the buttons say."""
        buttons = [config for config in self._config["sensors"] if _calls(config)]
        return [(self._point(config, config["quantity"]), "", called, "") for config in buttons]

    def _take(self, channel, payload):
        if channel == "update":
            self._update(payload)
        elif channel == "confirm" and self._is_of_this_call(payload):
            self._note_call(0)
            quiet = self._said(False)
            self._act(quiet)
            self._keep(quiet)
            for action in self._actions:
                action.confirm(self._board.count())
            self._board.confirmed()

    def _is_of_this_call(self, payload):
        """Tell whether a confirmation names the call under way: one of an earlier call must not silence it."""
        try:
            told = json.loads(payload)
            return bool(self._call) and (told["epoch"], told["call"]) == (self._log.epoch, self._call)
        except (ValueError, KeyError, TypeError):
            return False

    def _update(self, payload):
        """Take what is said of a new program; what that needs is loaded for it, and let go after it."""
        if self._updates is None:
            from linli_app.updates import Updates  # noqa: PLC0415 - needed once in months

            board = self._board
            self._updates = Updates(board.root, board.update_key, board.kind, ask=self._want, done=board.restart)
        self._updates.take(payload)
        if not self._updates.busy:
            self._updates = None
            forget("linli_app.updates")

    async def run(self):
        """Run until told to stop (``ended``), or, on a battery, until it is time to sleep."""
        if self._config["power"] == "battery":
            await self._wake()
            return
        tasks = [asyncio.create_task(self._sampling()), asyncio.create_task(self._delivering())]
        try:
            while not self.ended:
                await self.look()
                for task in tasks:
                    if task.done():
                        await task  # a fault of the program: the watchdog is not needed to notice it
                self._board.feed()
                await asyncio.sleep_ms(_LOOK_MS)
        finally:
            for task in tasks:
                await ended(task)

    async def _sampling(self):
        while True:
            started = self._board.count()
            await self.sample()
            await asyncio.sleep_ms(max(0, self._config["interval"] * 1000 - (self._board.count() - started)))

    async def _delivering(self):
        while True:
            before = self._uplink.sessions
            try:
                await self._board.connect(self._config["wifi"])
                await self._uplink.session(until_empty=lambda: False)
            except LinkError as exc:
                self._board.say(str(exc))
            self._failures = 0 if self._uplink.sessions > before else self._failures + 1
            pause = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)] * 1000
            await asyncio.sleep_ms(pause + self._board.random32() % (pause // 2))

    async def _wake(self):
        """One time awake: read, deliver, and say how long to sleep."""
        board, started = self._board, self._board.count()
        await self.look()
        await self.sample()
        millivolts = board.battery_mv()
        is_low = millivolts is not None and millivolts < _LOW_MV
        if not is_low:
            left = _AWAKE_S - (board.count() - started) / 1000
            try:
                await asyncio.wait_for(self._deliver_once(), max(1, left))
            except (LinkError, asyncio.TimeoutError) as exc:
                board.say(str(exc) or "no time left to deliver")
        if is_low:
            for _, sensor in self._sensors:
                if hasattr(sensor, "keep"):
                    sensor.keep()
        # What changed meanwhile wakes the board again at once.
        wakes = [sensor.wakes() for _, sensor in self._sensors if hasattr(sensor, "wakes")]
        pause = _CALL_S if self._call else self._config["interval"]
        board.sleep(max(1000, pause * 1000 - (board.count() - started)), wakes)

    async def _deliver_once(self):
        await self._board.connect(self._config["wifi"])
        await self._uplink.session(until_empty=lambda: self._updates is None)
