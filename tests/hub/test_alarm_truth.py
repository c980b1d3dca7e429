"""Some days of a small community with planted faults, all packs in force: all found in time, hardly a false alarm."""

import re
from collections import Counter
from functools import cache

import numpy as np

from linli_core.instant import DAY, SECOND
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names
from linli_sim.truth.faults import PLANNED, Fault, Faults, plant
from linli_sim.truth.ledger import Ledger, joined
from linli_sim.truth.month import START, Outcome, run
from linli_sim.truth.network import Network

DAYS = 2
KINDS = ("compressor", "gas", "hose", "overflow", "trapped")


def at_home(place: str) -> str:
    return re.sub(r"gw-[23](/flat-11)?", lambda found: "gw-1/flat-05" if found[1] else "gw-1", place)


def planted() -> list[Fault]:
    chosen = {it.kind: it for it in reversed(PLANNED) if it.kind in KINDS}
    here = [
        it._replace(
            where=at_home(it.where),
            follows=tuple((rules, at_home(subjects)) for rules, subjects in it.follows),
        )
        for it in chosen.values()
    ]
    return plant(here, START, DAYS)


@cache
def lived() -> Outcome:
    rules = load_rules(packs=pack_names())
    return run(rules, planted(), days=DAYS, buildings=1, dwellings=6, seed=3, rooms=1, step=30 * SECOND)


def test_all_that_was_planted_is_found_in_time() -> None:
    outcome = lived()
    figures = outcome.as_dict()
    assert (figures["planted"], figures["found"], figures["late"]) == (5, 5, 0)
    assert (outcome.missed, outcome.late) == ([], [])
    assert {fault.kind for fault, _ in outcome.found} == set(KINDS)


def test_people_are_woken_for_nothing_less_than_twice_a_day() -> None:
    outcome = lived()
    assert len(outcome.false) <= 2 * DAYS, [f"{it.rule} {it.subject}" for it in outcome.false]
    assert outcome.readings > 80_000


def test_the_twenty_are_of_many_kinds_and_each_has_the_time_its_rule_needs() -> None:
    faults = plant(PLANNED, START, 30)
    assert len(faults) == 20
    assert Counter(fault.kind for fault in faults).most_common(1) == [("compressor", 2)]
    for fault in faults:
        assert START + DAY <= fault.begins < fault.ends <= START + 30 * DAY
        assert fault.truth.by <= START + 30 * DAY


def test_what_arrives_is_what_was_told_but_for_what_is_lost_and_some_of_it_twice() -> None:
    ledger = Ledger()
    feeder = ledger.point("gw-1", "feeder/voltage.l1", "feeder")
    radio = ledger.point("gw-1", "flat-01-water/water_volume", "water_meter")
    network = Network(ledger, Faults(()), START, 2, 7)
    arrived = []
    for day in range(2):
        times = np.arange(START + day * DAY, START + (day + 1) * DAY, 10 * SECOND, dtype=np.int64)
        for point in (feeder, radio):
            ledger.tell(point, times, np.full(len(times), 1.0))
        arrived.append(network.send(ledger.take(), START + (day + 1) * DAY))
    rows = joined(arrived)
    assert (rows.comes >= rows.time).all()
    assert (np.diff(rows.comes) >= 0).all()
    per_day = DAY // (10 * SECOND)
    away = sum((it.ends - it.begins) // (10 * SECOND) + 1 for it in network.away()["gw-1"] if not it.keeps)
    by_wire = np.unique(rows.time[rows.series == feeder])
    assert 2 * per_day - away - 30 <= len(by_wire) <= 2 * per_day
    assert len(rows.time[rows.series == feeder]) > len(by_wire)
    lost = 1 - len(np.unique(rows.time[rows.series == radio])) / (2 * per_day)
    assert 0.01 < lost < 0.06
