"""Telling people of alarms: routes, a queue that outlives the process, delivery, and a log of who was told what."""

from linli_platform.notify.book import Wanted
from linli_platform.notify.judge import Reason, Silence
from linli_platform.notify.routes import Routes, load_routes
from linli_platform.notify.rows import Fate, Kind, Notice, TargetState
from linli_platform.notify.sending import AppriseSender, Outcome, Sender
from linli_platform.notify.service import NotifyService, SilenceRefused
from linli_platform.notify.wording import Words, Writer

__all__ = [
    "AppriseSender",
    "Fate",
    "Kind",
    "Notice",
    "NotifyService",
    "Outcome",
    "Reason",
    "Routes",
    "Sender",
    "Silence",
    "SilenceRefused",
    "TargetState",
    "Wanted",
    "Words",
    "Writer",
    "load_routes",
]
