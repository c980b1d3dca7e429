"""The boards, in the order people meet them."""

from typing import Final

from linli_dashboards.board import Board
from linli_dashboards.boards.alarm_health import ALARM_HEALTH
from linli_dashboards.boards.cameras import CAMERAS
from linli_dashboards.boards.completeness import COMPLETENESS
from linli_dashboards.boards.device import DEVICE
from linli_dashboards.boards.district import DISTRICT
from linli_dashboards.boards.electricity import ELECTRICITY
from linli_dashboards.boards.field_health import FIELD_HEALTH
from linli_dashboards.boards.fire import FIRE
from linli_dashboards.boards.food import FOOD
from linli_dashboards.boards.gas_heat import GAS_HEAT
from linli_dashboards.boards.today import TODAY
from linli_dashboards.boards.water import WATER

BOARDS: Final[tuple[Board, ...]] = (
    TODAY,
    ELECTRICITY,
    WATER,
    GAS_HEAT,
    FOOD,
    FIRE,
    CAMERAS,
    FIELD_HEALTH,
    ALARM_HEALTH,
    COMPLETENESS,
    DISTRICT,
    DEVICE,
)
"""Eleven for people, and the one of a single device to which the others lead."""
