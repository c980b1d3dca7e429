"""Two workers that judge the same readings: of each rule on each subject there is one alarm all the same."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from linli_core.alarm import AlarmChange, Event, State
from linli_platform.alarms import Filter, load_rules
from linli_platform.alarms.records import AlarmRecordError, AlarmRecords
from linli_platform.registry import Registry

SUBJECTS = 24
TURNS = 3


def change(subject: str, event: Event, before: State, after: State, at: int) -> AlarmChange:
    return AlarmChange("food.cold-room-warm", subject, event, before, after, at, at)


@pytest.mark.parametrize("together", [True, False])
def test_two_workers_make_one_alarm_of_each_identity(tmp_path: Path, *, together: bool) -> None:
    subjects = [f"gw/room-{number}/air_temperature" for number in range(SUBJECTS)]
    failures: list[BaseException] = []
    start = threading.Barrier(2)

    with Registry(tmp_path / "registry.sqlite") as registry:
        rules = {rule.id: rule for rule in load_rules()}

        def work() -> None:
            records = AlarmRecords(registry.sessions, rules)
            start.wait(300)
            for turn in range(TURNS):
                raises = [
                    change(subject, Event.RAISE, State.NORMAL, State.UNACKNOWLEDGED, turn) for subject in subjects
                ]
                for batch in [raises] if together else [[it] for it in raises]:
                    try:
                        records.write(batch, [], [])
                    except (IntegrityError, OperationalError, AlarmRecordError) as exc:
                        failures.append(exc)  # refused whole: the other worker was quicker

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        found = AlarmRecords(registry.sessions, rules).find(Filter(active=True), 1_000)
    counts = Counter((row.rule, row.subject) for row in found)
    assert counts == Counter({("food.cold-room-warm", subject): 1 for subject in subjects})
