"""The node: what it does from one start to the next.

On mains it reads, acts and delivers all the time. On a battery it wakes, reads, delivers if something is due, and
sleeps; what it may spend awake is bounded. Either way a reading is in the log before anybody hears of it, and a sensor
that fails is told as a missing value, never as the last one.
"""

import asyncio
import json

from micropython import const

from linli_app import point
from linli_app.tasks import ended, within
from linli_node import forget
from linli_node.clock import Clock
from linli_node.errors import LinkError, NodeError, SensorError
from linli_node.ringlog import RingLog
from linli_node.saved import Saved

_READ_S = const(8)
"""Seconds a sensor may take."""
_LOOK_MS = const(20)
"""How often contacts and pulses are looked at."""
_LEAST_MS = const(1000)
_CALL_MS = const(10000)
"""Between two attempts to bring somebody's call to the gateway."""
_RETRY_S = const((1, 2, 5, 10, 30, 60, 120, 300))
"""Pauses between attempts to reach the gateway, each made longer by up to a half."""
_HEALTH_S = const(3600)
_GRAVE = const(("water_leak", "manhole_open"))
"""What is worth the end of a battery, once it is so: water that runs, a hole to fall into."""
_ANCHORS = const(24)
"""Times that the gateway's time is only noted, on a battery, before it is written to flash."""


