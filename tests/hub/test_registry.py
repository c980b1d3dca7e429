"""The registry on a real SQLite file: pending and accepted, refusals, and a ledger where each loss stands once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, inspect

import linli_platform.alarms.models  # noqa: F401 - its tables belong to the same schema
from linli_core.errors import ConfigError, RefusalReason
from linli_core.settings import parse_toml
from linli_core.wire.messages import Status
from linli_platform.config import convert
from linli_platform.registry import Area, Device, Gateway, Loss, NotFound, Refusal, Registry, State
from linli_platform.registry.database import migration_settings, open_engine
from linli_platform.registry.declaration import Declaration, apply
from linli_platform.registry.models import Base

GW = "gw-a"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry.sqlite") as opened:
        yield opened


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    with Registry(path):
        pass
    engine = open_engine(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_the_migrations_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    with Registry(path):
        pass
    engine = open_engine(path)
    with engine.begin() as connection:
        configuration = migration_settings()
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_alarms_of_earlier_times_are_of_the_past_where_they_were_learnt_a_quarter_of_an_hour_late(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry.sqlite"
    with Registry(path):
        pass
    engine = open_engine(path)
    with engine.begin() as connection:
        configuration = migration_settings()
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0005")
        for number, delay in ((1, 899_999_999), (2, 900_000_000)):
            connection.exec_driver_sql(
                "INSERT INTO alarm VALUES (?, 'r', ?, 'gw', '', '', 'food', 'high', '{}', '{}', '{}', '', 'normal', 5,"
                " ?, NULL, 1, NULL, NULL, '', '', NULL, NULL, '')",
                (number, str(number), 5 + delay),
            )
            for kind in ("raise", "comment"):
                connection.exec_driver_sql(
                    "INSERT INTO alarm_change VALUES (NULL, ?, ?, 'normal', 'normal', 5, ?, NULL, NULL, '', '')",
                    (number, kind, 5 + delay),
                )
        command.upgrade(configuration, "head")
        changes = connection.exec_driver_sql("SELECT alarm, event FROM alarm_change WHERE retrospective").all()
        assert [tuple(row) for row in changes] == [(2, "raise")]
        assert connection.exec_driver_sql("SELECT id FROM alarm WHERE retrospective").scalars().all() == [2]
    engine.dispose()


def test_a_thousand_gateways_that_come_back_at_once_are_written_together(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    names = [f"gw-{number:04}" for number in range(1_001)]
    said: list[str] = []
    with Registry(path) as registry:
        registry.hold(names[0], ["meter-old"], 5)
        event.listen(registry.sessions.kw["bind"], "before_cursor_execute", lambda *what: said.append(what[2]))
        statuses = {name: (Status(name, "online", epoch="e", backlog=7), 9) for name in names}
        registry.record({names[0]: [f"meter-{number}" for number in range(600)], names[1]: []}, statuses, [], 10)
        assert len(said) < 20
        found = registry.gateways()
        assert [gateway.id for gateway in found] == names
        assert {(each.first_seen, each.status_at) for each in found[1:]} == {(10, 9)}
        assert (found[0].first_seen, found[0].status and found[0].status.backlog) == (5, 7)
        assert {(each.first_seen, each.state) for each in registry.devices(names[0])} == {
            (5, State.PENDING), (10, State.PENDING)
        }  # fmt: skip
        assert len(registry.devices(names[0])) == 601


def test_what_is_heard_of_is_pending_until_somebody_accepts_it(registry: Registry) -> None:
    registry.hold(GW, ["meter-2", "meter-1"], 5)
    registry.hold(GW, ["meter-1", "meter-3"], 6)
    assert registry.gateways() == [Gateway(GW, State.PENDING, {}, None, 5, 5)]
    assert [(device.id, device.state, device.first_seen) for device in registry.devices(GW)] == [
        ("meter-1", State.PENDING, 5),
        ("meter-2", State.PENDING, 5),
        ("meter-3", State.PENDING, 6),
    ]
    registry.accept(GW, "meter-1")
    assert registry.devices()[0].state is State.ACTIVE
    registry.retire(GW, "meter-2")
    registry.accept(GW)
    assert [device.state for device in registry.devices(GW)] == [State.ACTIVE, State.RETIRED, State.ACTIVE]
    registry.retire(GW)
    gateway = registry.gateway(GW)
    assert gateway is not None
    assert gateway.state is State.RETIRED
    assert registry.gateway("gw-b") is None


def test_unknown_names_are_said(registry: Registry) -> None:
    for act in (registry.accept, registry.retire):
        with pytest.raises(NotFound, match="knows no gateway 'gw-x'"):
            act("gw-x")
        with pytest.raises(NotFound, match="knows no device gw-x/meter-1"):
            act("gw-x", "meter-1")
    with pytest.raises(NotFound):
        registry.set_status("gw-x", Status("gw-x", "online"), 1)


def test_the_last_status_is_kept_and_sightings_are_told_apart_from_it(registry: Registry) -> None:
    registry.record({GW: ["meter-1"]}, {GW: (Status(GW, "online", epoch="e", backlog=7), 9)}, [], 10)
    registry.set_status(GW, Status(GW, "lost"), 20)
    gateway = registry.gateway(GW)
    assert gateway is not None
    assert gateway.status == Status(GW, "lost")
    assert (gateway.status_at, gateway.last_seen) == (20, 10)
    registry.touch({GW: 30, "gw-unknown": 30})
    assert [(row.id, row.last_seen) for row in registry.gateways()] == [(GW, 30)]


def test_refusals_add_up_and_the_newest_example_stays(registry: Registry) -> None:
    first = Refusal(GW, RefusalReason.MALFORMED, 2, 1, 2, "x" * 900)
    registry.count_refusals([first, Refusal("", RefusalReason.UNKNOWN_TOPIC, 1, 3, 3, "topic")])
    registry.count_refusals([Refusal(GW, RefusalReason.MALFORMED, 3, 4, 9, "newest")])
    assert registry.refusals(GW) == [Refusal(GW, RefusalReason.MALFORMED, 5, 1, 9, "newest")]
    assert [refusal.gateway for refusal in registry.refusals()] == [GW, ""]


def test_a_growing_eviction_is_one_entry(registry: Registry) -> None:
    registry.book([Loss(GW, "e", 1, 5, "space", 100, 200, 50)], 10)
    registry.book([Loss(GW, "e", 1, 5, "space", 100, 200, 50)], 11)
    registry.book([Loss(GW, "e", 1, 9, "space", 100, 300, 90)], 12)
    assert registry.losses() == [Loss(GW, "e", 1, 9, "space", 100, 300, 90, 10, 12)]


def test_messages_that_arrive_after_all_leave_the_ledger(registry: Registry) -> None:
    registry.book([Loss(GW, "e", 1, 9, "space", readings=90)], 10)
    registry.amend(GW, "e", [(1, 2), (5, 5)], 20)
    assert [(loss.first, loss.last, loss.readings, loss.amended_at) for loss in registry.losses(GW)] == [
        (6, 9, None, 20),
        (3, 4, None, 20),
    ]
    registry.amend(GW, "e", [(1, 100)], 30)
    assert registry.losses() == []


def test_what_was_given_up_comes_after_all_and_is_refused_stands_in_the_ledger(registry: Registry) -> None:
    # The refusal is written before the message counts as arrived: a crash between must not hide it.
    registry.book([Loss(GW, "e", 1, 10, "space")], 10)
    registry.book([Loss(GW, "e", 5, 5, "refused:unknown_unit", readings=2)], 20)
    registry.amend(GW, "e", [(5, 5)], 30)
    lines = sorted((loss.first, loss.last, loss.cause) for loss in registry.losses(GW))
    assert lines == [(1, 4, "space"), (5, 5, "refused:unknown_unit"), (6, 10, "space")]
    registry.taken_after_all(GW, "e", 5, 40)
    assert sorted((loss.first, loss.last) for loss in registry.losses(GW)) == [(1, 4), (6, 10)]


def test_refused_messages_are_lost_but_did_arrive(registry: Registry) -> None:
    registry.book([Loss(GW, "e", 3, 3, "refused:malformed"), Loss(GW, "e", 7, 8, "age")], 10)
    assert registry.booked() == {GW: [("e", 7, 8)]}
    assert len(registry.losses()) == 2
    assert registry.losses("gw-b") == []


RANGES = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 6), st.sampled_from(["space", "age"]), st.booleans()), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(steps=RANGES)
def test_the_ledger_holds_each_message_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str, bool]]
) -> None:
    model: set[int] = set()
    with Registry(tmp_path_factory.mktemp("registry") / "registry.sqlite") as registry:
        for first, width, cause, arrives in steps:
            seqs = set(range(first, first + width + 1))
            if arrives:
                registry.amend(GW, "e", [(first, first + width)], 2)
                model -= seqs
            else:
                registry.book([Loss(GW, "e", first, first + width, cause)], 1)
                model |= seqs
        held = [seq for loss in registry.losses() for seq in range(loss.first, loss.last + 1)]
    assert sorted(held) == sorted(model)


DECLARED = """
[[areas]]
id = "building-1"
parent = "garden"
kind = "building"
[[areas]]
id = "garden"
kind = "community"
titles = { zh = "茉莉花园", en = "Jasmine Garden" }
[[gateways]]
id = "gw-a"
area = "garden"
titles = { en = "Switch room" }
[[gateways.devices]]
id = "meter-1"
kind = "electricity_meter"
area = "building-1"
tags = ["care-agreed", "fire-water", "care-agreed"]
[[gateways.devices]]
id = "meter-2"
state = "retired"
"""


def declare(registry: Registry, text: str) -> None:
    apply(convert(parse_toml(text, "registry.toml"), Declaration), registry)


def test_a_declaration_names_and_accepts_and_keeps_what_was_seen(registry: Registry) -> None:
    registry.hold(GW, ["meter-1"], 5)
    declare(registry, DECLARED)
    declare(registry, DECLARED)
    assert registry.areas() == [
        Area("building-1", "garden", "building", {}),
        Area("garden", None, "community", {"zh": "茉莉花园", "en": "Jasmine Garden"}),
    ]
    assert registry.gateways() == [Gateway(GW, State.ACTIVE, {"en": "Switch room"}, "garden", 5, 5)]
    assert registry.devices() == [
        Device(GW, "meter-1", State.ACTIVE, "electricity_meter", {}, "building-1", 5, ("care-agreed", "fire-water")),
        Device(GW, "meter-2", State.RETIRED, "", {}, "garden", None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[gateway]]\nid = "a"', 'gateway: unknown key; did you mean "gateways"?'),
        (
            '[[gateways]]\nid = "a"\n[[gateways.devices]]\nid = "d"\nkin = "x"',
            'gateways[0].devices[0].kin: unknown key; did you mean "kind"?',
        ),
        (
            '[[gateways]]\nid = "gw"\n[[gateways.devices]]\nid = "m"\ntags = ["Fire Water"]',
            "gateways[0].devices[0].tags[0]: 'Fire Water' is no tag; use lower case",
        ),
        ('[[gateways]]\nid = "A"', "gateways[0].id: 'A' is no id; use lower case, digits and hyphens, 63 at most"),
        (
            '[[gateways]]\nid = "a"\narea = "b"',
            "gateways[0].area: no area is called 'b'; declare it under [[areas]]",
        ),
        (
            '[[gateways]]\nid = "a"\n[[gateways]]\nid = "a"',
            "gateways[1].id: 'a' stands here twice; give each its own id",
        ),
        (
            '[[areas]]\nid = "a"\nparent = "b"\n[[areas]]\nid = "b"\nparent = "a"',
            "areas: a, b are each other's parents; let one of them stand without a parent",
        ),
        ("[[areas]\n", "registry.toml: no TOML: "),
    ],
)
def test_a_declaration_that_cannot_be_used_says_where_and_what_to_do(registry: Registry, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declare(registry, text)
    assert str(caught.value).startswith(said)
    assert registry.gateways() == []


def test_only_what_moves_or_renames_anything_is_a_new_revision_of_the_places(registry: Registry) -> None:
    def changed(act: Callable[[], None]) -> bool:
        before = registry.places_revision()
        act()
        return registry.places_revision() != before

    yard, meter = Area("yard", None, "community"), Device(GW, "meter", State.ACTIVE, area="yard")
    assert changed(lambda: registry.declare([yard], [Gateway(GW, State.ACTIVE)], [meter]))
    assert not changed(lambda: registry.declare([yard], [Gateway(GW, State.ACTIVE)], [meter]))
    assert changed(lambda: registry.declare([yard], [], [replace(meter, area=None)]))
    assert changed(lambda: registry.declare([replace(yard, titles={"zh": "院子"})], [], []))
    assert changed(lambda: registry.hold(GW, ["valve"], 5))
    assert changed(lambda: registry.accept(GW, "valve"))
    assert changed(lambda: registry.retire(GW, "valve"))
    # What comes every few seconds from each gateway says nothing of where anything is.
    assert not changed(lambda: registry.touch({GW: 7}))
    assert not changed(lambda: registry.set_status(GW, Status(gateway=GW, state="online"), 8))
    assert not changed(lambda: registry.hold(GW, ["valve"], 9))
