"""``linli-edge commission``: reads every point once, compares it with the displays, and makes the signed sheet."""

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError, DeviceError, LinkError, LinkTimeout, LinliError, ProtocolError
from linli_core.instant import Instant
from linli_core.model import Quality, Reading
from linli_edge.commissioning.cjk_font import find_font
from linli_edge.commissioning.compare import Shown, Verdict
from linli_edge.commissioning.sheet import FORMAT, DeviceSheet, PointLine, Sheet, as_data, point_lines, stamp
from linli_edge.commissioning.sheet_html import as_html, beside, counts
from linli_edge.commissioning.signature import BadSignature, GatewayKey, Signed, verify
from linli_edge.config.file import load_toml
from linli_edge.config.gateway import GatewayConfig
from linli_edge.driver import PlannedPoll
from linli_edge.read import Visit, visit

_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the largest sheet that is looked at: a thousand points have a quarter of a megabyte."""

_KEYS: Final = ("unit", "address", "secondary", "profile", "serial_number")
"""Keys of a device's table that tell the person in the basement which one it is."""


async def read_all(config: GatewayConfig, tell: Callable[[str], None]) -> list[Visit]:
    """Poll every device of every link once; ``tell`` is called with each device's name before."""

    def polling(planned: PlannedPoll) -> None:
        tell(planned.device)

    visits = []
    for link in config.links:
        tell(link.id)
        visits.append(await visit(link, before=polling))
    return visits


def readings_of(visits: Sequence[Visit]) -> list[Reading]:
    """Return every reading."""
    return [reading for seen in visits for poll in seen.polled for reading in poll.readings]


def refuse_unknown(shown: Mapping[str, Shown], visits: Sequence[Visit]) -> None:
    """Raise ``ConfigError`` for a display of a point that the configuration does not have."""
    known = [reading.point.name for reading in readings_of(visits)]
    if any(seen.error is not None or any(poll.error for poll in seen.polled) for seen in visits):
        # What was not reached may have had it.
        return
    for name in shown:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else "linli-edge read CONFIG shows the points"
            raise ConfigError("--display", f'no point is called "{name}"', hint)


def make_sheet(
    config: GatewayConfig,
    path: Path,
    visits: Sequence[Visit],
    shown: Mapping[str, Shown],
    *,
    by: str,
    now: Instant,
    utc_offset: int,
    lang: Language,
) -> Sheet:
    """Return the sheet of a visit; ``utc_offset`` in minutes."""
    tables = _device_tables(path)
    devices = [device for seen in visits for device in _devices(seen, tables, shown, lang)]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Sheet(FORMAT, config.id, version("linli"), now, utc_offset, by, digest, devices)


def _devices(
    seen: Visit, tables: Mapping[str, Mapping[str, Any]], shown: Mapping[str, Shown], lang: Language
) -> list[DeviceSheet]:
    settings = getattr(seen.link.config, "transport", None)
    place = str(getattr(settings, "place", ""))
    plan = seen.link.spec.plan(seen.link.config) if seen.link.spec.plan is not None else ()
    names = list(dict.fromkeys([*(planned.device for planned in plan), *(poll.planned.device for poll in seen.polled)]))
    sheets = []
    for name in names:
        polls = [poll for poll in seen.polled if poll.planned.device == name]
        readings = [reading for poll in polls for reading in poll.readings]
        errors = [poll.error for poll in polls if poll.error is not None]
        error = errors[0] if errors else None if polls else seen.error
        said = f"{error} → {remedy(error, lang)}" if error is not None else ""
        keys = {key: str(value) for key, value in tables.get(name, {}).items() if key in _KEYS}
        sheets.append(DeviceSheet(name, seen.link.id, place, keys, point_lines(readings, shown), said))
    return sheets


def remedy(error: LinliError, lang: Language) -> str:
    """Return what to do about an error, for the person at the meter."""
    kinds = ((LinkTimeout, "timeout"), (LinkError, "link"), (ProtocolError, "protocol"), (DeviceError, "device"))
    kind = next((name for known, name in kinds if isinstance(error, known)), "other")
    return text(f"commission.remedy.{kind}", lang)


def _device_tables(path: Path) -> dict[str, Mapping[str, Any]]:
    links = load_toml(path).get("links", [])
    return {str(device.get("id")): device for link in links for device in link.get("devices", [])}


