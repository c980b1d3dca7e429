"""What an examination means, in words a person can act on. Pure: evidence in, diagnoses out, the gravest first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from linli_edge.commissioning.examination import Evidence, UnitNotes
from linli_edge.commissioning.wire_time import show_milliseconds

HEALTHY: Final = "healthy"

_GRAVE: Final = (
    "parity", "speed", "framing", "master", "twins", "garbled", "silent", "unreachable", "damaged", "noise",
    "edges", "flaky", "refusing", "closes", "late", "slow", "echo",
)  # fmt: skip
"""Kinds of diagnoses, in the order in which a person should look at them."""

_SLOW: Final = 500_000
_FEW: Final = 0.02
_MANY: Final = 0.5
_CLEAN: Final = 0.2
_TWINS: Final = 2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that is wrong, or that nothing is.

    Attributes:
        kind: Its texts are ``doctor.finding.<kind>`` and ``doctor.remedy.<kind>`` of the catalogue.
        values: What to fill in.
    """

    kind: str
    values: Mapping[str, object] = field(default_factory=dict)


def diagnose(evidence: Evidence) -> list[Diagnosis]:
    """Return what is wrong with the line and its devices; one ``healthy`` where nothing is."""
    found = [*_line(evidence), *_units(evidence)]
    if not found:
        return [Diagnosis(HEALTHY)]
    return sorted(found, key=lambda diagnosis: _GRAVE.index(diagnosis.kind))


def _line(evidence: Evidence) -> list[Diagnosis]:
    """Return what concerns the line as a whole."""
    found = []
    if evidence.echoed > evidence.asked * _MANY:
        found.append(Diagnosis("echo"))
    if evidence.foreign and (evidence.requests or sum(evidence.foreign.values()) > 1):
        ids = ", ".join(map(str, sorted(evidence.foreign)[:8]))
        found.append(Diagnosis("master", {"ids": ids, "count": sum(evidence.foreign.values())}))
    elif evidence.idle > 1:
        found.append(Diagnosis("noise", {"count": evidence.idle}))
    if evidence.answered_at:
        ids, place = _joined(evidence.answered_at), next(iter(evidence.answered_at.values()))
        kind = "speed"
        if evidence.parity_only:
            kind = "parity"
        elif evidence.framing and place == evidence.setting.place:
            kind = "framing"
        found.append(Diagnosis(kind, {"ids": ids, "setting": place, "framing": evidence.framing}))
    answers = sum(len(notes.delays) for notes in evidence.units.values())
    edged = sum(notes.edged for notes in evidence.units.values())
    if answers and edged > answers * _MANY:
        found.append(Diagnosis("edges", {"share": _percent(edged, answers)}))
    closed = sum(notes.closed for notes in evidence.units.values())
    if closed:
        found.append(Diagnosis("closes", {"count": closed, "asked": evidence.asked}))
    return found


def _units(evidence: Evidence) -> list[Diagnosis]:
    """Return what concerns single devices, those with the same trouble together."""
    kinds: dict[str, list[int]] = {}
    for unit, notes in evidence.units.items():
        if kind := _unit(unit, notes, evidence):
            kinds.setdefault(kind, []).append(unit)
    disturbed = bool(evidence.foreign) and evidence.requests > 0
    found = []
    for kind, units in kinds.items():
        if disturbed and kind in {"damaged", "flaky"}:
            # Another master explains what it collides with.
            continue
        members = [evidence.units[unit] for unit in units]
        values: dict[str, object] = {"ids": ", ".join(map(str, units))}
        if kind == "damaged":
            heard = sum(len(note.delays) + note.damaged for note in members)
            values["share"] = _percent(sum(note.damaged for note in members), heard)
        elif kind == "flaky":
            values["share"] = _percent(sum(note.silent for note in members), sum(note.asked for note in members))
        elif kind in {"slow", "late"}:
            values["time"] = show_milliseconds(max((quantile(note.delays, 0.95) for note in members), default=0))
        found.append(Diagnosis(kind, values))
    return found


def _unit(unit: int, notes: UnitNotes, evidence: Evidence) -> str:
    """Return what is wrong with one device; empty: nothing."""
    if not notes.asked or unit in evidence.answered_at:
        return ""
    heard = len(notes.delays) + notes.damaged
    signs = (
        ("twins", notes.doubled >= _TWINS or _overlapping(unit, notes, evidence)),
        ("late", notes.late > 0),
        ("unreachable", not heard and notes.unreachable > 0),
        ("silent", not heard),
        ("garbled", not notes.delays),
        ("damaged", notes.damaged > heard * _FEW and notes.damaged > 1),
        ("flaky", notes.silent > notes.asked * _FEW and notes.silent > 1),
        ("refusing", notes.refused > 0 and notes.refused == len(notes.delays)),
        ("slow", quantile(notes.delays, 0.95) > _SLOW),
    )
    return next((kind for kind, is_so in signs if is_so), "")


def _overlapping(unit: int, notes: UnitNotes, evidence: Evidence) -> bool:
    """Tell whether a device's answers look like two at once: mostly damaged, yet begun rightly, and the others clean.

    What two devices send alike (unit id, function) comes through; where they differ, it does not. Noise and a wrong
    speed spare no part of a frame, and no other device; but in a few questions noise may hit one device alone, so where
    it was heard while nobody was asked, it explains this too.
    """
    if evidence.idle:
        return False
    heard = len(notes.delays) + notes.damaged
    if notes.damaged <= heard * _MANY or notes.headed < notes.damaged * _MANY or notes.headed < _TWINS:
        return False
    others = [other for number, other in evidence.units.items() if number != unit and other.delays]
    return all(other.damaged <= _CLEAN * (len(other.delays) + other.damaged) for other in others)


def quantile(values: list[int], share: float) -> int:
    """Return the smallest value that so large a share of all does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


_BINS: Final = (10, 20, 50, 100, 200, 500, 1000)


def histogram(delays: list[int]) -> list[tuple[str, int]]:
    """Return how many answers took how many milliseconds, empty ends left out."""
    names = [f"< {_BINS[0]}", *(f"{low}-{high}" for low, high in pairwise(_BINS)), f"> {_BINS[-1]}"]
    counts = [0] * len(names)
    for delay in delays:
        counts[sum(delay >= 1000 * limit for limit in _BINS)] += 1
    used = [place for place, count in enumerate(counts) if count]
    return list(zip(names, counts, strict=True))[used[0] : used[-1] + 1] if used else []


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"


def _joined(units: Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(units)))
