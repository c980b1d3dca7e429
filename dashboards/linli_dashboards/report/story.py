"""A report's figures, said in a language."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from linli_core.catalogue import Language, catalogue, counted, text
from linli_dashboards.palette import PRIORITIES as PRIORITY_COLORS
from linli_dashboards.palette import SERIES, Shade
from linli_dashboards.report.charts import INK, Frame, Layer, against, ranges, stacked
from linli_dashboards.report.document import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Picture,
    Table,
    Tile,
    Tiles,
    Tone,
)
from linli_dashboards.report.figures import PRIORITIES, ColdUnit, Figures, Share, Use
from linli_dashboards.report.letters import name_of
from linli_dashboards.report.material import Material

_WELL_ABOVE: Final = 0.99
_ILL_BELOW: Final = 0.95
_CHARTS: Final = 10
"""Of cold points: a supermarket has a hundred."""
_UNITS: Final = {"m3": "m³"}
_UTILITY_COLORS: Final = {
    "electricity": SERIES[0],
    "water": SERIES[4],
    "hot_water": SERIES[5],
    "gas": SERIES[1],
    "heat": SERIES[3],
}


def tell(figures: Figures, lang: Language, left_out: Sequence[str] = ()) -> Document:
    """Return a report.

    Args:
        figures: What it tells.
        lang: The language.
        left_out: Devices that were left out of consumption, as ``gateway/device``.
    """
    teller = _Teller(figures, lang)
    material = figures.material
    month, made = material.month, teller.moment(material.made_at)
    area = teller.area(material.area) if material.area else text("report.everywhere", lang)
    said = f"{month.year} 年 {month.number} 月" if lang == "zh" else month.days[0].strftime("%B %Y")
    subtitle = text("report.subtitle", lang, month=said, zone=month.zone.key, made=made)
    if material.made_at < month.end:
        subtitle = f"{subtitle} {text('report.so_far', lang, made=made)}"
    blocks = (
        teller.glance(),
        *teller.coverage(),
        *teller.completeness(),
        *teller.alarms(),
        *teller.consumption(left_out),
        *teller.cold(),
        *teller.losses(),
        Heading(text("report.notes", lang)),
        *(Paragraph(text(f"report.{note}", lang), Tone.SOFT) for note in ("note_missing", "note_complete", "note_use")),
    )
    foot = text("report.foot", lang, area=area, month=said)
    return Document(lang, text("report.title", lang, area=area), subtitle, foot, blocks)


class _Teller:
    def __init__(self, figures: Figures, lang: Language) -> None:
        self._figures = figures
        self._material: Material = figures.material
        self._lang: Language = lang
        self._days = tuple(str(day.day) for day in self._material.month)

    # The parts

    def glance(self) -> Tiles:
        figures, high = self._figures, self._figures.responses[0]
        answered = "" if high.ninth is None else self._say("tile_answer_note", span=self.span(high.ninth))
        share = figures.share.part
        tiles = [
            Tile(
                self._say("tile_devices"),
                self._of(figures.heard, figures.devices),
                self._say("tile_communities", **self._communities()) if len(figures.communities) > 1 else "",
                Tone.SOFT if not figures.devices else Tone.WELL if figures.heard == figures.devices else Tone.ILL,
            ),
            Tile(self._say("tile_complete"), self.percent(share), "", _tone(share)),
            Tile(
                self._say("tile_alarms"),
                f"{figures.raised:,}",
                self._say("tile_high", count=high.raised),
            ),
            Tile(self._say("tile_answer"), self._answered(), answered),
        ]
        tiles += [
            Tile(
                self._utility(use),
                self.amount(use.total, use.unit),
                self._against(use),
            )
            for use in figures.uses
            if use.total is not None
        ]
        if figures.cold:
            out = figures.out
            note = self._count("tile_cold_note", len(figures.cold))
            tone = Tone.ILL if out else Tone.WELL
            tiles.append(
                Tile(self._say("tile_cold"), self.span(out.total_seconds()) if out else self._say("none"), note, tone)
            )
        lost = figures.lost_messages
        tone = Tone.ILL if lost else Tone.WELL
        tiles.append(Tile(self._say("tile_losses"), f"{lost:,}", self._say("tile_losses_note") if lost else "", tone))
        return Tiles(tuple(tiles))

    def coverage(self) -> Iterator[Block]:
        figures = self._figures
        yield Heading(self._say("coverage"))
        told = self._count("coverage_text", figures.devices, heard=f"{figures.heard:,}")
        if len(figures.communities) > 1:
            space = " " if self._lang == "en" else ""
            told = f"{told}{space}{self._say('communities_text', **self._communities())}"
        yield Paragraph(told)
        heads = (Column(self._say("kind"), 3), *self._figure_heads("devices", "heard", "silent"))
        rows = [(Cell(self.kind(kind.name)), *self._heard(kind.devices, kind.heard)) for kind in figures.kinds]
        if rows:
            yield Table(heads, tuple(rows))
        if len(figures.communities) > 1:
            heads = (
                Column(self._say("community"), 3),
                *self._figure_heads("devices", "heard", "silent", "share", "alarms"),
                Column(self._say("high"), 1, is_figure=True),
            )
            yield Table(
                heads,
                tuple(
                    (
                        Cell(self.area(each.area)),
                        *self._heard(each.devices, each.heard),
                        self._share(each.share),
                        Cell(f"{each.alarms:,}"),
                        Cell(f"{each.high:,}"),
                    )
                    for each in sorted(figures.communities, key=lambda one: _natural(self.area(one.area)))
                ),
            )

    def completeness(self) -> Iterator[Block]:
        figures = self._figures
        yield Heading(self._say("completeness"))
        share = figures.share
        if share.part is None:
            yield Paragraph(self._say("complete_none"))
        else:
            told = {name: f"{getattr(share, name):,}" for name in ("good", "unusable", "missing", "late")}
            yield Paragraph(self._count("complete_text", share.expected, **told))
        if share.unknown:
            yield Paragraph(self._count("complete_unknown", share.unknown), Tone.SOFT)
        if share.part is None:
            return
        percents = tuple(None if day.part is None else day.part * 100 for day in figures.share_days)
        title = self._say("complete_days")
        layer = Layer(self._say("share"), Shade.GOOD, percents)
        yield Picture(title, stacked(self._frame("%", title), [layer], highest=100.0))
        if not figures.worst:
            yield Paragraph(self._say("complete_well"), Tone.WELL)
            return
        heads = (
            Column(self._say("worst_devices"), 3),
            Column(self._say("place"), 3),
            *self._figure_heads("share", "unusable", "missing", "late"),
        )
        yield Table(
            heads,
            tuple(
                (
                    Cell(self.device(key)),
                    Cell(self.where(key), Tone.SOFT),
                    self._share(one),
                    Cell(f"{one.unusable:,}"),
                    Cell(f"{one.missing:,}"),
                    Cell(f"{one.late:,}"),
                )
                for key, one in figures.worst
            ),
        )

    def alarms(self) -> Iterator[Block]:
        figures = self._figures
        yield Heading(self._say("alarms"))
        if not figures.raised:
            yield Paragraph(self._say("alarms_none"), Tone.WELL)
            return
        heads = (
            Column(self._say("priority"), 1.3),
            *self._figure_heads("raised", "acknowledged", "middle", "ninth", "in_time", "standing"),
        )
        rows = tuple(
            (
                Cell(self._priority(each.priority)),
                Cell(f"{each.raised:,}"),
                Cell(self._of(each.acknowledged, each.raised)),
                Cell(self.span(each.middle) if each.acknowledged else "–"),
                Cell(self.span(each.ninth) if each.acknowledged else "–"),
                Cell(self._of(each.in_time, each.timed) if each.timed else "–"),
                Cell(f"{each.standing:,}", Tone.ILL if each.standing else Tone.PLAIN),
            )
            for each in figures.responses
        )
        yield Table(heads, rows)
        layers = [
            Layer(self._priority(priority), PRIORITY_COLORS[priority], figures.alarm_days[priority])
            for priority in reversed(PRIORITIES)
        ]
        title = self._say("alarms_days")
        yield Picture(title, stacked(self._frame("", title), layers, whole=True))
        yield Table(
            (Column(self._say("worst_rules"), 5), *self._figure_heads("raised", "subjects")),
            tuple(
                (Cell(self._rule(rule)), Cell(f"{count:,}"), Cell(f"{subjects:,}"))
                for rule, count, subjects in figures.worst_rules
            ),
        )

    def consumption(self, left_out: Sequence[str]) -> Iterator[Block]:
        uses = [use for use in self._figures.uses if use.total is not None]
        yield Heading(self._say("consumption"))
        if not uses:
            yield Paragraph(self._say("use_none"))
            return
        yield Paragraph(self._say("use_text"))
        if left_out:
            yield Paragraph(
                self._say("left_out", devices="、".join(left_out) if self._lang == "zh" else ", ".join(left_out))
            )
        heads = (
            Column(self._say("utility"), 1.6),
            *self._figure_heads("meters", "this_year", "last_year", "change", "compared"),
        )
        yield Table(
            heads,
            tuple(
                (
                    Cell(self._utility(use)),
                    Cell(f"{use.meters:,}"),
                    Cell(self.amount(use.total, use.unit)),
                    self._amount_or_unknown(use),
                    Cell(_signed(use.change) or self._say("unknown"), Tone.PLAIN if use.both else Tone.SOFT),
                    Cell(f"{use.both:,}"),
                )
                for use in uses
            ),
        )
        yield Paragraph(self._say("use_change"), Tone.SOFT)
        for what in ("partial", "broken", "dayless"):
            if count := sum(getattr(use, what) for use in uses):
                yield Paragraph(self._count(f"use_{what}", count), Tone.SOFT)
        for use in uses:
            yield from self._use(use)

    def cold(self) -> Iterator[Block]:
        units = self._figures.cold
        yield Heading(self._say("cold"))
        if not units:
            yield Paragraph(self._say("cold_none"))
            return
        yield Paragraph(self._say("cold_text"))
        heads = (
            Column(self._say("unit"), 3.2),
            *self._figure_heads("lowest", "mean", "kinetic", "highest"),
            Column(self._say("out"), 1.6, is_figure=True),
            *self._figure_heads("alarms", "record"),
        )
        yield Table(
            heads,
            tuple(
                (
                    Cell(self._cold_name(unit)),
                    *(Cell(f"{value:.1f}") for value in (unit.lowest, unit.mean, unit.kinetic, unit.highest)),
                    Cell(*self._out(unit)),
                    Cell(f"{unit.alarms:,}"),
                    self._share(unit.share),
                )
                for unit in units
            ),
        )
        if len(units) > _CHARTS:
            yield Paragraph(self._say("cold_first", count=_CHARTS), Tone.SOFT)
        for unit in units[:_CHARTS]:
            title = self._say("cold_days", unit=self._cold_name(unit))
            days = [unit.days.get(day) for day in self._material.month]
            lowest, mean, highest = (
                Layer(name, color, tuple(None if day is None else getattr(day, what) for day in days))
                for name, color, what in (
                    ("", Shade.NOTICE, "lowest"),
                    (self._say("cold_mean"), INK, "mean"),
                    (self._say("cold_range"), Shade.NOTICE, "highest"),
                )
            )
            marks = {
                number: Shade.DANGER.value for number, day in enumerate(self._material.month) if unit.out_days.get(day)
            }
            yield Picture(
                title, ranges(self._frame("°C", title, 36.0), lowest, highest, mean, marks, self._say("cold_out"))
            )

    def losses(self) -> Iterator[Block]:
        lost = self._figures.lost
        yield Heading(self._say("losses"))
        if not lost:
            yield Paragraph(self._say("losses_none"), Tone.WELL)
            return
        yield Paragraph(self._say("losses_text"))
        heads = (
            Column(self._say("gateway"), 2),
            Column(self._say("cause"), 3),
            *self._figure_heads("ranges", "messages", "readings"),
        )
        yield Table(
            heads,
            tuple(
                (
                    Cell(self.gateway(each.gateway)),
                    Cell(self._cause(each.cause)),
                    Cell(f"{each.ranges:,}"),
                    Cell(f"{each.messages:,}"),
                    Cell(self._say("unknown") if each.readings is None else f"{each.readings:,}"),
                )
                for each in lost
            ),
        )

    # Words and figures

    def area(self, area: str) -> str:
        known = self._material.areas.get(area)
        return name_of(known.titles.of(self._lang, area), area) if known is not None else area

    def gateway(self, gateway: str) -> str:
        known = self._material.gateways.get(gateway)
        return name_of(known.titles.of(self._lang, gateway), gateway) if known is not None else gateway

    def device(self, key: tuple[str, str]) -> str:
        known = self._material.devices.get(key)
        return name_of(known.titles.of(self._lang, key[1]), key[1]) if known is not None else key[1]

    def where(self, key: tuple[str, str]) -> str:
        place = self._material.place_of(key) if key in self._material.devices else None
        return self.area(place) if place is not None else self.gateway(key[0])

    def kind(self, kind: str) -> str:
        key = f"report.kind_of.{kind or 'other'}"
        return catalogue(self._lang).get(key) or name_of(kind.replace("_", " "), kind)

    def moment(self, moment: datetime) -> str:
        return moment.astimezone(self._material.month.zone).strftime("%Y-%m-%d %H:%M")

    def percent(self, share: float | None) -> str:
        if share is None:
            return self._say("unknown")
        # 99.96 % is not all.
        return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"

    def span(self, seconds: float | None) -> str:
        if seconds is None:
            return self._say("unknown")
        length = timedelta(seconds=round(seconds))
        if length < timedelta(minutes=1):
            return text("report.span.seconds", self._lang, count=length.seconds)
        if length < timedelta(hours=1):
            return text("report.span.minutes", self._lang, count=round(length.seconds / 60))
        hours, minutes = divmod(round(length.total_seconds() / 60), 60)
        if hours < 48:
            return text("report.span.hours", self._lang, hours=hours, minutes=minutes)
        return text("report.span.days", self._lang, days=hours // 24, hours=hours % 24)

    def amount(self, value: float | None, unit: str) -> str:
        if value is None:
            return self._say("unknown")
        return f"{value:,.{0 if abs(value) >= 100 else 1}f} {_UNITS.get(unit, unit)}"

    def _say(self, key: str, **values: object) -> str:
        return text(f"report.{key}", self._lang, **values)

    def _count(self, key: str, count: int, **values: object) -> str:
        return counted(f"report.{key}", self._lang, count, **values)

    def _communities(self) -> dict[str, str]:
        each = self._figures.communities
        return {"count": f"{len(each):,}", "heard": f"{sum(one.heard > 0 for one in each):,}"}

    def _of(self, part: int, whole: int) -> str:
        return self._say("of", part=f"{part:,}", whole=f"{whole:,}")

    def _figure_heads(self, *keys: str) -> Iterator[Column]:
        return (Column(self._say(key), 1, is_figure=True) for key in keys)

    def _heard(self, devices: int, heard: int) -> tuple[Cell, Cell, Cell]:
        silent = devices - heard
        return Cell(f"{devices:,}"), Cell(f"{heard:,}"), Cell(f"{silent:,}", Tone.ILL if silent else Tone.PLAIN)

    def _share(self, share: Share) -> Cell:
        return Cell(self.percent(share.part), _tone(share.part))

    def _priority(self, priority: str) -> str:
        return text(f"priority.{priority}", self._lang)

    def _rule(self, rule: str) -> str:
        known = self._material.rules.get(rule)
        if known is not None:
            return name_of(known.title.of(self._lang, rule), rule)
        told = next((alarm.title for alarm in self._material.alarms if alarm.rule == rule), None)
        return name_of(told.of(self._lang, rule), rule) if told is not None else rule

    def _cause(self, cause: str) -> str:
        return catalogue(self._lang).get(f"accounts.cause.{cause}", cause)

    def _answered(self) -> str:
        high = self._figures.responses[0]
        if high.acknowledged:
            return self.span(high.middle)
        return self._say("not_yet" if high.raised else "none")

    def _against(self, use: Use) -> str:
        if change := _signed(use.change):
            return self._say("against", change=change)
        # What is counted so far is no month; beside last year's whole one it would look like saving.
        return self._say("against_later" if use.before is not None and self._is_not_over else "no_before")

    @property
    def _is_not_over(self) -> bool:
        return self._material.made_at < self._material.month.end

    def _amount_or_unknown(self, use: Use) -> Cell:
        if use.before is None:
            return Cell(self._say("unknown"), Tone.SOFT)
        return Cell(self.amount(use.before, use.unit))

    def _utility(self, use: Use) -> str:
        utility = text(f"report.utility_of.{use.utility}", self._lang)
        return self._say("main_meters", utility=utility) if use.is_main else utility

    def _use(self, use: Use) -> Iterator[Block]:
        utility, unit = self._utility(use), _UNITS.get(use.unit, use.unit)
        title = self._say("use_days", utility=utility, unit=unit)
        now = Layer(self._say("this_year"), _UTILITY_COLORS[use.utility], use.days)
        before = Layer(self._say("last_year"), INK, use.days_before)
        if any(value is not None for value in use.days):
            yield Picture(title, against(self._frame(unit, title), now, before))
        if len(use.largest) > 1:
            heads = (
                Column(self._say("largest", utility=utility, unit=unit), 3),
                Column(self._say("place"), 2),
                Column(self._say("consumed"), 1, is_figure=True),
            )
            yield Table(
                heads,
                tuple(
                    (Cell(self.device(key[:2])), Cell(self.where(key[:2]), Tone.SOFT), Cell(f"{value:,.1f}"))
                    for key, value in use.largest
                ),
            )

    def _cold_name(self, unit: ColdUnit) -> str:
        same = [other for other in self._figures.cold if other.point[:2] == unit.point[:2]]
        name = self.device(unit.point[:2])
        return name if len(same) == 1 else f"{name} {unit.point[2].rpartition('/')[2]}"

    def _out(self, unit: ColdUnit) -> tuple[str, Tone]:
        if not unit.out:
            return self._say("none"), Tone.PLAIN
        told = self.span(unit.out.total_seconds())
        return (f"{told} ({self._say('standing')})" if unit.standing else told), Tone.ILL

    def _frame(self, unit: str, told: str, height: float = 46.0) -> Frame:
        month = self._material.month
        begun = sum(month.begin(day) < self._material.made_at for day in month)
        return Frame(self._days, unit, told, self._say("legend_missing"), height, begun)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return by what names are put in order: Community 2 before Community 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _tone(share: float | None) -> Tone:
    if share is None:
        return Tone.SOFT
    return Tone.WELL if share >= _WELL_ABOVE else Tone.ILL if share < _ILL_BELOW else Tone.PLAIN


def _signed(change: float | None) -> str:
    return "" if change is None else f"{change * 100:+,.1f} %".replace("-", "−")
