"""From what is there to what is wanted: the steps, and taking them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from linli_core.catalogue import Language
from linli_dashboards.grafana.account import account_step
from linli_dashboards.grafana.boards import Boards
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.contacts import Contacts
from linli_dashboards.grafana.folders import Folders
from linli_dashboards.grafana.sources import Reach, Sources
from linli_dashboards.grafana.step import Action, Kind, Step
from linli_dashboards.grafana.wanted import Board, Community, copies, folder_title


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be in an organisation.

    Attributes:
        communities: Whom the boards are for.
        boards: The boards of the language.
        lang: The language.
        platform: The platform's address, as Grafana reaches it.
        replace_edited: Boards that a person saved are replaced too.
        account: File for the token of a service account of our own; none is made if left out.
        account_days: How long that token lasts; for good if left out.
    """

    communities: tuple[Community, ...]
    boards: tuple[Board, ...]
    lang: Language
    platform: str
    replace_edited: bool = False
    account: Path | None = None
    account_days: int | None = None


def plan(grafana: Grafana, wanted: Wanted) -> Iterator[Step]:
    """Yield the steps in the order in which they are taken; nothing is changed by asking for them."""
    folders = Folders(grafana, wanted.lang)
    boards = Boards(grafana, replace_edited=wanted.replace_edited)
    sources = Sources(grafana, wanted.platform, wanted.lang)
    contacts = Contacts(grafana, wanted.platform, wanted.lang)
    left = [
        *folders.teams_left(wanted.communities),
        *sources.leftovers(wanted.communities),
        *contacts.leftovers(wanted.communities),
    ]
    # Grafana takes no two of one name: what goes makes room for what comes, where a community's id has changed.
    names = {folder_title(community, wanted.lang) for community in wanted.communities}
    first = [step for step in left if step.action is Action.REMOVE and step.title in names]
    yield from first
    going_sources = frozenset(step.uid for step in first if step.kind is Kind.SOURCE)
    going_teams = frozenset(step.uid for step in first if step.kind is Kind.TEAM)
    going_contacts = frozenset(step.uid for step in first if step.kind is Kind.CONTACT)
    folders.check_names(wanted.communities, going_teams)
    uids: set[str] = set()
    for community in wanted.communities:
        source = sources.step(community, going_sources)
        yield from folders.steps(community)
        yield source
        yield from contacts.steps(community, going_contacts)
        own = copies(wanted.boards, community)
        uids.update(str(board["uid"]) for board in own)
        yield from boards.steps(community.uid, own, folder_is_new=not folders.has(community))
    if wanted.account is not None:
        yield account_step(grafana, wanted.account, wanted.account_days)
    leftovers = list(boards.leftovers(frozenset(uids)))
    yield from leftovers
    going = frozenset(step.uid for step in leftovers if step.action is Action.REMOVE)
    yield from folders.leftovers(wanted.communities, boards, going)
    yield from (step for step in left if step not in first)


def take(steps: Iterable[Step]) -> None:
    """Take the steps, in their order."""
    for step in steps:
        if step.run is not None:
            step.run()


def tried(grafana: Grafana, wanted: Wanted) -> list[Reach]:
    """Return how far Grafana comes through the data source of each community."""
    sources = Sources(grafana, wanted.platform, wanted.lang)
    return [sources.ask(community) for community in wanted.communities]
