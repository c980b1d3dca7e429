"""The labels of nodes: what is stuck on each, so that whoever stands there in a year knows which one it is. Pure."""

from collections.abc import Iterable

from linli_core.catalogue import Language, text
from linli_core.cjk_font import Font
from linli_edge.commissioning.labels import SCHEME, Label
from linli_edge.commissioning.sheet_html import labels_html, page
from linli_edge.nodes.bench import Made
from linli_edge.nodes.planned import Planned


def label_of(planned: Planned, made: Made, lang: Language) -> Label:
    """Return what is stuck on a node: its name, where it goes, what it is, which board; the same in its QR code."""
    what = ", ".join(dict.fromkeys(text(f"node.kind.{kind}", lang) for kind in planned.kinds))
    code = f"{SCHEME} node/{made.node} board={made.board} kind={made.kind} sensors={'+'.join(planned.kinds)}"
    if planned.place:
        code = f"{code} place={planned.place}"
    lines = (planned.place, what, f"{made.kind} · {made.board}")
    return Label(code, made.node, tuple(line for line in lines if line))


def as_html(labels: Iterable[Label], lang: Language) -> str:
    """Return the labels as a page, to be printed on paper or on stickers."""
    return page(text("node.bench.labels", lang), [labels_html(list(labels), lang)], lang)


def as_pdf(labels: Iterable[Label], lang: Language, font: Font) -> bytes:
    """Return the labels as a file."""
    from linli_edge.commissioning.sheet_pdf import Paper, draw_labels  # noqa: PLC0415 - without a font nobody needs it

    paper = Paper(font, text("node.bench.labels", lang))
    paper.set_title(text("node.bench.labels", lang))
    paper.set_lang("zh-CN" if lang == "zh" else "en")
    paper.add_page()
    draw_labels(paper, list(labels), lang)
    return bytes(paper.output())
