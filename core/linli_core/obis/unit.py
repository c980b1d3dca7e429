"""Units as meters write them, in the spelling Linli uses."""

from typing import Final

from linli_core.units import is_unit

_SPELLINGS: Final = {
    "wh": "Wh",
    "kwh": "kWh",
    "mwh": "MWh",
    "varh": "varh",
    "kvarh": "kvarh",
    "mvarh": "Mvarh",
    "vah": "VAh",
    "kvah": "kVAh",
    "w": "W",
    "kw": "kW",
    "var": "var",
    "kvar": "kvar",
    "va": "VA",
    "kva": "kVA",
    "v": "V",
    "a": "A",
    "hz": "Hz",
    "m3": "m3",
    "m³": "m3",
    "m^3": "m3",
    "dm3": "l",
    "gj": "GJ",
    "mj": "MJ",
    "m3/h": "m3/h",
    "m3ph": "m3/h",
    "l/h": "l/h",
    "°c": "Cel",
    "c": "Cel",
    "s": "s",
    "min": "min",
    "h": "h",
    "d": "d",
    "deg": "deg",
    "°": "deg",
    "%": "/100",
    "bar": "bar",
}
"""Lower case → Linli's unit. Capitals of a meter's units vary (``kVArh``, ``KWH``); none differ by capitals alone but
``MW`` and ``mW``, which are looked up as they are."""

_MILLIONS: Final = frozenset({"mwh", "mvarh", "mj"})
"""Where a small ``m`` before capitals (``mWh``) would be a thousandth, and a million if taken as in ``mwh``."""


def unit_of(text: str) -> str | None:
    """Return Linli's name of a meter's unit; ``None`` for one that is unknown."""
    text = text.strip()
    if is_unit(text):
        return text
    if text[:1] == "m" and text != text.lower() and text.lower() in _MILLIONS:
        return None  # nobody meters thousandths: of which scale it is, nothing says
    return _SPELLINGS.get(text.lower())
