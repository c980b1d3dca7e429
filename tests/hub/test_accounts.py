"""Both books held against each other, with a real broker: to the reading, whatever is refused, evicted or under way."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from linli_core.instant import DAY
from linli_core.log import Receiver
from linli_core.log.account import Balance
from linli_core.wire.messages import Account, Ack, Carried, Evicted, Status
from linli_platform.accounts import table
from linli_platform.ingest.accounts import GatewayBook
from linli_platform.ingest.batch import Booked

if TYPE_CHECKING:
    from tests.hub.conftest import GatewayStandIn, Hub, Site

NOW = 1_764_000_000_000_000
TODAY = NOW // DAY
GOOD = {"n": "meter-1/energy_import", "u": "Wh", "v": 1.5}
STRANGE = {"n": "meter-1/energy_import", "u": "furlong", "v": 1.5}


def said(through: int, *, logged: int, polled: int | None = None, filtered: int = 0) -> Account:
    polled = logged + filtered if polled is None else polled
    return Account(through, {TODAY: (polled, filtered, polled - filtered - logged, logged, through)})


async def whole(hub: "Hub", day: int | None = None) -> Balance:
    balances = hub.ingest.balances(hub.registry.losses("gw-a"), day)
    return balances["gw-a"][-1]


async def test_what_was_logged_is_accepted_or_refused_to_the_reading(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD, {**GOOD, "v": 2, "t": 1})
        await gateway.send(2, {**GOOD, "t": 2}, STRANGE)
        await gateway.acked(2)
        await gateway.announce(3, account=said(2, logged=4, polled=11, filtered=5))
        found = await whole(hub)
        assert (found.polled, found.filtered, found.refused_by_log, found.logged) == (11, 5, 2, 4)
        assert (found.accepted, found.refused, found.evicted, found.under_way, found.unexplained) == (3, 1, 0, 0, 0)
        assert await whole(hub, TODAY) == Balance(**{**as_dict(found), "day": TODAY})


async def test_a_message_that_comes_twice_counts_once_and_one_that_came_later_does_not_count(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        for _ in range(3):
            await gateway.send(1, GOOD)
        await gateway.acked(1)
        await gateway.announce(2, account=said(1, logged=1))
        await gateway.send(2, {**GOOD, "t": 1})
        await gateway.acked(2)
        assert ((await whole(hub)).accepted, (await whole(hub)).unexplained) == (1, 0)


async def test_what_is_under_way_and_what_was_evicted_is_told_apart(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.acked(1)
        gone = Evicted(2, 3, "space", observed_from=NOW, observed_to=NOW, readings=20)
        await gateway.announce(6, account=said(5, logged=51), evicted=(gone,))
        found = await whole(hub)
        assert (found.accepted, found.evicted, found.under_way, found.messages_under_way) == (1, 20, 30, 2)
        assert found.unexplained == 0


async def test_a_message_nobody_can_read_is_refused_with_all_it_held(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, {"n": "no point at all", "u": "Wh", "v": 1}, bn="gw-b/")
        await gateway.acked(1)
        await gateway.announce(2, account=said(1, logged=1))
        assert ((await whole(hub)).refused, (await whole(hub)).unexplained) == (1, 0)


async def test_what_damage_took_from_the_gateways_book_is_no_mistake_here(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.send(2, {**GOOD, "t": 1}, {**GOOD, "t": 2})
        await gateway.acked(2)
        # Its log lost its totals, and message 2 with them, after it was acknowledged.
        await gateway.announce(3, account=msgspec.structs.replace(said(2, logged=1), unbooked=1))
        found = await whole(hub)
        assert (found.accepted, found.logged, found.later, found.unexplained) == (3, 1, 2, 0)


async def test_a_mistake_is_not_explained_away(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.acked(1)
        await gateway.announce(2, account=said(1, logged=3))
        assert (await whole(hub)).unexplained == 2


async def test_the_book_survives_with_what_it_counts(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.acked(1)
    async with site.run(failures=1) as hub:
        await gateway.send(2, {**GOOD, "t": 1}, {**GOOD, "t": 2})
        await gateway.acked(2)
    async with site.run() as hub:
        await gateway.announce(3, account=said(2, logged=3))
        assert ((await whole(hub)).accepted, (await whole(hub)).unexplained) == (3, 0)
        assert hub.store.count() == 3


async def test_what_came_before_a_restart_and_after_the_last_word_is_no_mistake(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.acked(1)
        await gateway.announce(2, account=said(1, logged=1))
        await gateway.send(2, {**GOOD, "t": 1})
        await gateway.acked(2)
    async with site.run() as hub:
        found = await whole(hub)
        assert (found.accepted, found.later, found.unexplained) == (2, 1, 0)
        await gateway.announce(3, account=said(2, logged=2))
        found = await whole(hub)
        assert (found.accepted, found.later, found.unexplained) == (2, 0, 0)


async def test_a_pack_of_which_nothing_can_be_taken_belongs_to_its_readings_day(
    site: "Site", gateway: "GatewayStandIn"
) -> None:
    async with site.run() as hub:
        await gateway.announce()
        yesterday = (NOW - DAY) / 1e6
        await gateway.send(1, STRANGE, {**STRANGE, "t": 1}, bt=yesterday)
        await gateway.send(2, {**STRANGE, "t": -7200}, {**GOOD, "t": 60}, bt=(TODAY * DAY) / 1e6)
        await gateway.acked(2)
        days = {TODAY - 1: (4, 0, 0, 4, 2)}
        await gateway.announce(3, account=Account(2, days))
        found = await whole(hub, TODAY - 1)
        assert (found.accepted, found.refused, found.unexplained) == (1, 3, 0)
        assert found.reasons == {"unknown_unit": 3}


async def test_a_message_the_store_refuses_is_refused_in_the_book(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        hub.store.poison = 666.0
        await gateway.announce()
        await gateway.send(1, {**GOOD, "v": 666.0}, {**GOOD, "t": 1})
        await gateway.send(2, {**GOOD, "t": 2})
        await gateway.acked(2)
        await gateway.announce(3, account=said(2, logged=3))
        found = await whole(hub)
        assert (found.accepted, found.refused, found.unexplained) == (1, 2, 0)


async def test_a_gateway_that_keeps_no_book_is_not_listed(site: "Site", gateway: "GatewayStandIn") -> None:
    async with site.run() as hub:
        await gateway.announce()
        await gateway.send(1, GOOD)
        await gateway.acked(1)
        assert hub.ingest.balances([]) == {}


@pytest.mark.parametrize(
    ("lang", "words"), [("en", ("under way", "all", "lost at salvage")), ("zh", ("传输中", "合计", "抢修日志时丢失"))]
)
def test_the_table_is_for_people(lang: str, words: tuple[str, ...]) -> None:
    line: dict[str, Any] = dict.fromkeys(
        (
            "polled",
            "filtered",
            "refused_by_log",
            "logged",
            "accepted",
            "refused",
            "evicted",
            "under_way",
            "messages_under_way",
            "later",
            "unexplained",
        ),
        12,
    )
    line |= {
        "refused_by": {"unknown_unit": 5, "of_tomorrow": 7},
        "evicted_by": {"corruption": 12},
        "evicted_uncounted": 12,
    }
    shown = table([{"gateway": "gw-kitchen", "lines": [{"day": "2026-11-25", **line}, {"day": "all", **line}]}], lang)
    assert len(shown.splitlines()) == 3 + 1 + 2 * 5
    assert all(word in shown for word in words)
    assert table([], lang)


def as_dict(found: Balance) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Balance.__dataclass_fields__}


def test_what_the_gateways_book_holds_is_remembered_in_sums_only() -> None:
    book = GatewayBook()
    ack = Ack("e", 9_000)
    for seq in range(1, 3_001):
        book.enter(Booked("g", "e", seq, TODAY, 2, 0))
    book.said(said(2_990, logged=5_980))
    assert book.remembered == 10
    for seq in range(2_500, 2_600):  # brought again by another, long after: its book holds them
        book.enter(Booked("g", "e", seq, TODAY, 0, 0))
    assert book.remembered == 10
    balance = book.balances(ack, [])[-1]
    assert (balance.accepted, balance.unexplained) == (5_980, 0)
    book.said(said(3_000, logged=6_000))
    assert book.remembered == 0
    assert (book.balances(ack, [])[-1].accepted, book.balances(ack, [])[-1].unexplained) == (6_000, 0)


def test_of_a_gateway_that_says_nothing_of_its_book_few_messages_are_remembered() -> None:
    book = GatewayBook()
    for seq in range(1, 1_001):
        book.enter(Booked("g", "e", seq, TODAY, 2, 0))
    assert book.remembered == 256
    book.said(said(500, logged=1_000))  # of what came later some is forgotten: not called unexplained
    balance = book.balances(Ack("e", 1_000), [])[-1]
    assert (balance.later, balance.unexplained) == (488, 0)
    book.said(said(1_000, logged=2_000))
    balance = book.balances(Ack("e", 1_000), [])[-1]
    assert (balance.later, balance.accepted, balance.unexplained) == (0, 2_000, 0)


def test_a_gateway_that_begins_its_book_anew_does_not_explain_what_was_counted_before() -> None:
    book = GatewayBook()
    for seq in range(1, 11):
        book.enter(Booked("g", "e", seq, TODAY, 2, 0))
    book.said(said(10, logged=20))
    book.said(Account(0, {}))
    balance = book.balances(Ack("e", 10), [])[-1]
    assert (balance.accepted, balance.later, balance.unexplained) == (20, 20, 0)


def test_of_an_older_copy_of_the_card_nothing_is_under_way_and_nothing_a_mistake() -> None:
    book, receiver = GatewayBook(), Receiver()

    def say(epoch: str, through: int, *carried: Carried) -> None:
        account = said(through, logged=through)
        receiver.status(Status("g", "online", epoch, 1, through + 1, boot_id=epoch, number=through, carried=carried), 0)
        book.said(account, is_news=True)

    def store(epoch: str, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            receiver.offer(epoch, seq)
            book.enter(Booked("g", epoch, seq, TODAY, 1, 0))
        receiver.committed(epoch, range(first, last + 1))

    def whole_of_it() -> tuple[int, int, int, int, int]:
        found = book.balances(receiver.ack(), [], has_strays=receiver.has_strays)[-1]
        return found.logged, found.accepted, found.messages_under_way, found.later, found.unexplained

    say("a", 0)
    store("a", 1, 500)
    say("a", 500)
    assert not receiver.has_strays
    assert whole_of_it() == (500, 500, 0, 0, 0)
    say("b", 99, Carried("a", 99))
    assert whole_of_it() == (99, 500, 0, 401, 0)
    store("b", 100, 700)
    say("b", 700)
    assert whole_of_it() == (700, 1101, 0, 401, 0)
    receiver = Receiver.restore(receiver.snapshot())
    assert whole_of_it() == (700, 1101, 0, 401, 0)
