"""What the API answers with. Times are RFC 3339 in UTC; a missing value is ``null`` with a quality that says why."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, Field

Id = Annotated[str, Field(description="Lower-case letters, digits and hyphens.", examples=["gw-electric"])]
Rfc3339 = Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-11-23T03:28:44.5Z"])]


class Titles(BaseModel):
    """A text in both languages."""

    zh: str = ""
    en: str = ""


class PartHealth(BaseModel):
    """How one part of the platform fares."""

    state: str = Field(description="`ok`, `degraded` or `down`.")
    detail: str = Field(description="For an operator; empty when all is well.")


class Health(BaseModel):
    """How the platform fares."""

    state: str = Field(description="The worst of its parts: `ok`, `degraded` or `down`.")
    version: str
    time: Rfc3339
    zone: str = Field(
        description="The community's time zone, where its days begin; empty where only its offset is known."
    )
    utc_offset: int = Field(description="By how many seconds the community's clock is ahead of UTC now.")
    parts: dict[str, PartHealth] = Field(description="`broker`, `store`, …")
    open_alarms: int = Field(description="Alarms not settled yet.")
    live_clients: int = Field(description="Clients of the live feed.")


class Evicted(BaseModel):
    """A range the gateway says it lost and the platform has not acknowledged yet."""

    first: int
    last: int
    cause: str


class Clock(BaseModel):
    """How far the gateway's clock can be trusted."""

    state: str = Field(description="`trusted` or `doubtful`.")
    source: str = Field(description="`ntp`, `rtc`, `platform`, `none`: what the time was taken from last.")
    since: str | None = Field(description="Since when, by the gateway's own clock; `null` where it does not say.")


class Unit(BaseModel):
    """What one device on a link did with the requests to it since the gateway's start."""

    device: Id
    share: float | None = Field(description="Share of the line it takes, 0 to 1.")
    median: float | None = Field(description="Seconds from a request to its answer, median of the latest.")
    requests: int = Field(description="Requests sent, repetitions included.")
    answers: int
    refused: int = Field(description="Answers by which the device said no.")
    timeouts: int
    checksum: int = Field(description="Answers with a wrong checksum.")
    malformed: int
    late: int = Field(description="Answers that came when nobody waited any more.")
    foreign: int = Field(description="Frames of another device, or to another request.")
    noise: int = Field(description="Runs of bytes that belong to no frame.")


class Link(BaseModel):
    """One link of a gateway."""

    id: str
    driver: str
    state: str = Field(description="`up`, `degraded` or `down`.")
    devices: int
    silent: list[str] = Field(description="Devices that do not answer.")
    fruitless: list[str] = Field(description="Devices that answer and give not one value.")
    left_out: list[str] = Field(description="Devices that the gateway's configuration says wrongly: they are not read.")
    use: float | None = Field(description="Share of the line in use, 0 to 1.")
    stretched: float | None = Field(
        description="By how much the most stretched interval is longer than planned; none where the plan fits."
    )
    error: str
    units: list[Unit] = Field(description="Its devices, the silent and the failing first, 32 at most.")
    unlisted: int = Field(description="Devices that are not among `units`.")


class GatewayStatus(BaseModel):
    """The gateway's last `status` message."""

    state: str = Field(description="`online`, `offline` (its own word) or `lost` (the broker's).")
    at: Rfc3339 | None = Field(description="When it came.")
    version: str
    boot_id: str
    epoch: str = Field(description="Name of the gateway's log.")
    first_seq: int
    next_seq: int
    backlog: int = Field(description="Messages not acknowledged yet.")
    clock: Clock
    evicted: list[Evicted]
    counters: dict[str, int] = Field(description="Running totals by the gateway's own count.")
    links: list[Link]


class Refusal(BaseModel):
    """How often something of a gateway was refused for one reason."""

    gateway: str = Field(description="Empty where the topic names none.")
    reason: str = Field(description="Stable code.", examples=["unknown_unit"])
    count: int
    first_at: Rfc3339
    last_at: Rfc3339
    example: str = Field(description="The newest one: where and what.")


