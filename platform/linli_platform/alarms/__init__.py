"""Alarms on the platform: the core's engine fed by ingest, its conclusions kept in the registry's database."""

from linli_platform.alarms.bundled import load_rules
from linli_platform.alarms.records import AlarmRecordError, Filter
from linli_platform.alarms.rows import AlarmRow, ChangeRow
from linli_platform.alarms.service import AlarmListener, AlarmService, NoSuchAlarm, NothingToAcknowledge

__all__ = [
    "AlarmListener",
    "AlarmRecordError",
    "AlarmRow",
    "AlarmService",
    "ChangeRow",
    "Filter",
    "NoSuchAlarm",
    "NothingToAcknowledge",
    "load_rules",
]
