"""What the routes about alarm rules answer with."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from linli_platform.api.models import Rfc3339, Titles


class Trial(BaseModel, extra="forbid"):
    """Rules that are tried on what is stored."""

    rules: str = Field(default="", max_length=60_000, description="TOML, as in a file of rules.")
    revision: int | None = Field(default=None, ge=1, description="In place of `rules`: this revision is tried.")
    against: int | None = Field(
        default=None, ge=1, description="The revision it is compared with; what is in force if left out."
    )
    start: Annotated[str, Field(alias="from", max_length=40, description="RFC 3339, or back from now: `-7d`.")]
    end: Annotated[str, Field(alias="to", max_length=40, description="Up to this moment, without it.")] = "now"


class RuleParameter(BaseModel):
    """A number of a rule that people may change within bounds."""

    name: str
    title: Titles
    unit: str = Field(description="`s` for a length of time.")
    min: float
    max: float
    step: float
    default: float = Field(description="What the rule's file says.")
    value: float = Field(description="What holds where no area says otherwise.")
    areas: dict[str, float] = Field(description="By area what was changed for it and all below it.")


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
    parameters: list[RuleParameter]
    revision: int | None = Field(description="The revision in force where no area says otherwise.")


class NewValue(BaseModel, extra="forbid"):
    """What a parameter is to be, and where."""

    value: float | None = Field(description="`null`: what holds around there, or what the rule's file says.")
    area: str = Field(default="", max_length=63, description="An area and all below it; empty for everywhere.")
    actor: str = Field(default="operator", min_length=1, max_length=120)
    comment: str = Field(default="", max_length=1000)


class RuleRevision(BaseModel):
    """What a rule became, when, by whom and why."""

    id: int
    rule: str
    area: str = Field(description="Where; empty for everywhere.")
    at: Rfc3339
    actor: str = Field(description="Empty where a file was changed.")
    parameter: str = Field(description="What a person changed; empty where a file was.")
    before: float | None = Field(description="`null` for what holds around there, or what the file says.")
    after: float | None
    comment: str
    source: str = Field(description="The rule's table as JSON; empty where it was taken out.")


class Imported(BaseModel, extra="forbid"):
    """An exported file."""

    text: str = Field(max_length=2_000_000, description="TOML, as `GET /api/v1/rules/export` gives it.")
    actor: str = Field(default="operator", min_length=1, max_length=120)
    comment: str = Field(default="", max_length=1000)


class ImportReport(BaseModel):
    """What came of an import."""

    changed: list[RuleRevision]
    unchanged: int = Field(description="Values that were so already.")
    other_rules: list[str] = Field(description="Rules of the file that are not in force, or not as they are there.")


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