class AccountLine(BaseModel):
    """Where the readings of one day went; all figures are readings but `messages_under_way`."""

    day: str = Field(description="A UTC day; `earlier` for all before the last eight, `all` for the sum.")
    polled: int
    filtered: int = Field(description="Left out by report by exception.")
    refused_by_log: int = Field(description="Not taken by the gateway's own log.")
    logged: int
    accepted: int = Field(description="Stored here, or known already by series and time.")
    refused: int = Field(description="Refused here; each has its line in the ledger, and lies in quarantine.")
    refused_by: dict[str, int] = Field(
        description="By reason, as far as the ledger knows day and number; what a replay took is no longer in it."
    )
    evicted: int = Field(description="Left the gateway's log before they came, as the ledger says.")
    evicted_by: dict[str, int] = Field(description="By the ledger's cause: `space`, `corruption`, `log_replaced`…")
    evicted_uncounted: int = Field(
        description="Those of them of which the ledger says no number (a damaged log, a range of which a part came): "
        "as many as are missing, so that a mistake may hide there."
    )
    under_way: int
    messages_under_way: int
    later: int = Field(description="Here already, but not in the gateway's book: logged later, or its log was damaged.")
    unexplained: int = Field(description="Accounted for nowhere: 0, or something is wrong.")


class GatewayAccount(BaseModel):
    """A gateway's book of readings and the platform's, held against each other."""

    gateway: Id
    lines: list[AccountLine]


class CompleteDay(BaseModel):
    """How complete one day of one point is."""

    point: str = Field(description="Full name.", examples=["gw-electric/meter-1/voltage.l1"])
    day: date = Field(description="By the community's clock: it may have 23 or 25 hours.")
    start: Rfc3339
    expected: int | None = Field(
        description="Readings that should have come, today: so far. `null`: nobody can say, since the device talks "
        "unasked, only changes are sent, or the gateway says no plan."
    )
    received: int = Field(description="Readings that came, those of quality bad included.")
    good: int
    late: int = Field(description="Came more than ten minutes after they were made.")
    missing: int | None = Field(description="Should have come and did not; `null` where that is unknown.")
    share: float | None = Field(description="Good readings of those expected, 0 to 1; `null` where that is unknown.")
    computed_at: Rfc3339


class Loss(BaseModel):
    """One entry of the loss ledger: messages `first … last` that never reached the store."""

    gateway: Id
    epoch: str
    first: int
    last: int
    messages: int = Field(description="How many messages that is.")
    cause: str = Field(examples=["space", "age", "refused:malformed"])
    observed_from: Rfc3339 | None
    observed_to: Rfc3339 | None
    readings: int | None = Field(description="How many readings they held; `null` if not known.")
    booked_at: Rfc3339
    amended_at: Rfc3339 | None


class Area(BaseModel):
    """A place in the tree of areas."""

    id: Id
    parent: str | None = Field(description="The area it lies in; `null` at the top.")
    kind: str = Field(description="`community`, `building`, `dwelling`, …")
    titles: Titles


class Gateway(BaseModel):
    """A gateway."""

    id: Id
    state: str = Field(description="`pending`, `active` or `retired`.")
    titles: Titles
    area: str | None
    first_seen: Rfc3339 | None
    last_seen: Rfc3339 | None
    status: GatewayStatus | None = Field(description="`null` if none came yet.")
    devices: int
    refused: int = Field(description="Refusals of every reason.")


class GatewayDetail(Gateway):
    """A gateway with its refusals and its part of the loss ledger."""

    refusals: list[Refusal]
    losses: list[Loss]


class Device(BaseModel):
    """A device of a gateway."""

    gateway: Id
    id: Id
    state: str = Field(description="`pending`, `active` or `retired`.")
    kind: str
    titles: Titles
    area: str | None
    first_seen: Rfc3339 | None
    points: int


