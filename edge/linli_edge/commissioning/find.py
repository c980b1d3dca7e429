"""``linli-edge find``: "the display reads this" – which registers say so?"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import LinkError
from linli_core.instant import SECOND
from linli_core.vocabulary import vocabulary
from linli_edge.commissioning.find_display import Display
from linli_edge.commissioning.find_match import Candidate, agreeing, confirmed, matches
from linli_edge.commissioning.find_sweep import RegisterSweep
from linli_edge.commissioning.progress import bar
from linli_edge.commissioning.scan import Shell
from linli_edge.commissioning.scanner import Heard, Probe
from linli_edge.commissioning.wire_time import show_time
from linli_edge.drivers.modbus.registers import TYPES, DataType, WordOrder

KEPT: Final = 400
"""Candidates of one display that are kept for a second look."""

_SHOWN: Final = 5
_KEEP_EVERY: Final = 5 * SECOND


class Kept(msgspec.Struct):
    """What is kept from one call to the next.

    Attributes:
        unit: Unit id.
        sweep: An unfinished sweep; empty: none.
        looks: What earlier calls left over, by the display's label.
    """

    unit: int
    sweep: dict[str, Any] = msgspec.field(default_factory=dict)
    looks: dict[str, list[tuple[str, int, str, str, int]]] = msgspec.field(default_factory=dict)


Found = Mapping[str, Sequence[Candidate]]
"""Candidates by the display's label."""


def ranges_of(kept: Kept, displays: Sequence[Display]) -> list[tuple[int, int]] | None:
    """Return the only addresses a second look needs; ``None`` where a display is new, and all must be read."""
    if any(display.label not in kept.looks for display in displays):
        return None
    spans = {
        (address, address + TYPES[kind].registers - 1)
        for display in displays
        for _, address, kind, _, _ in kept.looks[display.label]
    }
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


async def run_sweep(sweep: RegisterSweep, kept: Kept, ask: Callable[[Probe], Awaitable[Heard]], shell: Shell) -> None:
    """Carry out a sweep; whatever ends it early, its state is kept first."""
    kept_at = shell.steady()
    try:
        while (probe := sweep.next()) is not None:
            done, whole = sweep.share
            left = show_time(sweep.estimate().time)
            line = text("scan.progress", shell.lang, bar=bar(done, whole), label=probe.label, left=left)
            shell.progress.say(line, shell.steady())
            sweep.take(await ask(probe))
            if shell.steady() - kept_at >= _KEEP_EVERY:
                _keep(sweep, kept, shell)
                kept_at = shell.steady()
    except LinkError:
        if any(sweep.image.values()):
            _keep(sweep, kept, shell)
        raise
    except BaseException:
        _keep(sweep, kept, shell)
        raise
    finally:
        shell.progress.clear()


def _keep(sweep: RegisterSweep, kept: Kept, shell: Shell) -> None:
    kept.sweep = dict(sweep.state())
    shell.kept.save(msgspec.to_builtins(kept))


def conclude(sweep: RegisterSweep, kept: Kept, displays: Sequence[Display], tolerance: Fraction) -> Found:
    """Return the candidates of each display, ranked, and note in ``kept`` what a second look may start from."""
    found: dict[str, list[Candidate]] = {}
    for display in displays:
        fresh = matches(sweep.image, display, tolerance)
        earlier = kept.looks.get(display.label)
        if earlier is not None:
            keys = set(earlier)
            scored = {candidate.key: candidate for candidate in fresh}
            fresh = confirmed([scored[key] for key in keys if key in scored], sweep.image, display, tolerance)
        found[display.label] = fresh
    ranked = agreeing(found)
    kept.sweep = {}
    kept.looks |= {label: [candidate.key for candidate in items[:KEPT]] for label, items in ranked.items()}
    return ranked


