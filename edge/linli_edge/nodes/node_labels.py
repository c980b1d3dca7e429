"""The labels of nodes: what is stuck on each, so that whoever stands there in a year knows which one it is. Pure.

Half of it stands outside, on the node. The other half is for whoever starts the node anew with a phone: the name of its
own network, the passphrase, and both in a code that phones join by.
"""

from collections.abc import Iterable

from segno.helpers import make_wifi_data

from linli_core.catalogue import Language, text
from linli_core.cjk_font import Font
from linli_edge.commissioning.labels import SCHEME, Label
from linli_edge.commissioning.sheet_html import labels_html, page
from linli_edge.nodes.bench import Made
from linli_edge.nodes.passphrase import PAGE, network_of
from linli_edge.nodes.planned import Planned


def label_of(planned: Planned, made: Made, lang: Language) -> Label:
    """Return what is stuck on a node: its name, where it goes, what it is, which board; the same in its QR code.

    A board that has no name yet is called by its network.
    """
    what = ", ".join(dict.fromkeys(text(f"node.kind.{kind}", lang) for kind in planned.kinds))
    known = {"board": made.board, "kind": made.kind, "sensors": "+".join(planned.kinds), "place": planned.place}
    words = [f"node/{made.node}"] if made.node else []
    words += [f"{name}={value}" for name, value in known.items() if value]
    lines = (planned.place, what, f"{made.kind} · {made.board}")
    title = made.node or network_of(made.board)
    inside = _network_label(made, lang) if made.passphrase else None
    return Label(" ".join([SCHEME, *words]), title, tuple(line for line in lines if line), inside)


def _network_label(made: Made, lang: Language) -> Label:
    """Return what is needed to start a node anew with a phone."""
    network = network_of(made.board)
    first = text("node.label.first_start", lang)
    lines = (
        text("node.label.network", lang, network=network),
        text("node.label.page", lang, page=PAGE),
        f"{made.node} · {first}" if made.node else first,
        text("node.label.again", lang),
    )
    return Label(make_wifi_data(network, made.passphrase, "WPA"), made.passphrase, lines)


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
