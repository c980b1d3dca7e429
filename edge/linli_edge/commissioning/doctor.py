"""``linli-edge doctor``: examines a line and says in plain words what is wrong with it, and what to do."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_edge.commissioning.diagnosis import HEALTHY, Diagnosis, diagnose, histogram, quantile
from linli_edge.commissioning.examination import Evidence, Examination
from linli_edge.commissioning.progress import Progress, bar
from linli_edge.commissioning.scanner import Heard, Probe
from linli_edge.commissioning.wire_time import show_milliseconds

_BAR: Final = 18


async def run_examination(
    examination: Examination,
    ask: Callable[[Probe], Awaitable[Heard]],
    progress: Progress,
    steady: Callable[[], int],
    lang: Language,
) -> None:
    """Carry out an examination; what was noted stays in it whatever ends it."""
    try:
        while (probe := examination.next()) is not None:
            share = bar(min(examination.done, examination.whole), examination.whole)
            progress.say(text("doctor.progress", lang, bar=share, label=probe.label), steady())
            examination.take(await ask(probe))
    finally:
        progress.clear()


def report(evidence: Evidence, lang: Language) -> str:
    """Return figures and diagnoses in lines for a narrow terminal."""
    totals = _totals(evidence)
    lines = [text("doctor.totals", lang, place=evidence.setting.place, **totals)]
    delays = [delay for notes in evidence.units.values() for delay in notes.delays]
    if delays:
        lines += ["", text("doctor.times", lang)]
        bins = histogram(delays)
        most = max(count for _, count in bins)
        lines += [f"{name:>8}  {'█' * (-(-count * _BAR // most)):<{_BAR}} {count}" for name, count in bins]
    lines.append("")
    for unit, notes in evidence.units.items():
        middle, slow = (show_milliseconds(quantile(notes.delays, share)) for share in (0.5, 0.95))
        key = "doctor.unit" if notes.delays else "doctor.unit_silent"
        words = {"unit": unit, "answered": len(notes.delays), "asked": notes.asked, "middle": middle, "slow": slow}
        lines.append(text(key, lang, **words, damaged=notes.damaged))
    for diagnosis in diagnose(evidence):
        sign = "✓" if diagnosis.kind == HEALTHY else "✗"
        lines += ["", f"{sign} {finding(diagnosis, lang)}"]
        if diagnosis.kind != HEALTHY:
            lines.append(f"  → {remedy(diagnosis, lang)}")
    return "\n".join(lines)


def finding(diagnosis: Diagnosis, lang: Language) -> str:
    """Return what is wrong."""
    return text(f"doctor.finding.{diagnosis.kind}", lang, **diagnosis.values)


def remedy(diagnosis: Diagnosis, lang: Language) -> str:
    """Return what to do."""
    return text(f"doctor.remedy.{diagnosis.kind}", lang, **diagnosis.values)


def as_json(evidence: Evidence, lang: Language, *, complete: bool) -> str:
    """Return figures and diagnoses as one JSON object."""
    delays = [delay for notes in evidence.units.values() for delay in notes.delays]
    diagnoses = diagnose(evidence)
    document: dict[str, Any] = {
        "setting": evidence.setting.place,
        "complete": complete,
        "healthy": [diagnosis.kind for diagnosis in diagnoses] == [HEALTHY],
        **_totals(evidence),
        "histogram_ms": [{"range": name, "count": count} for name, count in histogram(delays)],
        "units": [
            {
                "unit": unit,
                "asked": notes.asked,
                "answered": len(notes.delays),
                "damaged": notes.damaged,
                "silent": notes.silent,
                "doubled": notes.doubled,
                "late": notes.late,
                "median_ms": round(quantile(notes.delays, 0.5) / 1000, 1) if notes.delays else None,
                "p95_ms": round(quantile(notes.delays, 0.95) / 1000, 1) if notes.delays else None,
            }
            for unit, notes in evidence.units.items()
        ],
        "diagnoses": [
            {
                "kind": diagnosis.kind,
                "values": dict(diagnosis.values),
                "text": finding(diagnosis, lang),
                "remedy": remedy(diagnosis, lang) if diagnosis.kind != HEALTHY else None,
            }
            for diagnosis in diagnoses
        ],
    }
    return msgspec.json.encode(document).decode()


def _totals(evidence: Evidence) -> dict[str, object]:
    units = evidence.units.values()
    damaged = sum(notes.damaged for notes in units)
    heard = damaged + sum(len(notes.delays) for notes in units)
    return {
        "asked": evidence.asked,
        "answered": heard - damaged,
        "damaged": damaged,
        "silent": sum(notes.silent for notes in units),
        "crc_share": f"{100 * damaged / heard:.1f} %" if heard else "-",
    }
