"""QR labels: what is stuck on a device, so that whoever stands there in a year knows which one it is. Pure."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final

import segno

from linli_core.catalogue import Language, text
from linli_edge.commissioning.sheet import DeviceSheet, Sheet

SCHEME: Final = "LINLI/1"


@dataclass(frozen=True, slots=True)
class Label:
    """One label.

    Attributes:
        code: What its QR code says.
        title: What stands below it, large.
        lines: What stands below that.
        inside: A second half that is cut off and kept from passers-by; ``None``: there is none.
    """

    code: str
    title: str
    lines: tuple[str, ...]
    inside: "Label | None" = None


def label_text(sheet: Sheet, device: DeviceSheet, fingerprint: str) -> str:
    """Return what a label says: gateway, device, how it is reached, when it was handed over, by whose key."""
    keys = " ".join(f"{key}={value}" for key, value in device.keys.items())
    return f"{SCHEME} {sheet.gateway}/{device.id} {device.link} {keys} {sheet.minute} {fingerprint[:32]}"


def hint(stuck: Iterable[Label], lang: Language) -> str:
    """Return what is to be done with labels."""
    halves = "_halves" if any(label.inside is not None for label in stuck) else ""
    return text(f"sheet.labels_hint{halves}", lang)


def as_svg(text: str) -> str:
    """Return a QR code to stand in a page."""
    code: str = segno.make(text, error="m", micro=False).svg_inline(scale=1, border=2, omitsize=True)
    return code


def as_png(text: str) -> io.BytesIO:
    """Return a QR code as a picture."""
    picture = io.BytesIO()
    segno.make(text, error="m", micro=False).save(picture, kind="png", scale=6, border=2)
    picture.seek(0)
    return picture


def as_html(label: Label) -> str:
    """Return a label to stand in a page (see the styles of ``sheet_html``)."""
    if label.inside is None:
        return f"<div class=label>{_half(label)}</div>"
    return f'<div class="label wide"><div>{_half(label)}</div><div class=inside>{_half(label.inside)}</div></div>'


def _half(label: Label) -> str:
    lines = "<br>".join(escape(line) for line in label.lines)
    return f"{as_svg(label.code)}<b>{escape(label.title)}</b><span class=soft>{lines}</span>"
