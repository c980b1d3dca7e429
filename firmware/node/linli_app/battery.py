"""One time awake of a node on a battery: read, act, log; speak if that is due or cannot wait; sleep.

Loaded only where there is a battery. What a time awake may take is bounded: what is not done by then is ended, and
counted.
"""

import asyncio

from micropython import const

from linli_app.tasks import begun, ended, outcome, within
from linli_node.errors import LinkError
from linli_node.rests import is_news

_AWAKE_S = const(20)
"""What a node on a battery may spend awake, whatever happens."""
_FEED_MS = const(250)
_INSISTS = const(96)
"""Attempts in vain until what is grave is tried no more often than the rest: a day of them, at 900 s."""


async def wake(node, board, config, rests, most_s=_AWAKE_S):
    """Be awake once, for so long at most, and sleep."""
    started = board.count()
    left = rests.next_s * 1000 - started
    if 0 < left <= config["interval"] * 1000 * rests.rarely and _counts_only(node, board):
        # A pulse is no reading: it is counted, and that is all.
        board.sleep(left, _wakes(node))
        return
    if not rests.weighed:
        rests.weigh(board.battery_mv())
    # A Pico W goes on with the same ones.
    rests.weighed = False
    rests.call(is_on=bool(node.call))
    awake = _Awake(node, board, config, rests)
    # What it waits for (a network, a broker) may take longer than a watchdog.
    feeding = asyncio.create_task(_fed(board))
    try:
        await within(most_s, awake.live())
    except asyncio.TimeoutError:
        rests.overruns += 1
        board.say("awake for more than " + str(most_s) + " s: what is not done is ended")
        if awake.speaking is not None:
            rests.failed()
    finally:
        feeding.cancel()
    pause, least = config["interval"] * 1000 * rests.rarely, 1000
    if rests.low:
        _keep_counts(node)
    # The last word of this time awake: a press while it lasted, or a confirmation.
    rests.call(is_on=bool(node.call))
    if node.call:
        pause = min(pause, rests.called() * 1000)
    rests.next_s = (started + pause) // 1000
    rests.keep()
    board.sleep(max(least, pause - (board.count() - started)), _wakes(node))


async def _fed(board):
    while True:
        board.feed()
        await asyncio.sleep_ms(_FEED_MS)


def _counts_only(node, board):
    """Note pulses, and tell whether they are all that woke the board."""
    for config, sensor in node.sensors:
        if config["kind"] == "pulse":
            sensor.poll(0)
    return bool(board.woken_pins) and not _is_news(node, board)


def _is_news(node, board):
    """Tell whether a pin woke the board for something else than a pulse."""
    return is_news([table for table, _ in node.sensors], board.woken_pins)


def _keep_counts(node):
    """Write down what is counted: the supply falls."""
    for _, sensor in node.sensors:
        if hasattr(sensor, "keep"):
            sensor.keep()


def _wakes(node):
    """Return pins and levels that wake a sleeping board, news first: what changed meanwhile wakes it again at once."""
    waking = [sensor for _, sensor in node.sensors if hasattr(sensor, "wakes")]
    over = [sensor for sensor in waking if getattr(sensor, "state", False)]
    return [sensor.wakes() for sensor in waking if sensor not in over] + [sensor.wakes() for sensor in over]


class _Awake:
    """One time awake."""

    def __init__(self, node, board, config, rests):
        self._node = node
        self._board = board
        self._every = config["deliver_every"]
        self._rests = rests
        self._is_read = self._is_told = False
        self._spoken = []
        self.speaking = None

    async def live(self):
        """Read, act, log, and speak."""
        node, rests = self._node, self._rests
        # What takes a while to measure begins to, if it has not, and the radio with it: they wait at the same time.
        longest = max([sensor.begin() for _, sensor in node.sensors if hasattr(sensor, "begin")] or [0])
        # What woke it by a pin is news, and so is a board that was switched on.
        due = rests.speaks(urgent=not self._board.woke or _is_news(node, self._board))
        if due:
            self._begin_to_speak()
        elif longest and not any(config["kind"] in ("pulse", "button") for config, _ in node.sensors):
            # Nothing else is to be done meanwhile; a chip that dozes counts no pulse, and misses a short press.
            self._board.doze(longest)
        states = rests.states
        try:
            node.failing, node.states = rests.failing, states
            await node.look()
            rests.call(is_on=bool(node.call))
            await node.sample(health=due)
            rests.failing, rests.states = node.failing, node.states
            self._is_read = True
            if self.speaking is None and rests.speaks(urgent=node.urgent, grave=node.grave):
                self._begin_to_speak()
            if self.speaking is None:
                rests.kept_still()
                return
            await self._spoke()
            rests.spoke(self._every)
            self._is_told = True
        except LinkError as exc:
            rests.failed()
            self._board.say(str(exc))
        finally:
            if node.grave and not self._is_told and rests.failures < _INSISTS:
                # It stays news: the next time awake tries again.
                rests.states = states
            if self.speaking is not None:
                await ended(self.speaking)

    async def _spoke(self):
        """Wait until the gateway has everything; what cannot wait goes the other way at once, where there is one."""
        await self.speaking
        try:
            outcome(self._spoken)
        except LinkError as exc:
            if not self._node.urgent or not self._node.has_other_way:
                raise
            self._board.say(str(exc))
            self._spoken.clear()
            self._begin_to_speak()
            await self.speaking
            outcome(self._spoken)

    def _begin_to_speak(self):
        self.speaking = begun(self._node.deliver(lambda: self._is_read), self._spoken)
