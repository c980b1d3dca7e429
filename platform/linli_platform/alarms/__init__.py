"""Alarms on the platform: the core's engine fed by ingest, its conclusions kept in the registry's database."""

from linli_platform.alarms.bundled import load_rules
from linli_platform.alarms.hiding import HidingRefused
from linli_platform.alarms.records import AlarmRecordError, Filter
from linli_platform.alarms.rows import AlarmRow, ChangeRow
from linli_platform.alarms.service import (
    ActionMissing,
    AlarmListener,
    AlarmService,
    NoSuchAlarm,
    NothingToAcknowledge,
    TooMuchToJudge,
)

__all__ = [
    "ActionMissing",
    "AlarmListener",
    "AlarmRecordError",
    "AlarmRow",
    "AlarmService",
    "ChangeRow",
    "Filter",
    "HidingRefused",
    "NoSuchAlarm",
    "NothingToAcknowledge",
    "TooMuchToJudge",
    "load_rules",
]
