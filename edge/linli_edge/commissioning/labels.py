"""QR labels: what is stuck on a device, so that whoever stands there in a year knows which one it is. Pure."""

import io
from typing import Final

import segno

from linli_edge.commissioning.sheet import DeviceSheet, Sheet

_SCHEME: Final = "LINLI/1"


def label_text(sheet: Sheet, device: DeviceSheet, fingerprint: str) -> str:
    """Return what a label says: gateway, device, how it is reached, when it was handed over, by whose key."""
    keys = " ".join(f"{key}={value}" for key, value in device.keys.items())
    return f"{_SCHEME} {sheet.gateway}/{device.id} {device.link} {keys} {sheet.minute} {fingerprint[:32]}"


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
