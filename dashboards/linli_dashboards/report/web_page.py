"""A report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from html import escape
from typing import Final

from linli_dashboards.report.document import (
    Block,
    Cell,
    Document,
    Heading,
    Paragraph,
    Picture,
    Table,
    Tiles,
    Tone,
)
from linli_dashboards.report.svg import as_svg

_STYLE: Final = """
:root { color-scheme: light; --ink: #16202A; --soft: #5B6875; --rule: #D7DDE3; --well: #0A6B3D; --ill: #B3261E }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 56rem; color: var(--ink); background: #fff;
  font: 15px/1.55
    "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei", sans-serif }
header p, .soft, footer { color: var(--soft) }
.mark { letter-spacing: .06em; margin: 0 }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .1rem 0 }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; padding-top: .5rem; border-top: 2px solid var(--ink) }
h3 { font-size: .95rem; margin: 1.1rem 0 .2rem }
p { margin: .3rem 0 .6rem; max-width: 46rem }
.well { color: var(--well) } .ill { color: var(--ill) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0 }
.tiles div { border: 1px solid var(--rule); border-radius: 6px; padding: .6rem .8rem }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3 }
.tiles small { display: block; color: var(--soft) }
.scroll, figure { overflow-x: auto; background:
  linear-gradient(to right, #fff 35%, #fff0) left / 3rem 100% no-repeat local,
  linear-gradient(to left, #fff 35%, #fff0) right / 3rem 100% no-repeat local,
  linear-gradient(to right, #16202a40, #16202a00) left / .8rem 100% no-repeat scroll,
  linear-gradient(to left, #16202a40, #16202a00) right / .8rem 100% no-repeat scroll }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 .8rem; font-size: .92em;
  font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; color: var(--soft) }
th, td { padding: .28rem .5rem .28rem 0; border-bottom: 1px solid var(--rule); vertical-align: top }
th:first-child, td:first-child { min-width: 5em }
.figure { text-align: right; white-space: nowrap }
th:last-child, td:last-child { padding-right: 0 }
figure { margin: 1rem 0 }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .2rem; position: sticky; left: 0 }
svg { width: 100%; min-width: 34rem; height: auto; display: block; font-family: inherit }
@media print { body { max-width: none; padding: 0; font-size: 10pt } svg { min-width: 0 }
  .scroll, figure { background: none }
  figure, tr, .tiles { break-inside: avoid }
  h2, h3, figcaption { break-after: avoid } @page { size: A4; margin: 16mm } }
"""


def as_html(document: Document) -> str:
    """Return a report as the text of an HTML file."""
    lang = "zh-CN" if document.lang == "zh" else "en"
    title, subtitle = escape(document.title), escape(document.subtitle)
    head = (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f'<header><p class="mark">邻里 Linli</p><h1>{title}</h1><p>{subtitle}</p></header><main>'
    )
    parts = (
        head,
        *(_block(block) for block in document.blocks),
        f"</main><footer><p>{escape(document.foot)}</p></footer></body></html>\n",
    )
    return "\n".join(parts)


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h2>{escape(block.text)}</h2>"
        case Paragraph():
            return f"<p{_class(block.tone)}>{escape(block.text)}</p>"
        case Tiles():
            tiles = (
                f"<div>{escape(tile.label)}<b{_class(tile.tone)}>{escape(tile.figure)}</b>"
                f"<small>{escape(tile.note)}</small></div>"
                for tile in block.tiles
            )
            return f'<div class="tiles">{"".join(tiles)}</div>'
        case Table():
            return _table(block)
        case Picture():
            return f"<figure><figcaption>{escape(block.title)}</figcaption>{as_svg(block.drawing)}</figure>"


def _table(table: Table) -> str:
    kinds = [" figure" if column.is_figure else "" for column in table.columns]
    heads = "".join(
        f'<th scope="col"{_classes(kind)}>{escape(column.head)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))}</tr>" for row in table.rows
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(cell: Cell, kind: str) -> str:
    tone = "" if cell.tone is Tone.PLAIN else cell.tone.value
    return f"<td{_classes(f'{tone}{kind}')}>{escape(cell.text)}</td>"


def _class(tone: Tone) -> str:
    return "" if tone is Tone.PLAIN else f' class="{tone}"'


def _classes(names: str) -> str:
    return f' class="{names.strip()}"' if names.strip() else ""
