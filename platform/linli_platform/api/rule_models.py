"""What the routes about alarm rules answer with."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from linli_platform.api.models import Rfc3339, Titles


class Trial(BaseModel, extra="forbid"):
    """Rules that are tried on what is stored."""

    rules: str = Field(max_length=60_000, description="TOML, as in a file of rules.")
    start: Annotated[str, Field(alias="from", max_length=40, description="RFC 3339, or back from now: `-7d`.")]
    end: Annotated[str, Field(alias="to", max_length=40, description="Up to this moment, without it.")] = "now"


class AlarmRule(BaseModel):
    """A rule in force."""

    id: str = Field(examples=["food.cold-room-warm"])
    category: str
    priority: str
    quantity: str = Field(description="What is watched; empty for any.")
    unit: str
    latched: bool = Field(description="Whether a returned alarm stays until a person resets it.")
    title: Titles
    cause: Titles = Field(description="What mostly brings it about; empty where nothing is said.")
    consequence: Titles
    response: Titles
    respond_within: float = Field(description="Seconds within which somebody must act; 0 where nothing is said.")
    clause: str
    corrective_action: bool = Field(description="Whether it is acknowledged only with a word of what was done.")


class ReplayDay(BaseModel):
    """How many alarms were raised on a day of the community."""

    day: date
    before: int = Field(description="By the rules in force.")
    after: int = Field(description="By those that are tried.")


class ReplayedAlarm(BaseModel):
    """An alarm that would have been."""

    rule: str
    subject: str
    raised_at: Rfc3339
    returned_at: Rfc3339 | None = Field(description="`null` where it still stood at the end.")


class RuleReplay(BaseModel):
    """What rules would have said of stored history, beside those of the same ids in force."""

    readings: int = Field(description="How many were judged.")
    seconds: float = Field(description="What that took.")
    days: list[ReplayDay]
    appear: list[ReplayedAlarm] = Field(description="Those in force would not have raised these; 1,000 at most.")
    appear_count: int
    vanish: list[ReplayedAlarm] = Field(description="Only those in force would have raised these; 1,000 at most.")
    vanish_count: int
    same: int = Field(description="Alarms that both would have raised.")