class Node:
    """One node.

    Args:
        config: Its configuration, checked.
        board: What it runs on.
        rests: What a node on a battery noted of the times awake before this one, where that was read already.
        sensors: As below, where they were made already.

    Attributes:
        uplink: Its way to the gateway.
        sensors: Each with its table of the configuration.
        call: The button's call under way, by the number of its first record; 0: none. It outlasts sleep and power cuts.
        urgent: Whether something has happened that cannot wait for the next delivery.
        grave: Whether it is of those worth the end of a battery.
        failing: A bit for each sensor that failed the last time.
        states: A bit for each sensor whose state was yes the last time.
        reason: Why a sensor failed last; it is there, and takes heap, only after one did.
        has_other_way: Whether nobody answered its shared key at the last attempt: the next one shows its certificate.
        ended: Set to stop it.
    """

    def __init__(self, config, board, rests=None, sensors=None):
        self._config = config
        self._board = board
        on_battery = config["power"] == "battery"
        self._log = RingLog(
            board.flash("log", *board.log_size), board.random32, board.memory("acked") if on_battery else None
        )
        anchors = Saved(board.flash("clock", 2, 4096))
        if on_battery:
            from linli_node.noted import Noted  # noqa: PLC0415 - only there

            anchors = Noted(anchors, board.memory("clock"), _ANCHORS)
        self._clock = Clock(board.count, anchors)
        self._kept = Saved(board.flash("starts", 2, 4096))
        self.sensors = sensors
        self._actions = []
        self.uplink = None
        self._updates = None
        # Number of the update that was taken last, of the one that runs, the slot on trial.
        self._programs = None
        self._starts = 0
        self.call = 0
        self._calls = None
        self._called_at = 0
        self._health_at = None
        self._rests = rests
        self.urgent = self.grave = False
        self.failing = self.states = 0
        self.sessions = 0
        self.has_other_way = False
        self.ended = False

    def open(self):
        """Take up what is on flash, and the sensors and actions that the configuration names."""
        from linli_app.opening import made, take_up  # noqa: PLC0415 - what only a start needs is let go after it

        board, config = self._board, self._config
        self._log.open()
        self._clock.open(goes_on=board.goes_on)
        self._starts, self.call, self._calls, self._actions = take_up(config, board, self._kept)
        if self.sensors is None:
            self.sensors = made(config["sensors"], board)
        forget("linli_app.opening")
        self._called_at = board.count()
        if not board.woke:
            self._starts += 1
            self._keep_counts()

    def _keep_counts(self):
        try:
            self._kept.save((str(self._starts) + " " + str(self.call)).encode())
        except NodeError as exc:
            self._board.say("starts and call cannot be kept: " + str(exc))

    def _status(self):
        from linli_app.greeting import programs, status  # noqa: PLC0415 - let go by who sends it

        if self._programs is None:
            self._programs = programs(self._board.root, proven=False)
        unmade = len(self._config["actions"]) - len(self._actions)
        told = {"rests": self._rests, "known": self._programs, "starts": self._starts, "unmade": unmade}
        return status(self, self._config, self._board, self._log, **told)

    def _heard_of(self):
        """The gateway has answered: this program can be reached, and may stay."""
        self.sessions += 1
        if self._programs[2] is not None:
            from linli_app.greeting import programs  # noqa: PLC0415 - once after an update

            self._programs = programs(self._board.root, proven=True)
            forget("linli_app.greeting")

    def _want(self, wanted):
        self.uplink.say("wants", json.dumps(wanted).encode())

    async def _read(self, config, sensor):
        """Return a sensor's records; missing values where it fails."""
        if self.call and self._calls.is_button(config):
            # A press is a call until somebody confirms it, however short it was.
            return [(point(config, config["quantity"]), "", True, "")]
        try:
            found = await within(_READ_S, sensor.read())
        except (asyncio.TimeoutError, SensorError, OSError) as exc:
            # OSError: a short on the bus, where the port itself gives up.
            self.reason = exc
            reason = getattr(exc, "reason", "no_communication")
        else:
            return [(point(config, quantity), unit, value, "") for quantity, unit, value in found]
        return [(point(config, quantity), "", None, "bad/" + reason) for quantity in sensor.quantities]

    def _act(self, records):
        count = self._board.count()
        for name, _, value, _ in records:
            for action in self._actions:
                if action.when == name and action.update(value, count):
                    self.urgent = True

    def _keep(self, records):
        """Write records to the log, as of now; those of a call name it."""
        era, count = self._clock.stamp()
        kept = [era, count, records, self.call] if self.call else [era, count, records]
        try:
            self._log.append(json.dumps(kept).encode())
        except NodeError as exc:
            # The flash is at its end: what can still be done by itself is done.
            self._board.say("the log cannot be written: " + str(exc))
        if self.uplink is not None:
            self.uplink.wake()

    async def sample(self, *, health=True):
        """Read every sensor once, act, and log; with it how the node fares, unless that was told within the hour."""
        records, failing, states, told = [], 0, 0, []
        count = self._board.count()
        if health and (self._health_at is None or count - self._health_at >= _HEALTH_S * 1000):
            # First, while a probe converts: nothing waits for it then.
            self._health_at = count
            told = self._health()
        for place, (config, sensor) in enumerate(self.sensors):
            found = await self._read(config, sensor)
            if self._rests is None and found[0][3].startswith("bad"):
                from linli_app.sensors.again import again  # noqa: PLC0415 - only where one fails

                found = await again(self, place, self._board, self._read) or found
            failing |= found[0][3].startswith("bad") << place
            # What is missing is as it was.
            states |= self.states & 1 << place if found[0][2] is None else (found[0][2] is True) << place
            if states & ~self.states & 1 << place and sensor.quantities[0] in _GRAVE:
                self.grave = True
            records += found
            self._board.feed()
        # One that fails, or answers again, is news, and so is a rope that got wet: no pin wakes a board for it.
        self.urgent = self.urgent or failing != self.failing or states != self.states
        self.failing, self.states = failing, states
        self._act(records)
        self._keep(records + told)

    def _health(self):
        from linli_app import health  # noqa: PLC0415 - once an hour

        low = None if self._rests is None else self._rests.low
        found = health.records(self._board, self._starts, self._log.backlog, low)
        forget("linli_app.health")
        return found

    async def look(self):
        """Look at contacts and pulses once, act, and log what changed; tell whether anything did."""
        count, changed, calls, pressed = self._board.count(), [], self._calls, False
        for config, sensor in self.sensors:
            poll = getattr(sensor, "poll", None)
            if poll is None:
                continue
            moved = poll(count)
            if calls is not None and not self.call and calls.is_pressed(self._board, config, sensor):
                pressed = True
            elif moved:
                changed += await self._read(config, sensor)
        if pressed:
            self._note_call(self._log.next_seq)
        if pressed or (self.call and calls.is_again(count - self._called_at)):
            self._called_at = count
            changed += calls.said(self._config["sensors"], point, True)
        if changed:
            self.urgent = True
            self._act(changed)
            self._keep(changed)
        for action in self._actions:
            action.tick(count)
        return bool(changed)

    def _note_call(self, call):
        # Kept before its first record is: whatever is cut off between the two, the call goes on.
        self.call = call
        self._keep_counts()

    def _take(self, channel, payload):
        if channel == "update":
            self._update(payload)
        elif channel == "confirm" and self.call and self._calls.confirms(payload, self._log.epoch, self.call):
            self._note_call(0)
            quiet = self._calls.said(self._config["sensors"], point, False)
            self._act(quiet)
            self._keep(quiet)
            for action in self._actions:
                action.confirm(self._board.count())
            self._board.confirmed()

    def _update(self, payload):
        """Take what is said of a new program; what that needs is loaded for it, and let go after it."""
        if self._updates is None:
            from linli_app.updates import Updates  # noqa: PLC0415 - needed once in months

            board = self._board
            self._updates = Updates(
                board.root, board.update_key, board.kind, feed=board.feed, ask=self._want, done=board.restart
            )
        self._updates.take(payload)
        if not self._updates.busy:
            self._updates = None
            forget("linli_app.updates")

    async def run(self):
        """Run until told to stop (``ended``), or, on a battery, until it is time to sleep."""
        if self._config["power"] == "battery":
            from linli_app import battery  # noqa: PLC0415 - only there

            if self._rests is None:
                from linli_node.rests import rests_of  # noqa: PLC0415

                self._rests = rests_of(self._board)
            await battery.wake(self, self._board, self._config, self._rests)
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
        failures = 0
        while True:
            before, self.urgent = self.sessions, False
            try:
                await self.deliver(lambda: False)
            except LinkError as exc:
                self._board.say(str(exc))
            failures = 0 if self.sessions > before else failures + 1
            pause = _RETRY_S[min(failures, len(_RETRY_S) - 1)] * 1000
            await self._pause(pause + self._board.random32() % (pause // 2))

    async def _pause(self, pause):
        """Wait before the next attempt; what cannot wait cuts that short, and so does a call, again and again."""
        began, passed = self._board.count(), 0
        while passed < pause:
            if (self.urgent and passed >= _LEAST_MS) or (self.call and passed >= _CALL_MS):
                return
            await asyncio.sleep_ms(_LOOK_MS)
            passed = self._board.count() - began

    async def deliver(self, until_empty):
        """Join the network and deliver the log; return once ``until_empty()`` says so, and nothing is left.

        Raises:
            LinkError: The gateway cannot be reached.
        """
        if self.uplink is None:
            from linli_app.uplink import Uplink  # noqa: PLC0415 - not for a time awake that only reads

            self.uplink = Uplink(
                self._config,
                self._board,
                self._log,
                self._clock,
                status=self._status,
                take=self._take,
                heard=self._heard_of,
            )
        said = self.uplink.prepare()
        await self._board.connect(self._config["wifi"])
        before = self.sessions
        try:
            await self.uplink.session(said, until_empty=lambda: self._updates is None and until_empty())
        finally:
            # However it ended: by time, too.
            if self.sessions == before:
                self.has_other_way = self._board.unheard()
