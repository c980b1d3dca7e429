"""All recordings of a protocol before its judge, and the count of what came of them."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from linli_core.errors import LinliError
from linli_sim.vectors.protocols import Judge
from linli_sim.vectors.verdict import Outcome, Verdict

MOST_LISTED: Final = 3
"""Percent of a protocol's recordings whose expectation may be argued away."""

_USUAL: Final = Path("..") / "shared" / "vectors"


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of all recordings of one protocol."""

    protocol: str
    verdicts: Mapping[str, Verdict]

    @property
    def sound(self) -> bool:
        """Whether there are recordings, none of them is wrong, and few enough are listed."""
        counts = self._counts()
        listed = counts[Outcome.LISTED]
        return bool(self.verdicts) and not counts[Outcome.WRONG] and 100 * listed <= MOST_LISTED * len(self.verdicts)

    def line(self) -> str:
        """Return the count as one line of JSON."""
        counts = self._counts()
        shown = {"protocol": self.protocol, "vectors": len(self.verdicts)}
        return json.dumps(shown | {outcome.value: counts[outcome] for outcome in Outcome})

    def _counts(self) -> Counter[Outcome]:
        return Counter(verdict.outcome for verdict in self.verdicts.values())


def folder() -> Path:
    """Return where the recordings are looked for: ``LINLI_VECTORS``, or ``../shared/vectors``."""
    return Path(os.environ.get("LINLI_VECTORS") or _USUAL)


def tally(protocol: str, judge: Judge, recordings: Path) -> Tally:
    """Judge every recording in a protocol's folder, in the order of their names."""
    return Tally(protocol, dict(_verdicts(judge, recordings)))


def _verdicts(judge: Judge, recordings: Path) -> Iterator[tuple[str, Verdict]]:
    seen = set()
    for path in sorted(recordings.glob("*.json")):
        seen.add(path.stem)
        yield path.stem, _verdict(judge, path)
    for stem in sorted(judge.LISTED.keys() - seen):
        yield stem, Verdict(Outcome.WRONG, "is listed, and there is no such recording")


def _verdict(judge: Judge, path: Path) -> Verdict:
    document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    try:
        verdict = judge.judge(document, path)
    except LinliError as exc:
        return Verdict(Outcome.WRONG, f"{type(exc).__name__}: {exc}")
    listed = judge.LISTED.get(path.stem)
    if verdict.outcome is Outcome.LISTED:
        return Verdict(Outcome.LISTED, listed) if listed else Verdict(Outcome.WRONG, f"not in LISTED: {verdict.why}")
    if listed is not None and verdict.outcome is not Outcome.WRONG:
        return Verdict(Outcome.WRONG, f"is listed, but the verdict is {verdict.outcome}: take it out of the list")
    return verdict
