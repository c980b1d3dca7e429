"""Colours by what they mean, told apart with every kind of colour vision.

They are of Okabe and Ito's set for colour-blind people ("Color Universal Design", 2008). Where a colour means
something, a word or a number beside it says the same.
"""

from enum import StrEnum
from typing import Final


class Shade(StrEnum):
    """What a colour means."""

    GOOD = "#009E73"
    NOTICE = "#56B4E9"
    CAUTION = "#E69F00"
    DANGER = "#D55E00"
    UNUSABLE = "#CC79A7"
    QUIET = "#6B6B6B"


SERIES: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8C8C8C")
"""For curves that mean nothing but themselves."""

AS_TEXT: Final = "text"
"""Grafana's name of the colour that text has, in the light theme and in the dark one."""

PRIORITIES: Final = {"high": Shade.DANGER, "medium": Shade.CAUTION, "low": Shade.NOTICE}
"""Of alarms."""

STATES: Final = {
    "unacknowledged": Shade.DANGER,
    "acknowledged": Shade.CAUTION,
    "returned_unacknowledged": Shade.NOTICE,
    "latched_unacknowledged": Shade.DANGER,
    "latched_acknowledged": Shade.CAUTION,
    "normal": Shade.GOOD,
}
"""Of alarms, by their states."""
