"""Who pressed a button hears that somebody has acknowledged its alarm; of whatever else happens it hears nothing."""

from pathlib import Path

from tests.hub.api.conftest import Clock, Site, open_site

from linli_core.alarm import State
from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.wire.command import Argument, Command
from linli_platform.alarms import AlarmRow, load_rules
from linli_platform.alarms.answering import CallAnswers

BUTTON, DOOR = "help-1/emergency_button", "fire-1/fire_door_open"
RULES = {"safety.emergency-button", "safety.fire-door-open"}


class Answered:
    """The answers of a platform, and what they said; with the link down, none goes out."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.said: list[tuple[str, dict[str, Argument]]] = []
        self.up = True
        self.answers = CallAnswers(self._send, site.alarms.engine.rules, clock)
        site.alarms.listen(self.answers.on_alarm)

    def _send(self, gateway: str, _name: str, command: Command) -> bool:
        assert (command.name, command.by) == ("heard", "li")
        if self.up:
            self.said.append((gateway, command.args))
        return self.up


async def _alarms(site: Site) -> dict[str, AlarmRow]:
    return {row.rule: row for row in await site.alarms.standing()}


def _call(until: Instant) -> tuple[str, dict[str, Argument]]:
    return "gw", {"node": "help-1", "until": until}


async def test_a_call_is_answered_once_acknowledged_and_until_it_ends(tmp_path: Path, clock: Clock) -> None:
    rules = [rule for rule in load_rules(packs=["safety"]) if rule.id in RULES]
    async with open_site(tmp_path, clock, rules=rules) as site:
        heard = Answered(site, clock)

        async def press(value: float) -> Instant:
            clock.forward(SECOND)
            site.commit("gw", [(BUTTON, clock(), value)])
            await site.settle()
            return clock()

        site.commit("gw", [(DOOR, clock(), 1.0)])
        clock.forward(11 * MINUTE)
        site.commit("gw", [(DOOR, clock(), 1.0)])
        first = await press(1.0)
        alarms = await _alarms(site)
        heard.answers.on_gateway("gw")
        assert heard.said == []  # raised, and seen by nobody yet
        heard.up = False
        for row in alarms.values():
            await site.alarms.acknowledge(row.id, actor="li")
        # The link was down at that moment: the gateway's next status brings it, and each one until the call has ended.
        heard.up = True
        await press(1.0)
        heard.answers.on_gateway("gw-2")
        heard.answers.on_gateway("gw")
        heard.answers.on_gateway("gw")
        assert heard.said == [_call(first)] * 2
        # A platform that starts anew owes the same.
        anew = Answered(site, clock)
        anew.answers.take_up(await site.alarms.standing())
        anew.answers.on_gateway("gw")
        assert anew.said == [_call(first)]
        await press(0.0)
        heard.answers.on_gateway("gw")
        assert len(heard.said) == 2
        # A second press is a call of its own, which nobody has seen until it is acknowledged itself.
        second = await press(1.0)
        heard.answers.on_gateway("gw")
        assert len(heard.said) == 2
        button = (await _alarms(site))["safety.emergency-button"]
        assert button.state is State.UNACKNOWLEDGED
        await site.alarms.acknowledge(button.id, actor="li")
        assert heard.said[2:] == [_call(second)]
