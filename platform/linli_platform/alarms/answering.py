"""Telling the one who pressed a button that somebody has heard: the gateway is told of each call's acknowledged alarm.

A node's button calls until it hears an answer. Its alarm is acknowledged here, by a person; from then on the button's
gateway is told, until the condition has ended: once somebody acknowledges, and again after each status of that gateway,
which comes every half minute and whenever it connects. So neither a restart nor an outage at either end loses it, and
nothing need be kept here: what is owed is what the alarms themselves say.

The call is named by when its alarm was raised, by the readings: one that began later is another, which nobody here has
seen yet.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from linli_core.alarm import Rule, State, StateIs
from linli_core.instant import MINUTE
from linli_core.wire.command import HEARD, Command
from linli_platform.alarms.rows import AlarmRow
from linli_platform.clock import Clock

CALLS: Final = frozenset({"emergency_button"})
"""Quantities whose being true is somebody's call."""

_LIFE: Final = 2 * MINUTE

Send = Callable[[str, str, Command], bool]
"""Sends a gateway a command under an id; tells whether it could be handed over."""


def is_call(rules: Mapping[str, Rule], row: AlarmRow) -> bool:
    """Tell whether an alarm is somebody's call, who waits for an answer."""
    rule = rules.get(row.rule)
    return rule is not None and rule.quantity in CALLS and isinstance(rule.condition, StateIs) and bool(row.point)


class CallAnswers:
    """What is owed to those who called.

    Args:
        send: The way to the gateways.
        rules: In force, by their ids.
        clock: Wall clock.
    """

    def __init__(self, send: Send, rules: Mapping[str, Rule], clock: Clock) -> None:
        self._send = send
        self._rules = rules
        self._clock = clock
        self._owed: dict[str, dict[int, AlarmRow]] = {}

    def take_up(self, alarms: Iterable[AlarmRow]) -> None:
        """Begin with the alarms that stand; the gateways' statuses bring the rest."""
        for row in alarms:
            self._note(row)

    def on_alarm(self, row: AlarmRow) -> None:
        """Take in that an alarm has changed; tell its gateway if somebody has just acknowledged a call."""
        if self._note(row):
            self._tell(row)

    def on_gateway(self, gateway: str) -> None:
        """Tell a gateway that was heard of what is owed to its nodes."""
        for row in self._owed.get(gateway, {}).values():
            self._tell(row)

    def _note(self, row: AlarmRow) -> bool:
        """Take in how an alarm stands; tell whether an answer is owed."""
        owed = self._owed.setdefault(row.gateway, {})
        is_owed = row.state is State.ACKNOWLEDGED and is_call(self._rules, row)
        if is_owed:
            owed[row.id] = row
        else:
            owed.pop(row.id, None)
        if not owed:
            del self._owed[row.gateway]
        return is_owed

    def _tell(self, row: AlarmRow) -> None:
        until = max(row.raised_at, row.raised_again_at or 0)
        command = Command(HEARD, {"node": row.device, "until": until}, self._clock() + _LIFE, row.acknowledged_by[:256])
        self._send(row.gateway, uuid.uuid4().hex, command)
