"""Colours that mean different things look different, whatever kind of colour vision somebody has."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from linli_dashboards.build import made
from linli_dashboards.palette import AS_TEXT, PRIORITIES, SERIES, STATES, Shade

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISIONS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
JUST_SEEN = 10.0
"""Of CIE's 1976 difference: 2.3 is a difference that is just seen, side by side."""


def linear(colour: str) -> list[float]:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    weights = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)

    def curve(share: float) -> float:
        return float(share ** (1 / 3)) if share > 0.008856 else 7.787 * share + 16 / 116

    x, y, z = (
        curve(max(0.0, sum(weight * share for weight, share in zip(row, rgb, strict=True))) / of)
        for row, of in zip(weights, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: str, vision: str) -> tuple[float, float, float]:
    rgb = linear(colour)
    return lab([sum(weight * share for weight, share in zip(row, rgb, strict=True)) for row in VISIONS[vision]])


@pytest.mark.parametrize("vision", VISIONS)
def test_meanings_are_told_apart(vision: str) -> None:
    for one, other in combinations(Shade, 2):
        apart = sum((a - b) ** 2 for a, b in zip(seen(one, vision), seen(other, vision), strict=True)) ** 0.5
        assert apart > JUST_SEEN, f"{one.name} and {other.name} look alike with {vision}: {apart:.1f}"


def test_priorities_and_states_have_their_colours() -> None:
    assert set(PRIORITIES) == {"high", "medium", "low"}
    assert len(set(PRIORITIES.values())) == 3
    assert STATES["normal"] is Shade.GOOD
    assert len(set(SERIES)) == len(SERIES)


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for one in made():
        for panel in one.dashboard["panels"]:
            if one.lang == "en" and panel["type"] != "row":
                yield f"{one.board.name}: {panel['title']}", panel


def colours(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("color", "fixedColor") if isinstance(node.get(key), str))
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from colours(each)


def test_no_panel_is_in_a_colour_of_another_palette() -> None:
    """Grafana's own are green and red; where a colour goes by limits, the limits have to be ours."""
    allowed = {AS_TEXT, *Shade, *SERIES}
    for name, panel in panels():
        fields = panel["fieldConfig"]
        assert set(colours(fields)) <= allowed, name
        modes = {fields["defaults"].get("color", {}).get("mode", "thresholds")}
        if panel["type"] == "bargauge" and "thresholds" in modes:
            assert "thresholds" in fields["defaults"], name


def test_what_needs_a_person_is_seen_by_its_colour() -> None:
    found = {name: panel for name, panel in panels() if panel["type"] in {"stat", "timeseries"}}

    def of(name: str, query: str) -> dict[str, Any]:
        overrides = found[name]["fieldConfig"]["overrides"]
        (own,) = [each for each in overrides if each["matcher"]["options"] == query]
        return {each["id"]: each["value"] for each in own["properties"]}

    for query, shade in (("A", Shade.DANGER), ("B", Shade.CAUTION), ("C", Shade.NOTICE)):
        steps = of("today: Alarms not settled", query)["thresholds"]["steps"]
        assert steps == [{"value": None, "color": Shade.GOOD}, {"value": 1, "color": shade}]
        assert of("alarm-health: Alarms by period", query)["color"] == {"mode": "fixed", "fixedColor": shade}
    assert of("today: Gateways", "A")["color"] == {"mode": "fixed", "fixedColor": AS_TEXT}
    assert of("today: Gateways", "B")["thresholds"]["steps"][1] == {"value": 1, "color": Shade.DANGER}
    assert found["today: Gateways"]["options"]["colorMode"] == "value"
