"""The hand-over sheet as one HTML file: a phone first, A4 when printed, nothing from the network. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from linli_core.catalogue import Language, text
from linli_edge.commissioning import labels
from linli_edge.commissioning.labels import Label, label_text
from linli_edge.commissioning.sheet import DeviceSheet, PointLine, Sheet
from linli_edge.commissioning.signature import Signed, short

_MARKS: Final = {"agrees": "✓", "differs": "✗", "read": "·", "unread": "✗"}

_STYLE: Final = """
:root{--ink:#16202a;--soft:#5b6875;--line:#d7dde3;--well:#0a6b3d;--ill:#b3261e;--back:#fff;--card:#f6f8fa}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Noto Sans CJK SC",
"Noto Sans SC","PingFang SC","Microsoft YaHei","WenQuanYi Micro Hei",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.35rem;margin:.2rem 0 .1rem}
h2{font-size:1.05rem;margin:1.6rem 0 .5rem;border-bottom:2px solid var(--ink);padding-bottom:.2rem}
h3{font-size:1rem;margin:0}
p{margin:.3rem 0}
.soft{color:var(--soft);font-size:.875em;overflow-wrap:anywhere}
.verdict{margin:1rem 0;padding:.8rem 1rem;border-radius:.5rem;border:2px solid;font-weight:600}
.well{color:var(--well)}.ill{color:var(--ill)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem .9rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.device{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .8rem;margin:.7rem 0}
.device header{display:flex;justify-content:space-between;gap:.6rem;align-items:baseline}
ul{list-style:none;margin:.5rem 0 0;padding:0}
li{display:grid;grid-template-columns:1fr auto;gap:.1rem .8rem;padding:.35rem 0;border-top:1px solid var(--line)}
.value{font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap;font-weight:600}
.about{grid-column:1/-1;color:var(--soft);font-size:.875em;display:flex;flex-wrap:wrap;gap:0 .9rem;
justify-content:space-between}
.labels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(9.5rem,45%),1fr));gap:.7rem}
.label{border:1px dashed var(--soft);border-radius:.3rem;padding:.5rem;text-align:center;break-inside:avoid;
background:#fff}
.label svg{width:100%;max-width:8.5rem;height:auto;display:block;margin:0 auto .3rem}
.label b{display:block;overflow-wrap:anywhere}
.wide{grid-column:span 2;display:grid;grid-template-columns:1fr 1fr;gap:.5rem}
.inside{border-left:1px dashed var(--soft);padding-left:.5rem}
.inside b{font:600 .75em ui-monospace,"DejaVu Sans Mono",monospace;line-height:2}
.hands{display:grid;grid-template-columns:1fr 1fr;gap:1.2rem;margin-top:2.6rem}
.hands div{border-top:1px solid var(--ink);padding-top:.3rem;font-size:.875em}
code{font:600 .95em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
@media (max-width:39.99rem){.about.read{display:none}}
@media (min-width:40rem){li{grid-template-columns:minmax(0,4fr) minmax(0,2fr) minmax(0,3fr)}
.about{grid-column:auto;justify-content:flex-end}}
@media print{@page{size:A4;margin:14mm}body{font-size:9.5pt}main{max-width:none;padding:0}
h2,h3,.device header,.device>p{break-after:avoid}li,.signed{break-inside:avoid}li{padding:.16rem 0}
.device{background:none;border-width:1px 0;border-radius:0;padding:.3rem 0}
.verdict{-webkit-print-color-adjust:exact;print-color-adjust:exact}
.labels{grid-template-columns:repeat(4,1fr)}.labelled{break-before:page}
li{grid-template-columns:minmax(0,4fr) minmax(0,2fr) minmax(0,3fr)}.about{grid-column:auto;justify-content:flex-end}}
"""


def as_html(sheet: Sheet, signed: Signed, lang: Language) -> str:
    """Return the sheet as a page."""
    title = text("sheet.title", lang)
    body = [
        f"<p class=soft>邻里 Linli</p><h1>{escape(title)}</h1>",
        f"<p class=soft>{escape(sheet.gateway)} · {sheet.time}</p>",
        _verdict(sheet, lang),
        _facts(sheet, lang),
        f"<h2>{escape(text('sheet.devices', lang))}</h2>",
        *(_device(device, lang) for device in sheet.devices),
        _signature(signed, lang),
        _hands(lang),
        "<section class=labelled>",
        labels_html([label_of(sheet, device, signed, lang) for device in sheet.devices], lang),
        "</section>",
    ]
    return page(f"{title} {sheet.gateway}", body, lang)


def labels_html(stuck: Sequence[Label], lang: Language) -> str:
    """Return labels to be cut out, with a heading."""
    head = f"<h2>{escape(text('sheet.labels', lang))}</h2><p class=soft>{escape(labels.hint(stuck, lang))}</p>"
    return f"{head}<div class=labels>{_joined(map(labels.as_html, stuck))}</div>"


def page(title: str, body: Iterable[str], lang: Language) -> str:
    """Return a whole page in the sheet's style."""
    head = (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
    )
    return f"{head}<body><main>{_joined(body)}</main></body></html>\n"


def _verdict(sheet: Sheet, lang: Language) -> str:
    kind = "well" if sheet.is_well else "ill"
    said = text(f"sheet.{kind}", lang)
    return f'<div class="verdict {kind}">{escape(said)}<p class=soft>{escape(counts(sheet, lang))}</p></div>'


def counts(sheet: Sheet, lang: Language) -> str:
    """Return how many points have which verdict, in words."""
    numbers = sheet.counts
    return text("sheet.counts", lang, total=sum(numbers.values()), **numbers)


def facts(sheet: Sheet, lang: Language) -> list[tuple[str, str]]:
    """Return what is known of the gateway, each with its name."""
    rows = [
        (text("sheet.gateway", lang), sheet.gateway),
        (text("sheet.made_at", lang), sheet.time),
        (text("sheet.by", lang), sheet.by or "–"),
        (text("sheet.version", lang), f"linli {sheet.version}"),
        (text("sheet.config", lang), f"SHA-256 {sheet.config_sha256[:16]}…"),
    ]
    return [(name, value) for name, value in rows if value]


def _facts(sheet: Sheet, lang: Language) -> str:
    rows = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(sheet, lang)]
    return f"<dl>{_joined(rows)}</dl>"


def reached(device: DeviceSheet, lang: Language) -> str:
    """Return how a device is reached: link, place, keys."""
    return " · ".join([device.link, device.place, *keys_of(device, lang)])


def keys_of(device: DeviceSheet, lang: Language) -> list[str]:
    """Return what tells a device from the others on its line, each in words."""
    return [f"{text(f'sheet.key.{key}', lang)} {value}" for key, value in device.keys.items()]


def _device(device: DeviceSheet, lang: Language) -> str:
    kind = "well" if device.is_well else "ill"
    mark = f"<span class={kind}>{'✓' if device.is_well else '✗'}</span>"
    parts = [
        f"<article class=device><header><h3>{escape(device.id)}</h3>{mark}</header>",
        f"<p class=soft>{escape(reached(device, lang))}</p>",
    ]
    if device.error:
        parts.append(f"<p class=ill>{escape(device.error)}</p>")
    if device.points:
        parts.append(f"<ul>{_joined(_point(point, lang) for point in device.points)}</ul>")
    return _joined([*parts, "</article>"])


def _point(point: PointLine, lang: Language) -> str:
    kind = {"agrees": "well", "differs": "ill", "unread": "ill"}.get(point.verdict, "soft")
    title = (point.zh if lang == "zh" else point.en) or point.name
    value = f"{point.value} {point.unit}".strip() if point.value else "–"
    mark = f'<span class="{kind}">{_MARKS[point.verdict]} {escape(text(f"sheet.verdict.{point.verdict}", lang))}</span>'
    return (
        f"<li><span>{escape(title)} <span class=soft>{escape(point.name)}</span></span>"
        f"<span class=value>{escape(value)}</span>"
        f'<span class="about {point.verdict}"><span>{escape(beside(point, lang))}</span>{mark}</span></li>'
    )


def beside(point: PointLine, lang: Language) -> str:
    """Return what stands beside a value: the display and what is allowed, or why there is none."""
    if point.verdict == "unread":
        reason = point.quality.partition("/")[2]
        return text(f"reason.{reason}", lang) if reason else point.quality
    if not point.displayed:
        return ""
    return text("sheet.displayed", lang, displayed=point.displayed, allowed=point.allowed)


def _signature(signed: Signed, lang: Language) -> str:
    return (
        f"<section class=signed><h2>{escape(text('sheet.signature', lang))}</h2>"
        f"<p><code>{short(signed.fingerprint)}</code></p>"
        f"<p class=soft>{escape(text('sheet.signature_hint', lang))}</p>"
    )


def _hands(lang: Language) -> str:
    given, taken = text("sheet.handed_over", lang), text("sheet.taken_over", lang)
    return f"<div class=hands><div>{escape(given)}</div><div>{escape(taken)}</div></div></section>"


def label_of(sheet: Sheet, device: DeviceSheet, signed: Signed, lang: Language) -> Label:
    """Return what is stuck on a device."""
    lines = (f"{sheet.gateway} · {device.link}", " · ".join(keys_of(device, lang)))
    return Label(label_text(sheet, device, signed.fingerprint), device.id, lines)


def _joined(parts: Iterable[str]) -> str:
    return "".join(parts)