def report(
    sweep: RegisterSweep, displays: Sequence[Display], found: Found, lang: Language, *, again: bool = False
) -> str:
    """Return what was found, in lines for a narrow terminal, and the best of each as TOML.

    Args:
        sweep: What was read.
        displays: What the displays show.
        found: What says so.
        lang: Language.
        again: Whether only what fitted an earlier look was read.
    """
    counts = {table: len(words) for table, words in sweep.image.items()}
    lines = [text("find.read", lang, holding=counts.get("holding", 0), input=counts.get("input", 0))]
    points: list[str] = []
    sure = True
    for display in displays:
        candidates = found[display.label]
        lines += ["", text("find.display", lang, display=display.text, count=len(candidates))]
        if not candidates:
            lines.append(text("find.none_again" if again else "find.none", lang))
            continue
        for number, candidate in enumerate(candidates[:_SHOWN], start=1):
            lines.append(f"{number}. {_layout(candidate)}")
            lines.append(f"   = {show_value(candidate)}")
        if len(candidates) > _SHOWN:
            lines.append(text("find.more", lang, count=len(candidates) - _SHOWN))
        if len(candidates) > 1:
            lines.append(text("find.narrow", lang))
            sure = False
        points.append(toml(candidates[0], display))
    if points:
        lines += ["", f"# {text('find.toml' if sure else 'find.unsure', lang)}", "\n\n".join(points)]
    return "\n".join(lines)


def _layout(candidate: Candidate) -> str:
    order = f" {candidate.order}" if candidate.kind.registers > 1 else ""
    scale = f" ×{show_scale(candidate.exponent)}" if candidate.exponent else ""
    return f"{candidate.table} {candidate.address} {candidate.kind.label}{order}{scale}"


def show_scale(exponent: int) -> str:
    """Return a power of ten as TOML and people write it: ``0.01``, ``1000``."""
    return str(10**exponent) if exponent >= 0 else f"0.{'0' * (-exponent - 1)}1"


def show_value(candidate: Candidate) -> str:
    """Return what the registers say, with no more digits than their type holds."""
    digits = 7 if candidate.kind is DataType.FLOAT32 else 15
    return f"{float(candidate.value):.{digits}g}"


def toml(candidate: Candidate, display: Display) -> str:
    """Return a candidate as a point of a device's table."""
    lines = ["[[links.devices.points]]"]
    point = display.point
    lines.append(f'quantity = "{point.quantity if point is not None else "…"}"')
    if point is not None:
        lines += [f'phase = "{point.phase.value}"'] if point.phase is not None else []
        lines += [
            f"{key} = {number}"
            for key, number in (("channel", point.channel), ("tariff", point.tariff), ("storage", point.storage))
            if number is not None
        ]
    lines += [f'table = "{candidate.table}"', f"address = {candidate.address}", f'type = "{candidate.kind.label}"']
    if candidate.order is not WordOrder.ABCD:
        lines.append(f'order = "{candidate.order}"')
    if candidate.exponent:
        lines.append(f"scale = {show_scale(candidate.exponent)}")
    if point is None or vocabulary()[point.quantity].unit:
        lines.append(f'unit = "{display.unit or "…"}"')
    return "\n".join(lines)


def as_json(sweep: RegisterSweep, displays: Sequence[Display], found: Found) -> str:
    """Return what was found as one JSON object."""
    document = {
        "registers": {table: len(words) for table, words in sweep.image.items()},
        "displays": [
            {
                "display": display.text,
                "label": display.label,
                "candidates": [
                    {
                        "table": candidate.table,
                        "address": candidate.address,
                        "type": candidate.kind.label,
                        "order": candidate.order.value,
                        "scale": float(10.0**candidate.exponent),
                        "value": float(candidate.value),
                        "score": round(candidate.score, 1),
                    }
                    for candidate in found[display.label][:50]
                ],
                "count": len(found[display.label]),
                "toml": toml(found[display.label][0], display) if found[display.label] else "",
            }
            for display in displays
        ],
    }
    return msgspec.json.encode(document).decode()
