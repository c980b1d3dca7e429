"""Playing a story through the engine of the platform, and judging what came of it by its truth."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from linli_core.alarm import AlarmChange, Engine, Event, Rule
from linli_core.instant import Instant
from linli_sim.scenarios.story import Story, Truth


class Verdict(NamedTuple):
    """What came of a story.

    Attributes:
        found: The truths that were told in time, with the alarm that did.
        late: Those that were told after their time, with the alarm.
        missed: Those of which no alarm was raised.
        false: Alarms that nothing planted accounts for.
    """

    found: tuple[tuple[Truth, AlarmChange], ...]
    late: tuple[tuple[Truth, AlarmChange], ...]
    missed: tuple[Truth, ...]
    false: tuple[AlarmChange, ...]


def play(rules: Iterable[Rule], story: Story) -> list[AlarmChange]:
    """Return what the engine makes of a story, in the order in which it is learnt."""
    engine = Engine(rules)
    bound = {key: engine.bind(series, story.begins) for key, series in story.series().items()}
    changes: list[AlarmChange] = []

    def tick(until: Instant) -> None:
        while (due := engine.next_due()) is not None and due <= until:
            changes.extend(engine.tick(max(due, story.begins)))

    for told in story.readings:
        tick(told.comes)
        changes.extend(engine.observe(bound[told.gateway, told.name], told.value, told.quality, told.at, told.comes))
    tick(story.until)
    return changes


def judge(changes: Iterable[AlarmChange], truths: Sequence[Truth], may: frozenset[str] = frozenset()) -> Verdict:
    """Judge alarms by what was planted.

    Args:
        changes: What the engine said.
        truths: What was planted. An alarm counts for one if it was so after that began, and for nothing planted if not.
        may: Rules whose alarms follow from what was planted; they are neither demanded nor held false.
    """
    raised = sorted((change for change in changes if change.event is Event.RAISE), key=lambda it: it.learnt_at)
    found: list[tuple[Truth, AlarmChange]] = []
    late: list[tuple[Truth, AlarmChange]] = []
    missed: list[Truth] = []
    for truth in truths:
        first = next((it for it in raised if _tells(it, truth)), None)
        if first is None:
            missed.append(truth)
        else:
            (found if first.learnt_at <= truth.by else late).append((truth, first))
    false = [it for it in raised if it.rule not in may and not any(_tells(it, truth) for truth in truths)]
    return Verdict(tuple(found), tuple(late), tuple(missed), tuple(false))


def _tells(change: AlarmChange, truth: Truth) -> bool:
    return truth.is_about(change.rule, change.subject) and truth.begins <= change.at <= truth.ends
