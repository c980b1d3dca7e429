"""What a point of line protocol becomes: readings by name, or a refusal that names the line.

Three kinds of fields are understood, in this order:

- ``value``, ``raw``, ``text`` and ``quality`` where the measurement is a quantity of the vocabulary: our own form, the
  one that is exported and that ``/query`` shows;
- fields that the token's ``maps`` say the meaning of: what Telegraf and others send;
- fields whose key is a quantity's name, of the device that the tag ``device`` names.

Everything else is refused by name: what it means nobody can guess.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.errors import ConfigError, RefusalReason, Refused
from linli_core.instant import Instant
from linli_core.model import Kind, Quality, is_id, parse_point, quality_code, quality_from_code
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary
from linli_core.wire.line_protocol import FieldValue, LinePoint

_BAD: Final = quality_code(Quality.BAD)
_NAN: Final = float("nan")
_SHOWN: Final = 60
_OWN: Final = frozenset({"value", "raw", "text", "quality"})
_CACHED: Final = 50_000


class FieldMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one field of another's lines means.

    Attributes:
        measurement, field: Which field.
        point: The point's name below its device: ``air_temperature``, ``energy_import.t1``.
        unit: In which the field is; the quantity's own if left out.
        device: The device it is of.
        device_tag: The tag that names the device, where ``device`` is left out.
        tags: Only of lines that bear these tags.
    """

    measurement: str
    field: str
    point: str
    unit: str = ""
    device: str = ""
    device_tag: str = ""
    tags: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Rules:
    """How one writer's lines are understood.

    Attributes:
        writes_as: The gateway under whose id the readings are kept.
        maps: What fields mean.
        devices: Ids of devices by what their tag says, where it is no id.
    """

    writes_as: str
    maps: tuple[FieldMap, ...] = ()
    devices: Mapping[str, str] = field(default_factory=dict)


def check_maps(maps: Iterable[FieldMap], devices: Mapping[str, str], where: str) -> None:
    """Raise :class:`ConfigError` for the first map that means nothing."""
    words = vocabulary()
    for number, each in enumerate(maps):
        place = f"{where}.maps[{number}]"
        try:
            quantity = parse_point(f"x/{each.point}").quantity
        except ValueError as exc:
            raise ConfigError(
                f"{place}.point", f"{each.point[:_SHOWN]!r} is no point", "write quantity[.qualifier…]"
            ) from exc
        if quantity not in words:
            raise ConfigError(
                f"{place}.point", f"no quantity is called {quantity!r}", "choose one of docs/vocabulary.md"
            )
        try:
            words.convert(quantity, Decimal(0), each.unit or words[quantity].unit)
        except UnitError as exc:
            known = ", ".join(words.units_of(quantity)) or "none"
            raise ConfigError(f"{place}.unit", str(exc), f"units of {quantity}: {known}") from exc
        if bool(each.device) == bool(each.device_tag):
            raise ConfigError(place, "one of device and device_tag is needed", "name the device, or the tag that does")
        if each.device and not is_id(each.device):
            raise ConfigError(
                f"{place}.device", f"{each.device[:_SHOWN]!r} is no id", "use lower case, digits and hyphens"
            )
    for name, device in devices.items():
        if not is_id(device):
            raise ConfigError(
                f"{where}.devices.{name[:_SHOWN]}", f"{device[:_SHOWN]!r} is no id", "use lower case, digits, hyphens"
            )


@dataclass(slots=True)
class Mapped:
    """Readings, parallel; NaN where the value is missing or text.

    Attributes:
        names: Point names below the gateway.
        lines: Number of the line each came from.
        texts: Text values by row.
        refused: What is left out, by line.
    """

    names: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    refused: list[tuple[int, Refused]] = field(default_factory=list)

    def add(self, name: str, time: Instant, value: float | str, quality: int, line: int) -> None:
        """Add a reading; NaN stands for no number."""
        if isinstance(value, str):
            self.texts[len(self.names)] = value
            value = _NAN
        self.names.append(name)
        self.times.append(time)
        self.values.append(value)
        self.quality.append(quality)
        self.lines.append(line)


