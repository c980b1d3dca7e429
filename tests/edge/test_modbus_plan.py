"""Planning: every point once, limits kept, refusals narrowed down to what is truly refused."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.model import Point
from linli_edge.drivers.modbus.plan import Block, Limits, RequestPlan, blocks_of
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, RegisterTable

Entry = tuple[MappedPoint, Point]

KINDS = st.sampled_from([DataType.UINT16, DataType.FLOAT32, DataType.INT64])
LIMITS = st.builds(Limits, registers=st.integers(4, 125), bits=st.integers(1, 2000), gap=st.integers(0, 40))


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Points of a device, at most one of a kind at an address, all of them told apart by their channel."""
    wanted = draw(
        st.lists(
            st.tuples(st.sampled_from(RegisterTable), st.integers(0, 300), KINDS), min_size=1, max_size=40, unique=True
        )
    )
    made = []
    for number, (table, address, kind) in enumerate(wanted):
        actual = DataType.BIT if table.bits else kind
        mapped = MappedPoint("test", "voltage", table, address, actual.registers or 1, actual, channel=number)
        made.append((mapped, mapped.of("meter")))
    return made


def points_of(blocks: Sequence[Block]) -> list[str]:
    return sorted(point.name for block in blocks for point in block.points)


@settings(deadline=None)
@given(entries(), LIMITS)
def test_every_point_is_read_exactly_once_within_the_limits(wanted: list[Entry], limits: Limits) -> None:
    blocks = blocks_of(wanted, limits)
    assert points_of(blocks) == sorted(point.name for _, point in wanted)
    for block in blocks:
        assert 1 <= block.count <= limits.most(block.table)
        assert all(
            block.address <= entry.address < entry.end <= block.address + block.count for entry, _ in block.entries
        )
        assert {entry.table for entry, _ in block.entries} == {block.table}


@settings(deadline=None)
@given(entries(), LIMITS)
def test_no_hole_wider_than_allowed_is_read(wanted: list[Entry], limits: Limits) -> None:
    for block in blocks_of(wanted, limits):
        covered = {address for entry, _ in block.entries for address in range(entry.address, entry.end)}
        unwanted = "".join(
            " " if address in covered else "x" for address in range(block.address, block.address + block.count)
        )
        assert max((len(hole) for hole in unwanted.split()), default=0) <= limits.gap


@settings(deadline=None)
@given(entries(), LIMITS, st.sets(st.integers(0, 303)))
def test_splitting_ends_with_only_the_truly_refused(wanted: list[Entry], limits: Limits, holes: set[int]) -> None:
    plan = RequestPlan(wanted, limits)
    asked = 0

    def refuses(block: Block) -> bool:
        return any(address in holes for address in range(block.address, block.address + block.count))

    answered: list[str] = []
    queue = list(plan.blocks)
    while queue:
        block = queue.pop()
        asked += 1
        assert block.count <= limits.most(block.table)
        if refuses(block):
            queue.extend(plan.refused(block, 7))
        else:
            answered += [point.name for point in block.points]
    truly = {point.name for entry, point in wanted if any(place in holes for place in range(entry.address, entry.end))}
    assert {point.name for point in plan.denied} == truly
    assert sorted(answered) == sorted({point.name for _, point in wanted} - truly)
    assert asked <= 2 * len(wanted)
    # What was learnt holds: nothing in force is refused any more.
    assert not any(refuses(block) for block in plan.blocks)
    assert points_of(plan.blocks) == sorted(answered)


@settings(deadline=None)
@given(entries(), LIMITS)
def test_forgetting_brings_the_first_plan_back(wanted: list[Entry], limits: Limits) -> None:
    plan = RequestPlan(wanted, limits)
    before = [(block.table, block.address, block.count) for block in plan.blocks]
    for block in list(plan.blocks):
        plan.refused(block, 7)
    assert plan.changed_at == 7
    plan.forget()
    assert [(block.table, block.address, block.count) for block in plan.blocks] == before
    assert plan.denied == []
    assert RequestPlan(wanted, limits).changed_at is plan.changed_at


def mapped(address: int, kind: DataType = DataType.UINT16, channel: int = 0) -> Entry:
    entry = MappedPoint("test", "voltage", RegisterTable.INPUT, address, kind.registers, kind, channel=channel)
    return entry, entry.of("meter")


def test_neighbours_share_a_request_and_a_hole_is_where_it_is_cut() -> None:
    wanted = [
        mapped(0, channel=0),
        mapped(1, channel=1),
        mapped(8, channel=2),
        mapped(9, channel=3),
        mapped(40, channel=4),
    ]
    plan = RequestPlan(wanted, Limits(gap=6))
    assert [(block.address, block.count) for block in plan.blocks] == [(0, 10), (40, 1)]
    plan.refused(plan.blocks[0], 0)
    assert [(block.address, block.count) for block in plan.blocks] == [(0, 2), (8, 2), (40, 1)]


def test_bit_fields_of_one_register_share_their_fate() -> None:
    plan = RequestPlan([mapped(3, channel=0), mapped(3, channel=1)], Limits())
    assert plan.refused(plan.blocks[0], 0) == ()
    assert len(plan.denied) == 2


def test_a_function_the_device_does_not_know_is_not_split() -> None:
    plan = RequestPlan([mapped(3, channel=0), mapped(4, channel=1)], Limits())
    assert plan.refused(plan.blocks[0], 0, whole=True) == ()
    assert len(plan.denied) == 2


def test_a_value_longer_than_a_request_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 addresses in one value, 2 allowed"):
        blocks_of([mapped(0, DataType.INT64)], Limits(registers=2))
