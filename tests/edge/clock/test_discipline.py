"""The gateway's time against a machine whose clocks jump, whose network comes and goes, and which is switched off."""

from collections.abc import Callable
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.wire.messages import ClockState
from linli_edge.clock.discipline import (
    CONFIRM,
    ERAS,
    ROUND_TRIP,
    TRUST_LASTS,
    ClockMemory,
    Correction,
    Discipline,
)

TRUE: Instant = 1_790_000_000 * SECOND
LAST_YEAR: Instant = TRUE - 365 * DAY
TOLERANCE = ROUND_TRIP // 2 + SECOND


_NUMBERS = count(1)


def name() -> str:
    return f"{next(_NUMBERS):016x}"


def discipline(
    memory: ClockMemory | None = None, *, boot: str = "b1", steady: int = 0, wall: Instant = LAST_YEAR
) -> Discipline:
    return Discipline(memory or ClockMemory(), boot, steady, wall, name)


def trusted(source: str = "ntp") -> Discipline:
    """Return a time that is right and trusted: ``now(steady)`` is ``TRUE + steady``."""
    time = discipline()
    step = (
        time.platform(0, TRUE, 0)
        if source == "platform"
        else time.system(0, TRUE, synchronised=source == "ntp", rtc=TRUE if source == "rtc" else None)
    )
    assert step is not None
    assert step.source == source
    time.take(step, 0)
    return time


def unsure(time: Discipline, steady: int, wall: Instant) -> None:
    assert time.system(steady, wall, synchronised=False, rtc=None) is None


def test_without_a_source_stamps_are_provisional_and_in_order() -> None:
    time = discipline()
    unsure(time, 5, TRUE + DAY)
    assert time.now(7) == LAST_YEAR + 7
    assert time.era
    assert time.undecided
    assert time.correction(time.era) is None
    assert time.state(7) == ClockState("doubtful", "none", LAST_YEAR)


def test_what_was_stamped_provisionally_is_corrected_once_the_time_is_known() -> None:
    time = discipline()
    era, stamped = time.era, time.now(40 * SECOND)
    step = time.platform(100 * SECOND, TRUE + 100 * SECOND, 2 * SECOND)
    assert step is not None
    time.take(step, 100 * SECOND)
    correction = time.correction(era)
    assert correction == Correction(LAST_YEAR, TRUE - LAST_YEAR + SECOND, doubt=False)
    assert stamped + correction.delta == TRUE + 41 * SECOND
    assert time.era == ""
    assert not time.undecided
    assert time.state(100 * SECOND) == ClockState("trusted", "platform", TRUE + 101 * SECOND)


