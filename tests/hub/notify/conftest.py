"""A registry with alarms in it, a clock that is moved, and a desk of notices over them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import insert, select

from linli_core.alarm import AlarmChange, Category, Event, Hiding, Limit, Priority, Rule, State, Text
from linli_core.instant import HOUR, SECOND, Instant
from linli_platform.alarms import AlarmRow
from linli_platform.alarms.models import AlarmChangeTable, AlarmTable
from linli_platform.alarms.records import AlarmRecords, Filter
from linli_platform.notify import NotifyService, Outcome, Routes, Wanted, Writer
from linli_platform.notify.routes import parse_routes
from linli_platform.registry import Area, Device, Gateway, Registry
from linli_platform.registry import State as Life

if TYPE_CHECKING:
    from linli_core.catalogue import Language
    from linli_platform.notify import Sender
    from linli_platform.notify.rows import Line

T0: Instant = 1_795_000_000 * SECOND
ZONE = ZoneInfo("Asia/Shanghai")


def rule(name: str, category: Category = Category.FOOD, priority: Priority = Priority.HIGH) -> Rule:
    return Rule(
        name,
        category,
        priority,
        Limit(high=8.0),
        title=Text(zh=f"规则 {name}", en=f"Rule {name}"),
        consequence=Text(zh="变质。", en="It spoils."),
        response=Text(zh="关门。", en="Shut the door."),
    )


RULES = {
    item.id: item
    for item in (
        rule("food.warm"),
        rule("food.door", priority=Priority.LOW),
        rule("safety.gas", Category.SAFETY),
        rule("utility.outage", Category.UTILITY, Priority.MEDIUM),
        msgspec.structs.replace(rule("food.core"), retrospective=3 * HOUR),
    )
}


class PlainWords:
    """Calls things by their ids."""

    def where(self, gateway: str, device: str, point: str, lang: Language) -> str:  # noqa: ARG002
        return "/".join(filter(None, (gateway, device)))

    def value(self, line: Line, lang: Language) -> str:  # noqa: ARG002
        return "" if line.value is None else f"{line.value} °C"


@dataclass
class Recorder:
    """Stands where Apprise does, where a test is about the queue: keeps what is handed over, or refuses it."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)
    refusing: dict[str, Outcome] = field(default_factory=dict)
    attempts: int = 0

    def open(self) -> None:
        pass

    def limit(self, target: str) -> int:  # noqa: ARG002
        return 4_096

    def close(self) -> None:
        pass

    def send(self, target: str, title: str, body: str) -> Outcome:
        self.attempts += 1
        if target in self.refusing:
            return self.refusing[target]
        self.sent.append((target, title, body))
        return Outcome()

    def titles(self, target: str = "duty") -> list[str]:
        return [title for name, title, _ in self.sent if name == target]


