"""One request, signed in and read: what every page and act is given; and what they answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from ..board.board import Board
from ..errors import PipelineChangedError
from ..model.deal import Deal
from ..pipeline import Pipeline
from ..stores.filters import Scope
from .access import Access, Action, User
from .feed import Feed, Listening
from .query import Params
from .refusal import Refusal
from .words import Words

__all__ = [
    "Answer",
    "Call",
    "CustomerDeals",
    "Document",
    "Done",
    "Other",
    "Page",
    "Unchanged",
    "link",
]


@attrs.frozen
class Page:
    """What is to be shown: a template with its values, or the same as JSON; ``""`` as JSON only."""

    template: str
    context: Mapping[str, Any]
    record: Mapping[str, Any]
    etag: str = ""


@attrs.frozen
class Done:
    """Something that was done: where a form leads to, and what a program is told."""

    to: str
    record: Mapping[str, Any]


@attrs.frozen
class Document:
    """A page that is whole as it is, with the policy under which a browser is to show it."""

    text: str
    policy: str


@attrs.frozen
class Unchanged:
    """Nothing to say that was not said before."""


Answer = Page | Done | Document | Unchanged | Listening


@attrs.frozen
class Other:
    """Another board on the same store that the user sees, with the deals they see of it.

    Attributes:
        board: to be asked as, and where, the first one is.
        title: what the page calls it.
        folder: where it is, from the page that is shown.
    """

    board: Board
    scope: Scope | None
    title: str
    folder: str


@attrs.frozen
class CustomerDeals:
    """What the user sees of a customer's deals in all pipelines.

    Attributes:
        deals: the newest first.
        unread: titles of the pipelines whose deals cannot be read now, as they are being changed.
    """

    deals: list[Deal]
    unread: list[str]

    def besides(self, shown: Deal) -> CustomerDeals:
        """Return the same without one deal."""
        own = (shown.pipeline, shown.id)
        others = [deal for deal in self.deals if (deal.pipeline, deal.id) != own]
        return attrs.evolve(self, deals=others)


@attrs.frozen
class Call:
    """One request: whose, for what, in which words.

    Attributes:
        scope: the deals that the user sees; ``None`` for all.
        reports: makes the page of reports, or has it.
        etag: what the browser holds already.
        name: the board's among several.
        title: what the page calls the pipeline, where it shows several.
        folder: where the board's pages are, from the page that is shown.
        others: further pipelines of the same store.
        heard: the last that a browser was told which had been cut off from :mod:`.live`.
        feed: tells of changes; ``None`` where the server keeps no answer open.
    """

    board: Board
    user: User
    access: Access
    scope: Scope | None
    query: Params
    form: Params
    words: Words
    reports: Callable[[Call], Document]
    etag: str = ""
    name: str = ""
    title: str = ""
    folder: str = ""
    others: tuple[Other, ...] = ()
    heard: str = ""
    feed: Feed | None = None

    @property
    def pipeline(self) -> Pipeline:
        """The ladder."""
        return self.board.pipeline

    @property
    def now(self) -> dt.datetime:
        """The board's time."""
        return self.board.clock.now()

    def deal(self, action: Action, deal: str | None = None) -> Deal:
        """Return the deal that is asked for, if it is the user's to see and to act on.

        Args:
            deal: its id; what the request names as ``deal`` when left out.

        Raises:
            Refusal: 404, there is none, or it is not theirs to see; 403, they may not do that.
            DealNotFoundError: there is none.
        """
        named = deal or (self.form if "deal" in self.form else self.query).needed("deal")
        found = self.board.deal(named)
        if not self.sees(found):
            raise Refusal(HTTPStatus.NOT_FOUND, self.words.gettext("There is no such deal."))
        if not self.access.may(self.user, action, found):
            raise Refusal(HTTPStatus.FORBIDDEN, self.words.gettext("You may not do this."))
        return found

    def deals_of(self, key: str) -> CustomerDeals:
        """Return what the user sees of a customer's deals, in this pipeline and the others."""
        try:
            return CustomerDeals(self._deals_of(key, self.others), [])
        except PipelineChangedError:
            readable = [other for other in self.others if self._is_readable(other)]
            unread = [other.title for other in self.others if other not in readable]
            return CustomerDeals(self._deals_of(key, readable), unread)

    def _deals_of(self, key: str, others: Iterable[Other]) -> list[Deal]:
        also = {other.board.pipeline: other.scope for other in others}
        return self.board.customer(key, scope=self.scope, also=also)[::-1]

    def _is_readable(self, other: Other) -> bool:
        """Return whether the store holds another pipeline as the program knows it."""
        try:
            self._deals_of("", [other])
        except PipelineChangedError:
            return False
        return True

    def folder_of(self, deal: Deal) -> str:
        """Return where the pages of a deal are, from the page that is shown."""
        return next((each.folder for each in self.others if _is_of(deal, each)), self.folder)

    def title_of(self, deal: Deal) -> str:
        """Return what the page calls a deal's pipeline."""
        return next((each.title for each in self.others if _is_of(deal, each)), self.title)

    def sees(self, deal: Deal) -> bool:
        """Return whether a deal that was found by its own key is among those the user sees."""
        scope = self.scope
        return scope is None or (
            (scope.owners is None or deal.owner in scope.owners)
            and (scope.sources is None or deal.source in scope.sources)
            and (scope.stages is None or deal.stage.key in scope.stages)
        )

    def may(self, action: Action, deal: Deal | None = None) -> bool:
        """Return whether the user may do something."""
        return self.access.may(self.user, action, deal)


def _is_of(deal: Deal, other: Other) -> bool:
    return deal.pipeline == other.board.pipeline.name


def link(page: str, /, **params: Any) -> str:
    """Return the address of a page, relative to any other: all of a board stand in one folder.

    Ids are in the query, since a deal may be called ``gid://shop/Cart/1``.
    """
    told = {name: value for name, value in params.items() if value not in (None, "", [])}
    return f"{page}?{urlencode(told, doseq=True, quote_via=quote)}" if told else page
