"""The plan is told at a start and when it changes, and says nothing where nobody can say how often a point comes."""

from dataclasses import dataclass, field
from typing import Any

from linli_core.instant import MINUTE, SECOND
from linli_core.model import Point
from linli_core.wire.plan import PLAN, from_data
from linli_edge.outbox import Message
from linli_edge.pipeline import Pipeline
from linli_edge.plan_teller import PlanTeller
from linli_edge.report_by_exception import ReportRule
from linli_edge.timekeeping import Timekeeper


@dataclass
class Line:
    """A link with a plan of its own."""

    devices: frozenset[str]
    planned: dict[str, int | None]

    def intervals(self) -> dict[str, int | None]:
        return self.planned


@dataclass
class Teller:
    """A log that can be full."""

    events: list[dict[str, object]] = field(default_factory=list)
    full: bool = False
    by_exception: str = ""

    def tell(self, name: str, subject: str, data: dict[str, object], number: str = "") -> bool:
        assert (name, subject, number) == (PLAN, "gw", "")
        if not self.full:
            self.events.append(data)
        return not self.full

    def reports_by_exception(self, point: str) -> bool:
        return point == self.by_exception


def told(teller: Teller) -> list[Any]:
    events, teller.events = teller.events, []
    return [(plan.intervals(), plan.devices) for plan in map(from_data, events)]


def test_it_is_told_once_and_again_what_changed() -> None:
    line = Line(frozenset({"m-1", "m-2"}), {"m-1/voltage": MINUTE, "m-1/current": 10 * SECOND})
    teller = Teller(by_exception="m-1/current")
    plan = PlanTeller("gw", lambda: [line], teller, Timekeeper())
    plan.look()
    plan.look()
    assert told(teller) == [({"m-1/voltage": MINUTE, "m-1/current": None}, ["m-1", "m-2"])]
    line.planned["m-2/voltage"] = None
    plan.look()
    plan.look()
    assert told(teller) == [({"m-2/voltage": None}, ["m-1", "m-2"])]
    line.devices, line.planned = frozenset({"m-2"}), {"m-2/voltage": None}
    plan.look()
    assert told(teller) == [({}, ["m-2"])]


def test_a_full_log_is_told_again() -> None:
    teller = Teller(full=True)
    plan = PlanTeller("gw", lambda: [Line(frozenset({"m"}), {"m/voltage": SECOND})], teller, Timekeeper())
    plan.look()
    teller.full = False
    plan.look()
    assert told(teller) == [({"m/voltage": SECOND}, ["m"])]


def test_report_by_exception_is_known_by_point() -> None:
    class Log:
        def append(self, message: Message) -> int:
            raise AssertionError(message)

    pipeline = Pipeline(
        "gw",
        Log(),
        encode_pack=lambda _gateway, _readings: b"",
        bounds=lambda _quantity: (None, None),
        time=Timekeeper(),
        rules=[ReportRule(device="m", quantity="voltage")],
    )
    assert pipeline.reports_by_exception(Point("m", "voltage").name)
    assert not pipeline.reports_by_exception(Point("m", "current").name)