@dataclass
class Town:
    """A registry, alarms that are written as the service of alarms writes them, and a clock."""

    registry: Registry
    records: AlarmRecords
    now: Instant = T0
    hidden: dict[tuple[str, str], Hiding] = field(default_factory=dict)

    def clock(self) -> Instant:
        return self.now

    def forward(self, length: Instant) -> None:
        self.now += length

    def hiding(self, name: str, subject: str, now: Instant) -> Hiding | None:
        found = self.hidden.get((name, subject))
        return found if found is not None and found.is_active(now) else None

    def change(self, event: Event, before: State, after: State, name: str, subject: str, late: Instant = 0) -> int:
        """Write one transition; return the alarm's number."""
        past = late >= RULES[name].retrospective
        change = AlarmChange(name, subject, event, before, after, self.now - late, self.now, 9.1, retrospective=past)
        return self.records.write([change], [], [])[0].id

    def raised(self, name: str = "food.warm", subject: str = "gw-1/room-1/air_temperature", late: Instant = 0) -> int:
        return self.change(Event.RAISE, State.NORMAL, State.UNACKNOWLEDGED, name, subject, late)

    def returned(self, name: str = "food.warm", subject: str = "gw-1/room-1/air_temperature") -> int:
        return self.change(Event.RETURN, State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, name, subject)

    def acknowledged(self, name: str = "food.warm", subject: str = "gw-1/room-1/air_temperature") -> int:
        return self.change(Event.ACKNOWLEDGE, State.UNACKNOWLEDGED, State.ACKNOWLEDGED, name, subject)

    @asynccontextmanager
    async def desk(self, routes: Routes, sender: Sender) -> AsyncIterator[NotifyService]:
        """Open the service over this registry; nothing runs by itself."""
        writer = Writer(PlainWords(), UTC, routes.page)
        async with NotifyService(self.registry, routes, sender, writer, self.clock, ZONE, self.hiding) as service:
            yield service

    def flood(self, subjects: Mapping[str, str]) -> None:
        """Write many alarms at once, by subject and rule: each is raised now."""
        with self.registry.sessions.begin() as session:
            known = len(subjects)
            session.execute(
                insert(AlarmTable),
                [
                    {
                        "rule": name,
                        "subject": subject,
                        "gateway": subject.split("/")[0],
                        "device": subject.split("/")[1],
                        "point": "",
                        "category": RULES[name].category,
                        "priority": RULES[name].priority,
                        "title": {"zh": f"规则 {name}", "en": f"Rule {name}"},
                        "consequence": {},
                        "response": {},
                        "clause": "",
                        "state": State.UNACKNOWLEDGED,
                        "raised_at": self.now,
                        "learnt_at": self.now,
                        "assigned_to": "",
                    }
                    for subject, name in subjects.items()
                ],
            )
            numbers = session.scalars(select(AlarmTable.id).order_by(AlarmTable.id.desc()).limit(known)).all()
            change = {
                "event": Event.RAISE,
                "before": State.NORMAL,
                "after": State.UNACKNOWLEDGED,
                "at": self.now,
                "learnt_at": self.now,
            }
            session.execute(insert(AlarmChangeTable), [{"alarm": number, **change} for number in reversed(numbers)])

    def row(self) -> AlarmRow:
        """Return the newest alarm, as listeners get it."""
        return self.records.find(Filter(), 1)[0]

    async def log(self, service: NotifyService) -> list[tuple[str, str, str, str, str]]:
        """Return the log, oldest first: kind, route, target, fate, reason."""
        rows = await service.find(Wanted(), 1_000)
        return [(row.kind, row.route, row.target, row.fate, row.reason or "") for row in reversed(rows)]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry's file with two houses in it, made once: the migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("town") / "registry.sqlite"
    with Registry(path) as registry:
        registry.declare(
            [
                Area("garden", None, "community"),
                Area("house-1", "garden", "building"),
                Area("flat-1", "house-1", "dwelling"),
                Area("house-2", "garden", "building"),
            ],
            [Gateway("gw-1", Life.ACTIVE, area="house-1"), Gateway("gw-2", Life.ACTIVE, area="house-2")],
            [Device("gw-1", "room-1", Life.ACTIVE, area="flat-1"), Device("gw-2", "room-2", Life.ACTIVE)],
        )
    return path


@pytest.fixture
def town(tmp_path: Path, furnished: Path) -> Iterator[Town]:
    shutil.copy(furnished, tmp_path / "registry.sqlite")
    with Registry(tmp_path / "registry.sqlite") as registry:
        yield Town(registry, AlarmRecords(registry.sessions, RULES))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def routes(tmp_path: Path) -> Callable[[str], Routes]:
    """Returns the routes of a text, with a target ``duty`` and a target ``boss`` before it."""
    (tmp_path / "url").write_text("json://127.0.0.1:9/\n")

    def parsed(text: str) -> Routes:
        targets = "".join(
            f'[[targets]]\nid = "{name}"\nurl_file = "{tmp_path}/url"\nlang = "{lang}"\n'
            for name, lang in (("duty", "en"), ("boss", "zh"))
        )
        return parse_routes(f"{targets}{text}", "notify.toml")

    return parsed


class Receiver:
    """An HTTP server that keeps what is posted and answers as it is told."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.answer = b""
        self.gate = threading.Event()
        self.gate.set()
        self.on_post: Callable[[], object] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.paths.append(self.path)
                receiver.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                receiver.on_post()
                receiver.gate.wait()
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def url(self, path: str = "/", patience_s: float = 600) -> str:
        """Return the address to write into a file; whoever posts waits so long for an answer (Apprise: 4 s)."""
        return f"json://127.0.0.1:{self.port}{path}?cto=600&rto={patience_s}"

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
