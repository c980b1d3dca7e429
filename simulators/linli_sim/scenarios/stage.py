"""A scenario on the stage of the demo: when its story must begin so that its alarm comes while somebody looks.

A rule that waits for two hours cannot be shown by waiting, and a rule with its times cut short is another rule. So the
story begins in the past: its gateway has read and kept all of it, as one whose line was down, hands it over when it
starts, and reads on from devices that tell the rest as the clock goes. Every rule is in force as it ships.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from linli_core.alarm import Event, Rule
from linli_core.instant import SECOND, Instant, to_datetime
from linli_core.model import Reading, parse_point
from linli_core.wire import senml
from linli_edge.outbox import Message
from linli_sim.scenarios.devices import past
from linli_sim.scenarios.listed import last_start
from linli_sim.scenarios.play import play
from linli_sim.scenarios.story import GATEWAY, Scenario, Story, Truth

LEAD: Final = 25 * SECOND
"""So long before its alarm a story is joined: programs start, and the past is handed over."""

_PACK: Final = 500


class Scene(NamedTuple):
    """A story that is going on.

    Attributes:
        scenario: Which.
        seed: Of its chance.
        story: The story.
        joined: When what was told before is the past.
        expected: By truth, when its alarm comes; ``None`` where it comes by none of the rules in force.
    """

    scenario: Scenario
    seed: int
    story: Story
    joined: Instant
    expected: tuple[tuple[Truth, Instant | None], ...]


def set_scene(scenario: Scenario, seed: int, rules: Iterable[Rule], now: Instant, lead: Instant = LEAD) -> Scene:
    """Return a scenario's story, placed so that its alarm comes soon after now.

    One that belongs to an hour of the day is that of the last day on which its alarm has come.
    """
    rules = list(rules)
    start = last_start(scenario, now)
    story = scenario.tell(start, seed)
    if scenario.hour is None:
        turn = _turn(rules, story) if scenario.dies_after is None else start + scenario.dies_after
        story = scenario.tell(start + now + lead - turn, seed)
    while scenario.hour is not None and _turn(rules, story) > now:
        start = last_start(scenario, start - SECOND)
        story = scenario.tell(start, seed)
    times = _learnt(rules, story)
    expected = tuple((truth, times.get((truth.rule, truth.point))) for truth in story.truths)
    return Scene(scenario, seed, story, now, expected)


def _turn(rules: Iterable[Rule], story: Story) -> Instant:
    """Return when a story's first truth is told: what people came to see."""
    first = story.truths[0]
    return _learnt(rules, story).get((first.rule, first.point), first.begins)


def _learnt(rules: Iterable[Rule], story: Story) -> dict[tuple[str, str], Instant]:
    """Return when the engine says of each truth what it must."""
    changes = [change for change in play(rules, story) if change.event is Event.RAISE]
    found: dict[tuple[str, str], Instant] = {}
    for truth in story.truths:
        at = next(
            (it.learnt_at for it in changes if truth.is_about(it.rule, it.subject) and it.at >= truth.begins), None
        )
        if at is not None:
            found[truth.rule, truth.point] = at
    return found


def messages(scene: Scene) -> Iterable[Message]:
    """Yield the past as a gateway keeps it in its log."""
    for pack in past(scene.story, scene.joined, _PACK):
        readings = [Reading(parse_point(told.name), told.value, told.at, told.quality) for told in pack]
        yield Message(
            "telemetry",
            senml.encode(GATEWAY, readings),
            observed_from=pack[0].at,
            observed_to=pack[-1].at,
            readings=len(pack),
            polled=len(pack),
        )


def clock_of(at: Instant) -> str:
    """Return an instant as the clock on this machine's wall shows it."""
    return f"{to_datetime(at).astimezone():%m-%d %H:%M:%S}"
