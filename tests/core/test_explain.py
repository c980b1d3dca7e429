"""Whether an explanation leaves out no byte of a telegram."""

from linli_core.codecs.explain import Part, covers


def test_parts_that_follow_one_another_cover_a_telegram() -> None:
    assert covers([Part(0, b"\x68", "start"), Part(1, b"\x01\x02", "data")], b"\x68\x01\x02")


def test_a_part_with_children_is_covered_by_them() -> None:
    parts = [Part(0, b"\x68\x01", "frame"), Part(0, b"\x68", "start", depth=1), Part(1, b"\x01", "data", depth=1)]
    assert covers(parts, b"\x68\x01")


def test_a_gap_an_overlap_and_a_rest_are_seen() -> None:
    assert not covers([Part(0, b"\x68", "start"), Part(2, b"\x02", "data")], b"\x68\x01\x02")
    assert not covers([Part(0, b"\x68\x01", "start"), Part(1, b"\x01", "data")], b"\x68\x01")
    assert not covers([Part(0, b"\x68", "start")], b"\x68\x01")
    assert not covers([], b"\x68")