class Latest(BaseModel):
    """The newest reading of a point by observation time."""

    time: Rfc3339
    value: float | None = Field(description="`null` if missing or text; never 0 for missing.")
    text: str | None
    quality: str = Field(examples=["good", "bad/no_communication"])
    received_at: Rfc3339 | None
    device_time: Rfc3339 | None = Field(
        description="When it was by the device's own clock, where that told; `time` is the gateway's."
    )
    age_s: float = Field(description="Seconds since `time`, by the platform's clock.")


class Point(BaseModel):
    """A point: an addressable quantity that yields readings."""

    series: int = Field(description="Number of the series.")
    point: str = Field(
        description="`gateway/device/quantity[.qualifier…]`.", examples=["gw-electric/meter-1/voltage.l1"]
    )
    gateway: Id
    device: Id
    name: str = Field(description="Name below the gateway.")
    quantity: str
    unit: str = Field(description="SenML unit; empty for a state or a text.")
    kind: str = Field(description="`gauge`, `counter` or `state`.")
    title: Titles
    latest: Latest | None


class SeriesRow(BaseModel):
    """One reading, or one step."""

    time: Rfc3339
    value: float | None
    text: str | None
    quality: str
    count: int = Field(description="Usable readings in it.")
    bad: int = Field(description="BAD readings in it.")
    device_time: Rfc3339 | None = Field(
        description="When it was by the device's own clock, where that told; `null` for a step."
    )


class Series(BaseModel):
    """A stretch of one point's readings."""

    point: str
    quantity: str
    unit: str
    start: Rfc3339
    end: Rfc3339
    step: str | None
    aggregate: str | None
    truncated: bool = Field(description="True if the limit cut it: ask again from the last row's time.")
    rollups: list[str] = Field(
        description="Which rollups steps were put together from: `1m`, `15m`, `1h`, `1d`; empty if from readings alone."
    )
    rows: list[SeriesRow]


class Change(BaseModel):
    """One transition of an alarm."""

    event: str = Field(description="`raise`, `return`, `return_latched`, `acknowledge`, `reset`.")
    before: str
    after: str
    at: Rfc3339 = Field(description="When it was so.")
    learnt_at: Rfc3339 = Field(description="When the platform learnt it.")
    value: float | None
    text: str | None
    actor: str = Field(description="Empty for the platform itself.")
    comment: str
    retrospective: bool = Field(
        description="Learnt so late, by its rule, that it goes into the record and rings no bell."
    )


class Hiding(BaseModel):
    """What is hidden from people, by whom, why and until when."""

    id: int = Field(description="0 for what the design itself says.")
    kind: str = Field(description="`shelved`, `out_of_service` or `suppressed_by_design`.")
    active: bool = Field(description="Whether it hides anything now.")
    rule: str = Field(description="Empty for every rule.")
    subject: str = Field(description="What is meant, and all below it.")
    reason: str
    actor: str = Field(description="Empty for the design.")
    starts_at: Rfc3339
    until: Rfc3339 | None = Field(description="`null`: as long as what hides it stands.")
    ended_at: Rfc3339 | None = Field(description="When somebody ended it before its time.")
    ended_by: str


class Alarm(BaseModel):
    """An alarm, from its first raise until it is settled."""

    id: int
    rule: str = Field(examples=["food.cold-room-warm"])
    subject: str
    gateway: Id
    device: str
    point: str
    category: str = Field(description="`food`, `safety`, `utility` or `system`.")
    priority: str = Field(description="`high`, `medium` or `low`.")
    title: Titles
    consequence: Titles
    response: Titles
    clause: str
    state: str = Field(description="One of the states in docs/alarms.md; `normal` is settled.")
    hidden: Hiding | None = Field(description="Why nobody sees it now; `null` if everybody does.")
    raised_at: Rfc3339
    learnt_at: Rfc3339
    raised_again_at: Rfc3339 | None
    times_raised: int
    returned_at: Rfc3339 | None
    acknowledged_at: Rfc3339 | None
    acknowledged_by: str
    comment: str
    assigned_to: str = Field(description="Who is to see to it; empty for nobody yet.")
    value: float | None
    text: str | None
    retrospective: bool = Field(description="Its newest raise was learnt so late that it is of the past.")


