"""The chat robots, at a real HTTP receiver in their service's place: what each is sent, and what counts as taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from linli_platform.notify import AppriseSender, Fate, Wanted, load_routes
from linli_platform.notify.sending import Outcome

if TYPE_CHECKING:
    from tests.hub.notify.conftest import Receiver, Town

SECRET = "SEC" + "0123456789abcdef" * 4
TOKEN = "a1b2c3d4" * 8
TITLE = "【高】冷库温度过高：一号冷库"
BODY = "9.1 °C，自 03-10 03:10\n后果：变质。"


class Robot:
    """One service: the module that speaks to it, an address as people write it, and where it would be asked."""

    def __init__(self, module: str, name: str, address: str, host: str, path: str) -> None:
        self.module, self.name, self.address, self.host, self.path = module, name, address, host, path

    def redirect(self, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
        """Put the receiver in the place of the service's host; scheme and host are all that is changed."""
        plugin = getattr(importlib.import_module(f"apprise.plugins.{self.module}"), self.name)
        assert plugin.notify_url.startswith(f"https://{self.host}/"), plugin.notify_url
        told = plugin.notify_url.replace(f"https://{self.host}", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(plugin, "notify_url", told)


WECOM = Robot("wecombot", "NotifyWeComBot", "wecombot://0123-key", "qyapi.weixin.qq.com", "/cgi-bin/webhook/send")
DINGTALK = Robot("dingtalk", "NotifyDingTalk", f"dingtalk://{SECRET}@{TOKEN}", "oapi.dingtalk.com", "/robot/send")
FEISHU = Robot("feishu", "NotifyFeishu", f"feishu://{TOKEN}", "open.feishu.cn", f"/open-apis/bot/v2/hook/{TOKEN}/")
ROBOTS = pytest.mark.parametrize("robot", [WECOM, DINGTALK, FEISHU], ids=lambda robot: robot.module)


def handed_over(robot: Robot, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    robot.redirect(monkeypatch, receiver.port)
    (tmp_path / "robot.url").write_text(f"{robot.address}\n")
    file = tmp_path / "notify.toml"
    file.write_text(
        f'[[targets]]\nid = "robot"\nurl_file = "{tmp_path}/robot.url"\n[[routes]]\nid = "all"\nto = ["robot"]\n'
    )
    sender = AppriseSender(load_routes(file).targets)
    sender.open()
    try:
        return sender.send("robot", TITLE, BODY)
    finally:
        sender.close()


def words_of(robot: Robot, post: dict[str, Any]) -> str:
    """Return what people would read, after a look at the form that the service asks for."""
    if robot is FEISHU:
        assert post["msg_type"] == "text"
        return str(post["content"]["text"])
    assert post["msgtype"] == "text"
    return str(post["text"]["content"])


@ROBOTS
def test_each_is_sent_title_and_text_in_the_form_its_service_asks_for(
    robot: Robot, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = b'{"errcode":0,"errmsg":"ok","code":0,"msg":"success"}'
    assert handed_over(robot, receiver, tmp_path, monkeypatch) == Outcome()
    (post,), (path,) = receiver.posts, receiver.paths
    words = words_of(robot, post)
    assert words.startswith(TITLE)
    assert words.replace("\r\n", "\n").endswith(BODY)
    asked = urlsplit(path)
    query = {key: values[0] for key, values in parse_qs(asked.query).items()}
    assert asked.path == robot.path
    if robot is WECOM:
        assert query == {"key": "0123-key"}
    elif robot is DINGTALK:
        signed = hmac.new(SECRET.encode(), f"{query['timestamp']}\n{SECRET}".encode(), hashlib.sha256).digest()
        assert query["access_token"] == TOKEN
        assert query["sign"] == base64.b64encode(signed).decode()


@ROBOTS
@pytest.mark.parametrize("status", [200, 500])
def test_what_the_service_refuses_is_not_taken_for_sent_though_http_says_yes(
    robot: Robot, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """All three answer 200 to what they refuse: a word that is missing, a robot that is gone, too many messages."""
    receiver.status = status
    code = b'"code":19001,"msg":"param invalid"' if robot is FEISHU else b'"errcode":45009,"errmsg":"too many messages"'
    receiver.answer = b"{" + code + b"}"
    outcome = handed_over(robot, receiver, tmp_path, monkeypatch)
    assert outcome.error
    assert not outcome.doubtful
    if status == 200:
        assert ("19001" if robot is FEISHU else "45009: too many messages") in outcome.error
    assert SECRET not in outcome.error
    assert TOKEN not in outcome.error


async def test_a_refused_message_goes_again_until_the_robot_takes_it(
    town: Town, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DINGTALK.redirect(monkeypatch, receiver.port)
    (tmp_path / "robot.url").write_text(f"{DINGTALK.address}\n")
    file = tmp_path / "notify.toml"
    file.write_text(
        f'[[targets]]\nid = "robot"\nurl_file = "{tmp_path}/robot.url"\n[[routes]]\nid = "all"\nto = ["robot"]\n'
    )
    routes = load_routes(file)
    async with town.desk(routes, AppriseSender(routes.targets)) as desk:
        receiver.answer = b'{"errcode":310000,"errmsg":"keywords not in content"}'
        town.raised()
        await desk.settled()
        (notice,) = await desk.find(Wanted())
        assert (notice.fate, notice.attempts) == (Fate.WAITING, 0)
        assert "310000: keywords not in content" in (await desk.targets())[0].error
        receiver.answer = b'{"errcode":0,"errmsg":"ok"}'
        town.forward(10_000_000)
        await desk.settled()
        (notice,) = await desk.find(Wanted())
        assert (notice.fate, notice.attempts) == (Fate.SENT, 2)
    assert [words_of(DINGTALK, post)[-4:] for post in receiver.posts] == ["消息 1"] * 2
