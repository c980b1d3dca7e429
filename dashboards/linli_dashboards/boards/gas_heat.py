"""Gas and heat: how much, how warm, and whether any gas is where it should not be."""

from typing import Final

from linli_dashboards.ask import Aggregate, Ask, Lived, Window
from linli_dashboards.board import Board
from linli_dashboards.boards.parts import PLAIN, by_device, compared, consumed, meters_read, states, trend
from linli_dashboards.links import Drill, Goal
from linli_dashboards.palette import Shade
from linli_dashboards.panel import Look, Panel, Row

_GAS: Final = ((0.0, Shade.GOOD), (10.0, Shade.CAUTION), (20.0, Shade.DANGER))

GAS_HEAT: Final = Board(
    "gas-heat",
    (
        Row("board.gas-heat.gas"),
        compared("board.gas-heat.gas_dwellings", "gas_volume", "m3", Lived.DWELLINGS, width=6),
        meters_read("board.gas-heat.gas_read", "gas_volume"),
        Panel(
            "board.gas-heat.gas_by_building",
            Look.BARS,
            (consumed("gas_volume", "m3", "building", lived=Lived.DWELLINGS),),
            width=14,
            height=8,
            stacked=True,
            drill=(Drill(Goal.BUILDING, "gas-heat"),),
        ),
        trend("board.gas-heat.leaking", by_device("combustible_gas", Aggregate.MAXIMUM), limits=_GAS),
        states("board.gas-heat.valves", "gas_valve_state", PLAIN),
        Row("board.gas-heat.heat"),
        compared("board.gas-heat.heat_dwellings", "heat_energy", "kWh", Lived.DWELLINGS, width=6),
        meters_read("board.gas-heat.heat_read", "heat_energy"),
        Panel(
            "board.gas-heat.heat_by_device",
            Look.RANKING,
            (
                Ask(
                    "heat_energy",
                    Aggregate.CONSUMED,
                    "kWh",
                    by=("device",),
                    window=Window.WHOLE,
                    lived=Lived.PARTS,
                ),
            ),
            width=14,
            height=8,
            drill=(Drill(Goal.DEVICE, "device"),),
        ),
        trend("board.gas-heat.power", by_device("heat_power", Aggregate.MEAN, "kW")),
        trend(
            "board.gas-heat.temperatures",
            Ask("flow_temperature", Aggregate.MEAN, label="board.label.flow"),
            Ask("return_temperature", Aggregate.MEAN, label="board.label.return"),
            Ask("outdoor_temperature", Aggregate.MEAN, label="board.label.outdoor"),
        ),
        trend("board.gas-heat.indoor", Ask("indoor_temperature", Aggregate.MEAN, by=("dwelling",)), width=24),
    ),
    shown="7d",
    refresh="5m",
)