class AlarmDetail(Alarm):
    """An alarm with its history."""

    changes: list[Change] = Field(description="Oldest first.")


class Acknowledgement(BaseModel, extra="forbid"):
    """Who has seen an alarm, and what they say."""

    actor: str = Field(default="operator", min_length=1, max_length=120)
    comment: str = Field(default="", max_length=1000)


class Counts(BaseModel):
    """For audits."""

    readings: int = Field(description="Readings held.")
    distinct: int = Field(description="Distinct (series, time) held: less than `readings` means something is doubled.")
    series: int
    lost_messages: int = Field(description="Messages in the loss ledger.")
    alarms_raised: int
    alarms_cleared: int = Field(description="Conditions that ended.")
    alarms_acknowledged: int


class DrillCheck(BaseModel):
    """One thing a drill looked at."""

    name: str = Field(examples=["readings"])
    passed: bool
    expected: str
    found: str


class Drill(BaseModel):
    """A backup that was brought back beside the platform, and read."""

    at: str
    backup: str = Field(description="Its name; empty if there was none.")
    taken_at: str
    passed: bool
    error: str = Field(default="", description="Why it could not be brought back.")
    checks: list[DrillCheck] = []
    readings: int = Field(default=0, description="Readings that were read back.")
    seconds: float = Field(default=0.0, description="What a restore would take here.")


class Backups(BaseModel):
    """How backups fare."""

    running: bool = Field(description="One is being made.")
    tried_at: str = Field(description="When the last one was begun; empty for never.")
    made_at: str = Field(description="Instant of the last good one; empty for never.")
    name: str
    size: int = Field(description="Bytes.")
    readings: int
    seconds: float
    error: str = Field(description="Why the last one failed; empty if it did not.")
    drilled: Drill | None


class QuarantinedMessage(BaseModel):
    """A message that could not be stored, wholly or in part, set aside whole."""

    number: int
    gateway: Id
    epoch: str
    seq: int
    reason: str = Field(description="As in the loss ledger.", examples=["refused:unknown_unit"])
    size: int = Field(description="Bytes.")
    received_at: Rfc3339


class QuarantinedPayload(QuarantinedMessage):
    """The same with the message."""

    payload: str = Field(description="As it came, in base 64.")


class Replayed(BaseModel):
    """What became of a message that was tried again."""

    readings: int = Field(description="Stored, and not there before.")
    known: int = Field(description="There already.")
    events: int = Field(description="Stored, and not there before.")
    refused: list[str] = Field(description="Why the rest is still refused; empty when it has left the quarantine.")


class BillingReading(BaseModel):
    """What stood on a register at a billing boundary."""

    gateway: Id
    point: str = Field(examples=["meter-1/energy_import"])
    boundary: Rfc3339
    mark: str = Field(description="`exact`, `late` or `missing`.")
    value: float | None = Field(description="In the vocabulary's unit; null where it is missing.")
    late_s: float | None = Field(description="Seconds from the boundary to the reading; null where it is missing.")
    why: str | None = Field(
        description="Why it is missing, as readings say it; null where nobody asked or it is not missing. "
        "`waiting_for_initial_data`: the point is a device that has not said yet which registers it has.",
        examples=["no_communication"],
    )


class RegisterEvent(BaseModel):
    """What became of a cumulative register, or of its meter."""

    gateway: Id
    device: str
    kind: str = Field(
        description="`rollover`, `reset`, `zero_dip`, `unit_jump`, `jump`, `glitch` or `swapped`.", examples=["reset"]
    )
    at: Rfc3339 = Field(description="When it was told.")
    data: dict[str, Any] = Field(description="Values before and after, serial numbers, times.")
