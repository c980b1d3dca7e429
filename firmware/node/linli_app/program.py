"""The node: what it does from one start to the next.

On mains it reads, acts and delivers all the time. On a battery it wakes, reads, delivers if something is due, and
sleeps; what it may spend awake is bounded. Either way a reading is in the log before anybody hears of it, and a sensor
that fails is told as a missing value, never as the last one.
"""

import asyncio
import json

from micropython import const

from linli_app.actions import Action
from linli_app.tasks import within
from linli_app.uplink import Uplink
from linli_node.clock import Clock
from linli_node.errors import NodeError, SensorError
from linli_node.forget import forget
from linli_node.ringlog import RingLog
from linli_node.saved import Saved

_READ_S = const(8)
"""Seconds a sensor may take."""
_HEALTH_S = const(3600)


class Node:
    """One node.

    Args:
        config: Its configuration, checked.
        board: What it runs on.
        rests: What a node on a battery noted of the times awake before this one, where that was read already.

    Attributes:
        uplink: Its way to the gateway.
        sensors: Each with its table of the configuration.
        call: The button's call under way, by the number of its first record; 0: none. It outlasts sleep and power cuts.
        urgent: Whether something has happened that cannot wait for the next delivery.
        failing: A bit for each sensor that failed the last time.
        ended: Set to stop it.
    """

    def __init__(self, config, board, rests=None):
        self._config = config
        self._board = board
        self._log = RingLog(board.flash("log", *board.log_size), board.random32)
        self._clock = Clock(board.count, Saved(board.flash("clock", 2, 4096)))
        self._kept = Saved(board.flash("starts", 2, 4096))
        self.sensors = []
        self._actions = []
        self.uplink = Uplink(
            config, board, self._log, self._clock, told=self._told, take=self._take, heard=self._heard_of
        )
        self._updates = None
        # Number of the update that was taken last, of the one that runs, the slot on trial.
        self._programs = (0, 0, None)
        self._starts = 0
        self.call = 0
        self._calls = None
        self._called_at = 0
        self._health_at = None
        self._rests = rests
        self.urgent = False
        self.failing = 0
        self.ended = False

    def open(self):
        """Take up what is on flash, and the sensors and actions that the configuration names."""
        board = self._board
        self._log.open()
        self._clock.open(goes_on=board.goes_on)
        kept = (self._kept.load() or b"0").split()
        self._starts = int(kept[0])
        self.call = int(kept[1]) if len(kept) > 1 else 0
        if not board.woke:
            self._starts += 1
            self._keep_counts()
        tables, named = self._config["sensors"], []
        if any(table["kind"] == "button" for table in tables):
            from linli_app import calls  # noqa: PLC0415 - only where there is a button

            self._calls, self._called_at = calls, board.count()
            named = [name for name, _, _, _ in calls.said(tables, self._point, True)]
        else:
            self.call = 0  # its button was taken away
        self._actions = [Action(config, board, calls=config["when"] in named) for config in self._config["actions"]]
        from linli_app.sensors import make  # noqa: PLC0415 - what only a start needs is let go after it
        from linli_node.slots import Slots  # noqa: PLC0415

        self.sensors = [(config, make(config, board)) for config in tables]
        self._programs = Slots(board.root).told()
        del make, Slots
        forget("linli_app.sensors")
        forget("linli_node.slots")

    def _keep_counts(self):
        try:
            self._kept.save((str(self._starts) + " " + str(self.call)).encode())
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
            "interval": config["interval"] * (config["deliver_every"] if config["power"] == "battery" else 1),
            "reads": config["interval"],
            "revision": config["revision"],
            "reset": board.reset_cause,
            "starts": self._starts,
            "call": self.call,
            "points": [
                self._point(config, quantity) for config, sensor in self.sensors for quantity in sensor.quantities
            ],
            "overruns": self._rests.overruns if self._rests is not None else 0,
            "low": self._rests is not None and self._rests.low,
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
        self.uplink.say("wants", json.dumps(wanted).encode())

    def _point(self, config, quantity):
        return quantity if config["channel"] < 0 else quantity + ".c" + str(config["channel"])

    async def _read(self, config, sensor):
        """Return a sensor's records; missing values where it fails."""
        if self.call and self._calls.is_button(config):
            # A press is a call until somebody confirms it, however short it was.
            return [(self._point(config, config["quantity"]), "", True, "")]
        try:
            found = await within(_READ_S, sensor.read())
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
        self.uplink.wake()

    async def sample(self, *, health=True):
        """Read every sensor once, act, and log; with it how the node fares, unless that was told within the hour."""
        records, failing = [], 0
        for place, (config, sensor) in enumerate(self.sensors):
            found = await self._read(config, sensor)
            failing |= found[0][3].startswith("bad") << place
            records += found
            self._board.feed()
        # One that fails, or answers again, is news.
        self.urgent = self.urgent or failing != self.failing
        self.failing = failing
        self._act(records)
        count = self._board.count()
        if health and (self._health_at is None or count - self._health_at >= _HEALTH_S * 1000):
            self._health_at = count
            records += self._health()
        self._keep(records)

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
            changed += calls.said(self._config["sensors"], self._point, True)
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
            quiet = self._calls.said(self._config["sensors"], self._point, False)
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
            self._updates = Updates(board.root, board.update_key, board.kind, ask=self._want, done=board.restart)
        self._updates.take(payload)
        if not self._updates.busy:
            self._updates = None
            forget("linli_app.updates")

    async def run(self):
        """Run until told to stop (``ended``), or, on a battery, until it is time to sleep."""
        if self._config["power"] == "battery":
            from linli_app import battery  # noqa: PLC0415 - one of the two ways to live

            if self._rests is None:
                self._rests = battery.rests_of(self._board)
            await battery.wake(self, self._board, self._config, self._rests)
            return
        from linli_app import mains  # noqa: PLC0415

        await mains.live(self, self._board, self._config)

    async def deliver(self, until_empty):
        """Join the network and deliver the log; return once ``until_empty()`` says so, and nothing is left.

        Raises:
            LinkError: The gateway cannot be reached.
        """
        await self._board.connect(self._config["wifi"])
        await self.uplink.session(until_empty=lambda: self._updates is None and until_empty())