@pytest.mark.parametrize(("first", "second"), [("platform", "rtc"), ("platform", "ntp"), ("rtc", "ntp")])
def test_a_better_source_is_believed_at_once_and_a_worse_one_not(first: str, second: str) -> None:
    time = trusted(first)
    wall = TRUE + HOUR + SECOND
    step = time.system(SECOND, wall, synchronised=second == "ntp", rtc=wall if second == "rtc" else None)
    assert step is not None
    assert (step.source, step.by) == (second, HOUR)
    time.take(step, SECOND)
    assert time.platform(2 * SECOND, TRUE, 0) is None
    assert time.now(2 * SECOND) == TRUE + HOUR + 2 * SECOND


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_a_jump_of_the_systems_clock_moves_nothing(by: int) -> None:
    time = trusted()
    for second in range(1, CONFIRM["ntp"] // SECOND):
        assert time.system(second * SECOND, TRUE + second * SECOND + by, synchronised=True, rtc=None) is None
    assert time.system(HOUR, TRUE + HOUR, synchronised=True, rtc=None) is None
    assert time.now(HOUR) == TRUE + HOUR
    # Having come back, it must contradict for as long again.
    assert time.system(HOUR + SECOND, TRUE + HOUR + by, synchronised=True, rtc=None) is None


def test_a_source_that_goes_on_contradicting_is_believed() -> None:
    time = trusted()
    steps = [
        time.system(second * SECOND, TRUE + second * SECOND + HOUR, synchronised=True, rtc=None)
        for second in range(1, 70)
    ]
    found = [step for step in steps if step is not None]
    assert found[0].by == HOUR
    assert steps.index(found[0]) == CONFIRM["ntp"] // SECOND


def test_a_platform_that_is_a_day_off_moves_no_gateway_that_has_its_time() -> None:
    time = trusted("platform")
    for minute in range(1, 10):
        assert time.platform(minute * MINUTE, TRUE + DAY + minute * MINUTE, 0) is None
    assert time.platform(10 * MINUTE, TRUE + 10 * MINUTE, 0) is None
    assert time.now(10 * MINUTE) == TRUE + 10 * MINUTE


def test_a_small_difference_is_slewed_and_the_time_goes_on_all_the_while() -> None:
    time = trusted()
    assert time.system(SECOND, TRUE + SECOND // 2, synchronised=True, rtc=None) is None
    times = [time.now(SECOND + tenth * SECOND // 10) for tenth in range(100)]
    assert times == sorted(set(times))
    assert time.now(60 * SECOND) == TRUE + 60 * SECOND - SECOND // 2


def test_a_restart_of_the_program_keeps_the_time_and_its_trust() -> None:
    before = trusted("rtc")
    after = discipline(before.memory(HOUR), steady=HOUR + SECOND, wall=LAST_YEAR)
    assert after.now(HOUR + SECOND) == TRUE + HOUR + SECOND
    assert after.era == ""
    assert after.state(HOUR + SECOND).source == "rtc"


def test_a_restart_in_the_middle_of_an_era_goes_on_with_it() -> None:
    before = discipline()
    after = discipline(before.memory(HOUR), steady=HOUR + SECOND, wall=TRUE + DAY)
    assert after.era == before.era
    assert after.now(HOUR + SECOND) == before.now(HOUR + SECOND)


def test_after_a_reboot_the_time_does_not_begin_before_what_was_known() -> None:
    memory = trusted().memory(HOUR)
    rebooted = discipline(memory, boot="b2")
    assert rebooted.now(0) == TRUE + HOUR
    assert rebooted.era
    # An RTC without a battery, and a platform that lives in the past, are no sources.
    assert rebooted.system(1, LAST_YEAR, synchronised=False, rtc=LAST_YEAR) is None
    assert rebooted.platform(2, TRUE, 0) is None
    assert rebooted.system(3, TRUE + DAY, synchronised=False, rtc=LAST_YEAR) is None
    step = rebooted.system(4, TRUE + DAY, synchronised=False, rtc=TRUE + DAY + SECOND)
    assert step is not None
    assert step.source == "rtc"


def test_an_era_that_a_reboot_ended_is_corrected_like_the_next_and_doubtful() -> None:
    first = discipline()
    second = discipline(first.memory(HOUR), boot="b2")
    assert second.now(0) >= first.now(HOUR)
    step = second.system(SECOND, TRUE, synchronised=True, rtc=None)
    assert step is not None
    second.take(step, SECOND)
    orphan, last = second.correction(first.era), second.memory(SECOND).eras
    assert orphan is not None
    assert orphan.doubt
    # As if the machine had been off for no time: it ends where the next begins.
    assert first.now(HOUR) + orphan.delta == LAST_YEAR + HOUR + step.by - 1
    assert [era.doubt for era in last.values()] == [True, False]


def test_without_any_time_messages_leave_as_they_are_and_doubtful() -> None:
    time = discipline()
    era = time.era
    time.give_up()
    assert not time.undecided
    assert time.era == era
    step = time.system(SECOND, TRUE, synchronised=True, rtc=None)
    assert step is not None
    time.take(step, SECOND)
    # It may have left already: what was decided stays.
    assert time.correction(era) == Correction(LAST_YEAR, 0, doubt=True)
    assert time.correction("unheard-of") == Correction(0, 0, doubt=True)


def test_trust_ends_where_no_source_confirms_it() -> None:
    time = trusted()
    assert time.state(TRUST_LASTS).state == "trusted"
    assert time.state(TRUST_LASTS + HOUR) == ClockState("doubtful", "ntp", TRUE + TRUST_LASTS)
    assert time.system(TRUST_LASTS + HOUR, TRUE + TRUST_LASTS + HOUR, synchronised=True, rtc=None) is None
    assert time.state(TRUST_LASTS + HOUR) == ClockState("trusted", "ntp", TRUE + TRUST_LASTS + HOUR)


def test_an_answer_that_took_too_long_tells_no_time() -> None:
    assert discipline().platform(0, TRUE, ROUND_TRIP + 1) is None
    assert discipline().platform(0, TRUE, -1) is None


def test_eras_are_remembered_up_to_a_bound() -> None:
    memory = ClockMemory()
    for boot in range(ERAS + 20):
        memory = Discipline(memory, f"b{boot}", 0, LAST_YEAR, f"{boot:x}".__str__).memory(SECOND)
    assert len(memory.eras) == ERAS
    assert f"{ERAS + 19:x}" in memory.eras


class Machine:
    """A gateway's machine in a world that knows what time it is."""

    def __init__(self) -> None:
        self.true: Instant = TRUE
        self.boot = 0
        self.steady = 0
        self.wall_off = -30 * DAY
        self.synchronised = False
        self.rtc = False
        self.log: list[tuple[str, Instant, Instant, int]] = []
        self.sent: dict[int, Instant] = {}
        self.disk = ClockMemory()
        self.time = self._start()

    def _start(self) -> Discipline:
        time = Discipline(self.disk, f"b{self.boot}", self.steady, self.true + self.wall_off, name)
        self.disk = self._written(time)
        return time

    def _written(self, time: Discipline) -> ClockMemory:
        return msgspec.json.decode(msgspec.json.encode(time.memory(self.steady)), type=ClockMemory)

    def passes(self, microseconds: int) -> None:
        self.true += microseconds
        self.steady += microseconds

    def look(self) -> None:
        wall = self.true + self.wall_off
        step = self.time.system(self.steady, wall, synchronised=self.synchronised, rtc=wall if self.rtc else None)
        if step is not None:
            self.time.take(step, self.steady)
        self.disk = self._written(self.time)

    def ask(self, there: int, back: int) -> None:
        self.passes(there)
        said = self.true
        self.passes(back)
        step = self.time.platform(self.steady, said, there + back)
        if step is not None:
            self.time.take(step, self.steady)
            self.disk = self._written(self.time)
        self.send()

    def read(self) -> None:
        self.passes(1000)  # no point is read twice within a millisecond
        self.log.append((self.time.era, self.time.now(self.steady), self.true, self.boot))
        self.look()  # as the shell does each minute: a reboot goes on from what is written

    def send(self) -> None:
        """Send the whole log again, as to a platform that was restored: each message is what it was."""
        if self.time.undecided:
            return
        for number, (era, stamped, _, _) in enumerate(self.log):
            at = stamped
            if era:
                correction = self.time.correction(era)
                assert correction is not None
                at += correction.delta
            assert self.sent.setdefault(number, at) == at

    def restart(self) -> None:
        self.time = self._start()

    def reboot(self, off: int) -> None:
        self.true += off
        self.steady = 0
        self.boot += 1
        self.synchronised = False
        self.wall_off = 0 if self.rtc else self.wall_off - off
        self.restart()

    def network_time(self) -> None:
        self.synchronised, self.wall_off = True, 0

    def jump(self, by: int) -> None:
        # The kernel takes a clock that somebody sets for unsynchronised.
        self.synchronised, self.wall_off, self.rtc = False, self.wall_off + by, False

    def do(self, deed: str, number: int) -> None:
        deeds: dict[str, Callable[[int], None]] = {
            "pass": self.passes,
            "jump": self.jump,
            "network": lambda _: self.network_time(),
            "restart": lambda _: self.restart(),
            "reboot": self.reboot,
            "look": lambda _: self.look(),
            "ask": lambda there: self.ask(there, there // 3),
            "read": lambda _: self.read(),
        }
        deeds[deed](number)

    def doubtful(self, era: str) -> bool:
        correction = self.time.correction(era) if era else None
        return correction is not None and correction.doubt


_SHORT = st.integers(0, 4 * SECOND)
_DEEDS = st.one_of(
    st.tuples(st.just("pass"), st.integers(0, 3 * HOUR)),
    st.tuples(st.just("jump"), st.sampled_from([DAY, -DAY, HOUR, -HOUR, 40 * SECOND, -40 * SECOND])),
    st.tuples(st.just("network"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("reboot"), st.integers(0, 10 * DAY)),
    st.tuples(st.just("look"), st.just(0)),
    st.tuples(st.just("ask"), _SHORT),
    st.tuples(st.just("read"), st.just(0)),
)


@given(st.lists(_DEEDS, max_size=60))
@settings(max_examples=300)
def test_whatever_the_clocks_do_the_order_stays_and_what_is_sure_is_right(deeds: list[tuple[str, int]]) -> None:
    machine = Machine()
    for deed, number in deeds:
        machine.do(deed, number)
    machine.network_time()
    machine.look()
    machine.send()
    assert len(machine.sent) == len(machine.log)
    before: tuple[int, Instant] = (-1, 0)
    for number, (era, _, true, boot) in enumerate(machine.log):
        at = machine.sent[number]
        if not machine.doubtful(era):
            assert abs(at - true) <= TOLERANCE
        # Within one boot strictly in order; over a reboot to within what the platform's time was right to.
        assert at > before[1] if boot == before[0] else at >= before[1] - 2 * TOLERANCE
        before = (boot, at)