def report(sheet: Sheet, lang: Language) -> str:
    """Return a sheet in lines for a narrow terminal."""
    lines = []
    for device in sheet.devices:
        lines.append(f"{'✓' if device.is_well else '✗'} {device.id}")
        if device.error:
            lines.append(f"  {device.error}")
        if (said := _all_unread(device, lang)) is not None:
            lines.append(f"  {text('commission.unread', lang, count=len(device.points), said=said)}")
            continue
        for point in device.points:
            value = f"{point.value} {point.unit}".strip() if point.value else "–"
            lines.append(f"  {point.name}  {value}")
            lines.append(f"    {_said(point, lang)}")
    lines += ["", text(f"sheet.{'well' if sheet.is_well else 'ill'}", lang), counts(sheet, lang)]
    return "\n".join(lines)


def _said(point: PointLine, lang: Language) -> str:
    said = text(f"sheet.verdict.{point.verdict}", lang)
    return f"{said} · {note}" if (note := beside(point, lang)) else said


def _all_unread(device: DeviceSheet, lang: Language) -> str | None:
    """Return what is said of every point of a silent device alike: once is enough on a telephone, the sheet has all."""
    said = {_said(point, lang) for point in device.points}
    unread = len(device.points) > 1 and all(point.verdict == Verdict.UNREAD for point in device.points)
    return said.pop() if unread and len(said) == 1 else None


def write_sheet(sheet: Sheet, key: GatewayKey, folder: Path, lang: Language) -> tuple[list[Path], ConfigError | None]:
    """Write JSON, HTML and PDF; return the files, and why there is no PDF where no font will do.

    Raises:
        ConfigError: The folder cannot be written.
    """
    data = as_data(sheet)
    signed = key.sign(data)
    stem = f"handover-{sheet.gateway}-{sheet.minute}"
    document = msgspec.json.format(msgspec.json.encode({"sheet": data, "signature": signed}), indent=1)
    contents: list[tuple[str, bytes]] = [
        (f"{stem}.json", document),
        (f"{stem}.html", as_html(sheet, signed, lang).encode()),
    ]
    missing: ConfigError | None = None
    try:
        contents.append((f"{stem}.pdf", _pdf(sheet, signed, lang)))
    except ConfigError as exc:
        missing = exc
    written = []
    for name, content in contents:
        with writing(folder):
            (folder / name).write_bytes(content)
        written.append(folder / name)
    return written, missing


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder and let the block write into it; raise ``ConfigError`` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise ConfigError("--out", f"{folder} cannot be written ({exc.strerror})", "name another folder") from exc


def read_sheet(path: Path) -> tuple[Sheet, Signed]:
    """Return a sheet whose signature is right, and the signature.

    Raises:
        BadSignature: It is not, or the file is no sheet.
        ConfigError: The file cannot be read.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BadSignature(f"{path}: larger than any sheet", "no_sheet")
        document = path.read_bytes()
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read ({exc.strerror})", "check the path") from exc
    content, signed = verify(document)
    try:
        sheet = msgspec.convert(content, Sheet)
        stamp(sheet.made_at, sheet.utc_offset)
    except (msgspec.ValidationError, OverflowError, ValueError) as exc:
        # Signed by somebody, but none of ours: whoever has a key can sign anything.
        raise BadSignature(f"{path}: no sheet of this version", "no_sheet") from exc
    return sheet, signed


def harmless(sheet: Sheet) -> Sheet:
    """Return a sheet of whoever's making without what a terminal would obey: one line each text, no control codes."""
    return msgspec.convert(_printable(msgspec.to_builtins(sheet)), Sheet)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(char if char.isprintable() else " " for char in value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def _pdf(sheet: Sheet, signed: Signed, lang: Language) -> bytes:
    font = find_font()
    from linli_edge.commissioning.sheet_pdf import as_pdf  # noqa: PLC0415 - without a font nobody needs it

    return as_pdf(sheet, signed, lang, font)


def asked_for(readings: Sequence[Reading], shown: Mapping[str, Shown]) -> list[Reading]:
    """Return the readings whose display a person can still be asked for."""
    return [item for item in readings if item.quality is not Quality.BAD and item.point.name not in shown]
