"""Readings in a CSV file (RFC 4180), with a first line that names the columns."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import DAY, Instant, from_rfc3339
from linli_core.model import Kind, Quality, is_id, parse_point, quality_code, quality_from_label
from linli_core.vocabulary import vocabulary
from linli_platform.exchange import ExchangeError
from linli_platform.exchange.portions import Place, Portion, Rows, out_of_range
from linli_platform.ingest.settings import Limits
from linli_platform.store import Store

PORTION: Final = 100_000
"""Lines of one portion."""

_LONGEST_LINE: Final = 65_536
_BAD: Final = quality_code(Quality.BAD)
_EARLIEST: Final = Limits().earliest
_NAN: Final = float("nan")
_NEEDED: Final = ("time", "point")
_VALUES: Final = ("value", "raw", "text")
_KNOWN: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV file.

    Attributes:
        path: The file.
        store: Where the series are.
        gateway: The gateway of lines that name none; may be empty.
        now: What lies more than a day ahead of it is refused.
    """

    path: Path
    store: Store
    gateway: str
    now: Instant

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def portions(self, start: Place) -> Iterator[Portion]:
        """Return what stands from a place on."""
        with self.path.open("rb") as file:
            lines = _Lines(file)
            table = csv.reader(lines, strict=True)
            head = next(table, [])
            reader = _Reader(self, self._columns(head))
            if start.at:
                file.seek(start.at)
                lines.at, lines.count = start.at, start.line
            table = csv.reader(lines, strict=True)
            rows = Rows()
            held, ended = 0, False
            while not ended:
                line = lines.count + 1
                try:
                    cells = next(table)
                except StopIteration:
                    ended = True
                except csv.Error as exc:
                    rows.refuse(line, Refused(RefusalReason.MALFORMED, str(exc), where=f"line {line}"))
                    table = csv.reader(lines, strict=True)
                else:
                    reader.take(rows, line, cells)
                held += 1
                if held >= PORTION or ended:
                    yield rows.take(Place(lines.at, lines.count))
                    held = 0

    def _columns(self, head: list[str]) -> dict[str, int]:
        columns = {name.strip().lower().removeprefix("\ufeff"): place for place, name in enumerate(head)}
        missing = [name for name in _NEEDED if name not in columns]
        if not any(name in columns for name in _VALUES):
            missing.append("value")
        if "gateway" not in columns and not self.gateway:
            missing.append("gateway (or --gateway)")
        if missing:
            raise ExchangeError(
                f"{self.path}: line 1: no column {', '.join(missing)}; found {', '.join(head)[:200] or 'nothing'}; "
                "the first line names the columns as an export does"
            )
        return columns


class _Lines:
    """The lines of a file as text, counted; bytes that are no UTF-8 spoil their line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.at = 0
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(_LONGEST_LINE)
        if not raw:
            raise StopIteration
        self.at += len(raw)
        self.count += raw.endswith(b"\n")
        return raw.decode(errors="replace")


class _Reader:
    """Reads rows; points that come again are looked up once."""

    def __init__(self, source: CsvSource, columns: dict[str, int]) -> None:
        self._source = source
        self._place = columns
        self._most = max(columns.values())
        self._series: dict[tuple[str, str], int] = {}
        self._codes: dict[str, int] = {}
        self._latest = source.now + DAY

    def take(self, rows: Rows, line: int, cells: list[str]) -> None:
        """Take a row in, or say why not."""
        if not cells:
            return
        try:
            self._take(rows, line, cells)
        except Refused as refused:
            rows.refuse(line, refused)

    def _take(self, rows: Rows, line: int, cells: list[str]) -> None:
        where = f"line {line}"
        if len(cells) <= self._most:
            raise Refused(RefusalReason.MALFORMED, f"{len(cells)} cells; {self._most + 1} are wanted", where=where)

        def cell(name: str) -> str:
            place = self._place.get(name)
            return "" if place is None else cells[place]

        try:
            time = from_rfc3339(cell("time"))
        except ValueError as exc:
            raise Refused(
                RefusalReason.MALFORMED, f"time {cell('time')[:80]!r} is no RFC 3339 time with an offset", where=where
            ) from exc
        if not _EARLIEST <= time <= self._latest:
            raise out_of_range(time, where)
        series = self._number(cell("gateway") or self._source.gateway, cell("point"), where)
        held = [name for name in _VALUES if cell(name)]
        if len(held) > 1:
            raise Refused(RefusalReason.MANY_VALUES, f"{' and '.join(held)}: one value a line", where=where)
        if not held and self._may_be_empty(cell("point"), cell("quality"), where):
            held = ["text"]
        quality = self._quality(cell("quality"), "" if not held else held[0], where)
        if held == ["text"]:
            rows.add(series, time, _NAN, cell("text"), quality)
        else:
            rows.add(series, time, _number_in(cell(held[0]), held[0], where) if held else _NAN, None, quality)

    def _number(self, gateway: str, name: str, where: str) -> int:
        key = (gateway, name)
        number = self._series.get(key)
        if number is not None:
            return number
        number = series_of(self._source.store, gateway, name, where)
        if len(self._series) >= _KNOWN:
            self._series.clear()
        self._series[key] = number
        return number

    def _may_be_empty(self, name: str, label: str, where: str) -> bool:
        """Tell whether a cell without anything is a text of no length: what is missing is never good."""
        is_state = vocabulary()[parse_point(name).quantity].kind is Kind.STATE
        return is_state and bool(label) and code_of(label, where) < _BAD

    def _quality(self, label: str, held: str, where: str) -> int:
        code = self._codes.get(label)
        if code is None:
            code = self._codes[label] = code_of(label, where) if label else -1
        if code < 0:
            code = 0 if held in ("value", "text") else _BAD
        check_quality(held, code, where)
        return code


def series_of(store: Store, gateway: str, name: str, where: str) -> int:
    """Return the series of a point, made if new; :class:`Refused` if it is none."""
    if not is_id(gateway):
        said = f"gateway {gateway[:80]!r} is no id" if gateway else "no gateway; --gateway names one for all"
        raise Refused(RefusalReason.BAD_NAME, said, where=where)
    try:
        quantity = parse_point(name).quantity
    except ValueError as exc:
        raise Refused(RefusalReason.BAD_NAME, str(exc)[:200], where=where) from exc
    if quantity not in vocabulary():
        raise Refused(RefusalReason.UNKNOWN_QUANTITY, f"no quantity is called {quantity!r}", where=where)
    return store.series(gateway, name).id


def code_of(label: str, where: str) -> int:
    """Return the code of a quality; :class:`Refused` if there is none of this name."""
    try:
        return quality_code(*quality_from_label(label))
    except ValueError as exc:
        raise Refused(RefusalReason.WRONG_TYPE, str(exc)[:200], where=where) from exc


def check_quality(held: str, code: int, where: str) -> None:
    """Refuse a value that its quality says is none, or the other way round."""
    if not held and code < _BAD:
        raise Refused(RefusalReason.NO_VALUE, "neither a value nor a quality that is bad", where=where)
    if (held == "value" and code >= _BAD) or (held == "raw" and code < _BAD):
        raise Refused(RefusalReason.WRONG_TYPE, f"{held} with quality {code}: value is usable, raw is bad", where=where)


def _number_in(text: str, name: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        raise Refused(RefusalReason.WRONG_TYPE, f"{name} {text[:80]!r} is no number", where=where) from exc
    if not math.isfinite(number) or "_" in text:
        raise Refused(RefusalReason.NOT_FINITE, f"{name} {text[:80]!r} is no number that fits", where=where)
    return number