class LineMapper:
    """Maps one writer's points; remembers the names it has met."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._maps: dict[tuple[str, str], list[FieldMap]] = {}
        for each in rules.maps:
            self._maps.setdefault((each.measurement, each.field), []).append(each)
        self._names: dict[tuple[str, str, str], str] = {}
        self._known = vocabulary()

    def map(self, points: Iterable[LinePoint], now: Instant, earliest: Instant, latest: Instant) -> Mapped:
        """Return the readings of points; those without a time are of ``now``, those beyond the bounds are refused."""
        mapped = Mapped()
        for point in points:
            time = now if point.time is None else point.time
            try:
                self._sound(point, time, earliest, latest)
                if point.measurement in self._known and not point.fields.keys() - _OWN:
                    self._own(mapped, point, time)
                    continue
            except Refused as refused:
                mapped.refused.append((point.number, refused))
                continue
            for key, value in point.fields.items():
                try:
                    self._foreign(mapped, point, key, value, time)
                except Refused as refused:
                    mapped.refused.append((point.number, refused))
        return mapped

    def _sound(self, point: LinePoint, time: Instant, earliest: Instant, latest: Instant) -> None:
        """Refuse a point that is of no time that can be, or of another's gateway."""
        if not earliest <= time <= latest:
            raise Refused(
                RefusalReason.TIME_OUT_OF_RANGE,
                f"{time} µs since 1970: before 2000, or ahead of the present (is the precision right?)",
                where=f"line {point.number}",
            )
        named = point.tags.get("gateway")
        if named is not None and named != self._rules.writes_as:
            raise Refused(
                RefusalReason.FOREIGN_GATEWAY,
                f"gateway {named[:_SHOWN]!r}; this token writes as {self._rules.writes_as!r}",
                where=f"line {point.number}",
            )

    def _own(self, mapped: Mapped, point: LinePoint, time: Instant) -> None:
        """Take a point of our own form: one reading."""
        where = f"line {point.number}"
        name = self._own_name(point, where)
        fields = point.fields
        quality = fields.get("quality", 0 if "value" in fields or "text" in fields else _BAD)
        if isinstance(quality, float) and quality.is_integer():
            quality = int(quality)  # clients in other languages know no whole numbers
        if isinstance(quality, bool) or not isinstance(quality, int) or not _is_code(quality):
            raise Refused(RefusalReason.WRONG_TYPE, f"quality {str(quality)[:_SHOWN]!r} is no code", where=where)
        held = [key for key in ("value", "raw", "text") if key in fields]
        if len(held) > 1:
            raise Refused(RefusalReason.MANY_VALUES, f"{' and '.join(held)}: one value a line", where=where)
        if not held and quality < _BAD:
            raise Refused(RefusalReason.NO_VALUE, "neither a value nor a quality that is bad", where=where)
        if held and (held[0] == "value") != (quality < _BAD) and held[0] != "text":
            raise Refused(
                RefusalReason.WRONG_TYPE, f"{held[0]} with quality {quality}: value is usable, raw is bad", where=where
            )
        value = self._checked(point.measurement, held[0], fields[held[0]], "", where) if held else _NAN
        mapped.add(name, time, value, quality, point.number)

    def _own_name(self, point: LinePoint, where: str) -> str:
        tags = point.tags
        key = (point.measurement, tags.get("point", ""), tags.get("device", ""))
        name = self._names.get(key)
        if name is not None:
            return name
        measurement, given, device = key
        name = given or f"{device}/{measurement}"
        try:
            parsed = parse_point(name)
        except ValueError as exc:
            remedy = "tag point names it (device/quantity), or tag device the device"
            raise Refused(RefusalReason.BAD_NAME, f"{name[:_SHOWN]!r} is no point; {remedy}", where=where) from exc
        if parsed.quantity != measurement or device not in ("", parsed.device):
            raise Refused(
                RefusalReason.BAD_NAME,
                f"point {name[:_SHOWN]!r} under measurement {measurement!r} and device {device[:_SHOWN]!r}",
                where=where,
            )
        self._remember(key, name)
        return name

    def _foreign(self, mapped: Mapped, point: LinePoint, key: str, value: FieldValue, time: Instant) -> None:
        where = f"line {point.number}"
        for each in self._maps.get((point.measurement, key), ()):
            if each.tags.items() <= point.tags.items():
                device = each.device or self._device(point, each.device_tag, where)
                name = self._name(device, each.point, where)
                quantity = each.point.partition(".")[0]
                mapped.add(name, time, self._checked(quantity, key, value, each.unit, where), 0, point.number)
                return
        if key not in self._known or "device" not in point.tags:
            raise Refused(
                RefusalReason.UNKNOWN_QUANTITY,
                f"nothing says what field {key[:_SHOWN]!r} of {point.measurement[:_SHOWN]!r} is: map it in the token's "
                "file, or name it as the vocabulary does and the device in tag device",
                where=where,
            )
        name = self._name(self._device(point, "device", where), key, where)
        mapped.add(name, time, self._checked(key, key, value, "", where), 0, point.number)

    def _device(self, point: LinePoint, tag: str, where: str) -> str:
        said = point.tags.get(tag)
        if said is None:
            raise Refused(RefusalReason.BAD_NAME, f"no tag {tag[:_SHOWN]!r}, which names the device", where=where)
        return self._rules.devices.get(said, said)

    def _name(self, device: str, local: str, where: str) -> str:
        key = ("", local, device)
        name = self._names.get(key)
        if name is None:
            if not is_id(device):
                raise Refused(
                    RefusalReason.BAD_NAME,
                    f"device {device[:_SHOWN]!r} is no id; give it one under devices in the token's file",
                    where=where,
                )
            name = f"{device}/{local}"
            self._remember(key, name)
        return name

    def _remember(self, key: tuple[str, str, str], name: str) -> None:
        if len(self._names) >= _CACHED:
            self._names.clear()
        self._names[key] = name

    def _checked(self, quantity: str, key: str, value: FieldValue, unit: str, where: str) -> float | str:
        """Return a value in the quantity's own unit; what a quantity is, number or text, never changes."""
        word = self._known[quantity]
        if isinstance(value, str):
            if word.kind is not Kind.STATE:
                raise Refused(
                    RefusalReason.WRONG_TYPE, f"{key[:_SHOWN]!r} is text; {quantity} is a number", where=where
                )
            return value
        if isinstance(value, bool) and word.kind is not Kind.STATE:
            raise Refused(
                RefusalReason.WRONG_TYPE, f"{key[:_SHOWN]!r} is true or false; {quantity} is a number", where=where
            )
        if not unit or unit == word.unit:
            return float(value)
        return float(self._known.convert(quantity, Decimal(str(value)), unit))


def _is_code(quality: int) -> bool:
    """Tell whether a number is a quality, with a reason that is known or none."""
    if not 0 <= quality <= 255:
        return False
    try:
        found, reason = quality_from_code(quality)
    except ValueError:
        return False
    return quality_code(found, reason) == quality
