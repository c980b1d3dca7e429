"""Messages handed over to real servers: SMTP, HTTP, and the broker; and to such that hang, refuse or fail."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import logging
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from aiosmtpd.controller import Controller

from linli_core.errors import ConfigError
from linli_core.instant import MINUTE
from linli_platform.notify import AppriseSender, Outcome, Routes
from linli_platform.notify.routes import Target, parse_routes

if TYPE_CHECKING:
    from tests.hub.conftest import BrokerProcess
    from tests.hub.notify.conftest import Receiver, Town

Urls = Callable[..., list[Target]]


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    """Returns targets whose addresses are in files."""

    def written(**addresses: str) -> list[Target]:
        found = []
        for name, url in addresses.items():
            (tmp_path / f"{name}.url").write_text(f"{url}\n# whatever else\n")
            found.append(Target(name, str(tmp_path / f"{name}.url"), lang="en"))
        return found

    return written


class Inbox:
    """Keeps letters."""

    def __init__(self) -> None:
        self.letters: list[email.message.EmailMessage] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(letter, email.message.EmailMessage)
            self.letters.append(letter)
        return self.answer


class PostOffice(Controller):
    """An SMTP server on a port that is its own before anybody is told of it."""

    def __init__(self, inbox: Inbox) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(inbox, "127.0.0.1", self._listener.getsockname()[1], ready_timeout=600)

    def _create_server(self) -> Awaitable[asyncio.Server]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    def stop(self, no_assert: bool = False) -> None:
        """Stop once every caller has hung up: a connection cut off in between is nobody's to close."""
        asyncio.run_coroutine_threadsafe(self._hung_up(), self.loop).result()
        super().stop(no_assert)

    async def _hung_up(self) -> None:
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        await asyncio.sleep(0)  # a transport is closed one turn after its task


@pytest.fixture
def smtp() -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    office = PostOffice(inbox)
    office.start()
    try:
        yield inbox, office.port
    finally:
        office.stop()


def made(targets: list[Target]) -> AppriseSender:
    sender = AppriseSender(targets)
    sender.open()
    return sender


def test_a_letter_comes_with_title_and_text(smtp: tuple[Inbox, int], urls: Urls) -> None:
    inbox, port = smtp
    url = f"mailto://127.0.0.1:{port}?from=linli@example.org&to=duty@example.org&mode=insecure&format=text"
    sender = made(urls(duty=url))
    assert sender.send("duty", "【高】冷库温度过高", "请关门。\nShut the door.") == Outcome()
    (letter,) = inbox.letters
    assert letter["Subject"] == "【高】冷库温度过高"
    assert letter["To"] == "duty@example.org"
    body = letter.get_body()
    assert body is not None
    assert "请关门。\r\nShut the door." in body.get_content()


def test_a_letter_that_is_refused_says_why_and_comes_the_next_time(smtp: tuple[Inbox, int], urls: Urls) -> None:
    inbox, port = smtp
    sender = made(urls(duty=f"mailto://127.0.0.1:{port}?from=linli@example.org&to=duty@example.org&mode=insecure"))
    inbox.answer = "451 try again later"
    outcome = sender.send("duty", "t", "b")
    assert outcome.error
    assert "451" in outcome.error
    assert not outcome.doubtful
    inbox.answer = "250 OK"
    assert sender.send("duty", "t", "b") == Outcome()
    assert len(inbox.letters) == 1


def test_a_webhook_is_called_and_its_refusals_are_told(receiver: Receiver, urls: Urls) -> None:
    sender = made(urls(hook=receiver.url("/path/s3cr3t-token")))
    assert sender.send("hook", "title", "body") == Outcome()
    assert receiver.posts[0]["title"] == "title"
    assert receiver.posts[0]["message"] == "body"
    receiver.status = 500
    outcome = sender.send("hook", "title", "body")
    assert "500" in outcome.error
    assert not outcome.doubtful
    assert len(receiver.posts) == 2  # one attempt each: the queue tries again, nobody else


