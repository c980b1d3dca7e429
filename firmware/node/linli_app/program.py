"""The node: what it does from one start to the next.

On mains it reads, acts and delivers all the time. On a battery it wakes, reads, delivers if something is due, and
sleeps; what it may spend awake is bounded. Either way a reading is in the log before anybody hears of it, and a sensor
that fails is told as a missing value, never as the last one.
"""

import asyncio
import gc
import json

from linli_app.actions import Action
from linli_app.sensors import make
from linli_app.updates import Updates
from linli_app.uplink import Uplink, ended
from linli_node.clock import Clock
from linli_node.errors import LinkError, NodeError, SensorError
from linli_node.ringlog import RingLog
from linli_node.saved import Saved

READ_S = 8
"""Seconds a sensor may take."""
LOOK_MS = 20
"""How often contacts and pulses are looked at."""
CALL_S = 10
"""A call of the button is repeated so often until somebody confirms it."""
AWAKE_S = 20
"""What a node on a battery may spend awake, whatever happens."""
HEALTH_S = 3600
LOW_MV = 2200
"""Two cells below this break down when the radio speaks: then only the log is written."""
RETRY_S = (1, 2, 5, 10, 30, 60, 120, 300)
"""Pauses between attempts to reach the gateway, each made longer by up to a half."""


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
        self._restarts = Saved(board.flash("starts", 2, 4096))
        self._sensors = []
        self._actions = []
        self._uplink = Uplink(
            config, board, self._log, self._clock, told=self._told, take=self._take, heard=self._heard_of
        )
        self._updates = Updates(board.slots, board.update_key, board.kind, ask=self._want, done=board.restart)
        self._starts = 0
        self._called_at = None
        self._noted_call = board.memory("call")
        self._health_at = None
        self._failures = 0
        self.ended = False

    def open(self):
        """Take up what is on flash, and the sensors and actions that the configuration names."""
        board = self._board
        self._log.open()
        self._clock.open(goes_on=board.goes_on)
        self._starts = int(self._restarts.load() or b"0")
        if not board.woke:
            self._starts += 1
            self._restarts.save(str(self._starts).encode())
        if board.woke and self._noted_call is not None and bytes(self._noted_call.get()) == b"called":
            self._called_at = board.count()
        self._actions = [Action(config, board) for config in self._config["actions"]]
        self._sensors = [(config, make(config, board)) for config in self._config["sensors"]]

    def state(self):
        """Return where the log stands, for whoever looks on."""
        log = self._log
        return {"epoch": log.epoch, "next_seq": log.next_seq, "acked": log.acked, "backlog": log.backlog}

    def _told(self):
        told = self._updates.told()
        told["interval"] = self._config["interval"]
        told["revision"] = self._config["revision"]
        told["reset"] = self._board.reset_cause
        told["starts"] = self._starts
        return told

    def _heard_of(self):
        """The gateway has answered: this program can be reached, and may stay."""
        self._updates.proven()

    def _want(self, wanted):
        self._uplink.say("wants", json.dumps(wanted).encode())

    def _point(self, config, quantity):
        return quantity if config["channel"] < 0 else quantity + ".c" + str(config["channel"])

    async def _read(self, config, sensor):
        """Return a sensor's records; missing values where it fails."""
        try:
            found = await asyncio.wait_for(sensor.read(), READ_S)
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
        """Write records to the log, as of now."""
        era, count = self._clock.stamp()
        try:
            self._log.append(json.dumps([era, count, records]).encode())
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
        if self._health_at is None or count - self._health_at >= HEALTH_S * 1000:
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
        count, changed = self._board.count(), []
        for config, sensor in self._sensors:
            poll = getattr(sensor, "poll", None)
            if poll is None:
                continue
            if poll(count):
                changed += await self._read(config, sensor)
            if config["kind"] == "button" and self._called_at is None and self._pressed(config, sensor):
                self._called(count)
                changed += self._call()
        if self._called_at is not None:
            # A press is a call until somebody confirms it, however short it was.
            changed = [record for record in changed if not record[0].startswith("emergency_button") or record[2]]
            if count - self._called_at >= CALL_S * 1000:
                self._called_at = count
                changed += self._call()
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

    def _called(self, count):
        self._called_at = count
        if self._noted_call is not None:
            self._noted_call.set(b"" if count is None else b"called")

    def _call(self):
        buttons = [config for config, _ in self._sensors if config["kind"] == "button"]
        return [(self._point(config, config["quantity"]), "", True, "") for config in buttons]

    def _take(self, channel, payload):
        if channel == "confirm" and self._called_at is not None:
            self._called(None)
            quiet = [(name, unit, False, quality) for name, unit, _, quality in self._call()]
            self._act(quiet)
            self._keep(quiet)
            self._board.confirmed()
        elif channel == "update":
            self._updates.take(payload)

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
                await asyncio.sleep_ms(LOOK_MS)
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
            pause = RETRY_S[min(self._failures, len(RETRY_S) - 1)] * 1000
            await asyncio.sleep_ms(pause + self._board.random32() % (pause // 2))

    async def _wake(self):
        """One time awake: read, deliver, and say how long to sleep."""
        board, started = self._board, self._board.count()
        await self.look()
        await self.sample()
        millivolts = board.battery_mv()
        is_low = millivolts is not None and millivolts < LOW_MV
        if not is_low:
            left = AWAKE_S - (board.count() - started) / 1000
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
        pause = CALL_S if self._called_at is not None else self._config["interval"]
        board.sleep(max(1000, pause * 1000 - (board.count() - started)), wakes)

    async def _deliver_once(self):
        await self._board.connect(self._config["wifi"])
        await self._uplink.session(until_empty=lambda: not self._updates.busy)
