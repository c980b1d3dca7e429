"""What the engine makes of each story, to the last detail, beside what it made of it when somebody last looked.

The stories say what must come of them. The ledger holds besides when each change was learnt and by which value, how
many readings moved nothing, how often a memory was to be written, when looks were planned, and what is remembered at
the end: a fault that changes one of these is seen before it becomes a wrong alarm. If it is meant::

    python -m tests.core.test_alarm_ledger
"""

import json
import random
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from tests.core.alarm_story import T0, At, M, Story, series
from tests.core.test_alarm_edges import EDGES
from tests.core.test_alarm_edges_of_events import EVENT_EDGES
from tests.core.test_alarm_late import RETROSPECTIVE
from tests.core.test_alarm_stories import STORIES

from linli_core.alarm import Engine
from linli_core.model import Quality

LEDGER = Path(__file__).with_name("alarm_ledger.jsonl")
TOLD: dict[str, Story] = {**STORIES, **RETROSPECTIVE, **EDGES, **EVENT_EDGES}
MOST = 1500


def disturbed(name: str, readings: list[At]) -> list[At]:
    """The same readings as a bad line brings them: some late, doubled, missing, uncertain or not usable, by a lot."""
    lot = random.Random(name)
    found = []
    for it in readings:
        fate = lot.random()
        late = lot.choice([0, 0, 0, M, 7 * M, 40 * M])
        quality = Quality.UNCERTAIN if fate > 0.95 else Quality.BAD if fate > 0.9 else it.quality
        if fate > 0.1:
            found.append(At(it.at, it.value, it.point, it.late + late, quality))
        if fate > 0.8:
            found.append(At(it.at, it.value, it.point, it.late + late + lot.choice([0, M]), quality))
    return found


def account(story: Story) -> dict[str, object]:
    """Everything that is seen of an engine while it is told a story."""
    the_rule, readings, until, _ = story
    coming = sorted(readings, key=lambda it: it.at + it.late)[-MOST:]
    engine = Engine([the_rule])
    bound = {point: engine.bind(series(point), T0) for point in sorted({it.point for it in coming})}
    changes, written, looks = [], 0, []
    for it in coming:
        now = T0 + it.at + it.late
        while (due := engine.next_due()) is not None and due <= now:
            changes += engine.tick(max(due, T0))
        changes += engine.observe(bound[it.point], it.value, it.quality, T0 + it.at, now)
        written += len(engine.take_touched())
        looks.append(engine.next_due())
    changes += engine.tick(T0 + until)
    looks.append(engine.next_due())
    memories = json.loads(msgspec.json.encode(engine.snapshot()), parse_float=lambda text: float(f"{float(text):.6g}"))
    return {
        "changes": [
            [it.event, it.at - T0, it.learnt_at - T0, _rounded(it.value), it.retrospective, it.before, it.after]
            for it in changes
        ],
        "readings": [engine.evaluations, engine.out_of_order],
        "written": written,
        "looks": crc32(json.dumps(looks).encode()),
        "memory": crc32(json.dumps(memories, sort_keys=True).encode()),
    }


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def accounts() -> dict[str, dict[str, object]]:
    found = {}
    for name, story in TOLD.items():
        the_rule, readings, until, expected = story
        found[name] = account(story)
        found[f"{name}, over a bad line"] = account((the_rule, disturbed(name, readings), until + 60 * M, expected))
    return found


KNOWN: dict[str, dict[str, object]] = (
    {entry.pop("story"): entry for entry in map(json.loads, LEDGER.read_text(encoding="utf-8").splitlines())}
    if LEDGER.exists()
    else {}
)


@pytest.mark.parametrize("name", TOLD)
def test_the_engine_does_what_it_did(name: str) -> None:
    the_rule, readings, until, expected = TOLD[name]
    assert json.loads(json.dumps(account(TOLD[name]))) == KNOWN[name]
    bad_line = account((the_rule, disturbed(name, readings), until + 60 * M, expected))
    assert json.loads(json.dumps(bad_line)) == KNOWN[f"{name}, over a bad line"]


if __name__ == "__main__":
    lines = [json.dumps({"story": name, **entry}, ensure_ascii=False) for name, entry in accounts().items()]
    LEDGER.write_text("\n".join(lines) + "\n", encoding="utf-8")