def test_nobody_listening_is_a_refusal_of_which_nothing_secret_is_told(urls: Urls, deaf_port: int) -> None:
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        sender = made(
            urls(hook=f"json://user:pa55w%40rd@127.0.0.1:{deaf_port}/hooks/s3cr3t-token?+X-Key=another-secret")
        )
        outcome = sender.send("hook", "title", "body")
        root.debug("written")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert "127.0.0.1" in outcome.error
    assert outcome.error.endswith("Connection refused")
    assert not outcome.doubtful
    assert written.getvalue() == "written\n"
    for secret in ("pa55w", "s3cr3t-token", "another-secret"):
        assert secret not in outcome.error


def test_no_answer_is_doubtful(receiver: Receiver, urls: Urls) -> None:
    receiver.gate.clear()
    sender = made(urls(hook=receiver.url(patience_s=0.2)))
    outcome = sender.send("hook", "title", "body")
    assert "Read timed out" in outcome.error
    assert outcome.doubtful


@pytest.mark.system
async def test_the_broker_takes_a_message(broker: BrokerProcess, urls: Urls) -> None:
    sender = made(urls(mqtt=f"mqtt://127.0.0.1:{broker.port}/notices/duty?rto=600"))
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier="reader", timeout=math.inf) as reader:
        await reader.subscribe("notices/#", qos=1)
        assert await asyncio.to_thread(sender.send, "mqtt", "title", "body") == Outcome()
        message = await anext(aiter(reader.messages))
        assert str(message.topic) == "notices/duty"
        assert isinstance(message.payload, bytes)
        assert "title" in message.payload.decode()
        broker.stop()
        assert (await asyncio.to_thread(sender.send, "mqtt", "title", "lost")).error
    sender.close()


@pytest.mark.parametrize(
    "url",
    [
        "wecombot://botkey",
        "dingtalk://SECRET0000000000@TOKEN000000000000/",
        "feishu://abcdef12-3456-7890-abcd-ef1234567890",
        "mailtos://user:password@example.com",
        "mqtts://user:password@example.com/topic",
    ],
)
def test_the_addresses_of_the_manual_are_such(urls: Urls, url: str) -> None:
    assert made(urls(one=url)).limit("one") >= 1_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "holds no address"),
        ("no address at all", "holds no address"),
        ("nosuchthing://secret-token", "no address that can be used"),
        ("mqtt://host/topic?qos=secret9", "no address that can be used"),
    ],
)
def test_an_address_that_cannot_be_used_ends_the_start_and_is_not_told(urls: Urls, text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found) as error:
        made(urls(one=text))
    assert "secret" not in str(error.value)
    assert "targets.one.url_file" in str(error.value)


def test_an_address_that_is_not_there_is_told_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\.one\.url_file: .*nothing-here cannot be read"):
        made([Target("one", str(tmp_path / "nothing-here"))])


# Through the queue


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  (what is waited for has no event)
        await asyncio.sleep(0.002)


@pytest.fixture
def hooked(tmp_path: Path, receiver: Receiver) -> Routes:
    for name, url in (
        ("hook", receiver.url()),
        ("dead", "json://127.0.0.1:1/"),
    ):
        (tmp_path / f"{name}.url").write_text(url)
    targets = "".join(
        f'[[targets]]\nid = "{name}"\nurl_file = "{tmp_path}/{name}.url"\nlang = "en"\n' for name in ("hook", "dead")
    )
    return parse_routes(targets + '[[routes]]\nid = "all"\nto = ["hook", "dead"]\n', "notify.toml")


async def test_a_target_that_hangs_holds_up_nobody_else_and_is_waited_for(
    town: Town, receiver: Receiver, hooked: Routes
) -> None:
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    receiver.on_post = lambda: loop.call_soon_threadsafe(came.set)
    receiver.gate.clear()
    async with town.desk(hooked, AppriseSender(hooked.targets)) as desk:
        running = asyncio.create_task(desk.run())
        town.raised()
        desk.on_alarm(town.row())
        await came.wait()
        town.raised("safety.gas", "gw-1/room-1/gas")
        desk.on_alarm(town.row())
        await until(lambda: desk.refused >= 1)  # the dead one was tried meanwhile
        town.forward(MINUTE)
        assert desk.health(town.now)[0] == "degraded"
        assert len(receiver.posts) == 1
        receiver.gate.set()
        await until(lambda: desk.delivered >= 2)
        desk.stop()
        await running
        assert len(receiver.posts) == 2
