"""A store that follows the deals of workflows, so that whatever reads a store works over them.

The store's own fold makes its rows from what the deals were told, so nothing is copied that could
disagree: an event that comes twice is a duplicate there, one that comes late is late there, and the
order in which workflows get through does not matter. It asks for no effects, and people move deals
through it or not at all.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from temporalio import activity

from ..board.board import Board
from ..board.boundary import go_on_or_raise
from ..board.handle import take
from ..board.hold import keep
from ..board.sweep import sweep
from ..board.unit import Unit
from ..errors import EventNotFoundError, InvalidEventError
from ..model.clock import instant, instant_text
from ..model.event import BASELINE, Event
from ..pipeline import Pipeline
from ..stores import open_store

if TYPE_CHECKING:
    from .board import TemporalBoard

__all__ = ["FollowingBoard", "Projection"]

Result = TypeVar("Result")

BY_THE_WORKFLOW: Final = ("handle", "move", "override", "edit", "withdraw", "undo")
"""What people and programs ask of a board that goes to the deal's workflow."""
BY_THE_CUSTOMER: Final = ("subscribe", "unsubscribe")
"""What goes to the workflow of a customer."""
NOT_HERE: Final = (
    *("import_deals", "handle_many", "move_many", "release", "discard", "tick", "deliver", "run"),
    *("send_again", "drop", "assign", "complete", "handle_effect", "handles", "using"),
)
"""What writes, and is refused here. What tidies the copy up (``migrate``, ``forget``, ``remove``,
``archive``, ``restore``) is the store's own affair."""


class Projection:
    """Keeps the deals of workflows in a store as well.

    Give it to the plugin of the workers, which let it follow each change of a deal; and open
    :meth:`board` on it wherever deals are read: a page of reports, the web's board, a list of a
    customer's deals.

    Args:
        pipeline: the ladder of the deals, the same as the workers'.
        store: an URL as ``Board.open`` takes it, of a store that holds no deals of this pipeline
            but these.
        settings: what :class:`~ladderpipe.Board` takes, such as ``candid``.

    Raises:
        StoreError: the store holds deals of its own of this pipeline, or cannot be opened.
        PipelineChangedError: the store follows another definition: adopt this one with
            ``projection.board(adopting=True).migrate({})``.
    """

    def __init__(self, pipeline: Pipeline, store: str, **settings: Any) -> None:
        self._pipeline = pipeline
        self._store = store
        self._settings = settings

    @property
    def pipeline(self) -> Pipeline:
        """The ladder of the deals."""
        return self._pipeline

    @property
    def activity_name(self) -> str:
        """What the activity is called by which a deal tells what it was told."""
        return f"{self._pipeline.name}:follow"

    def board(self, through: TemporalBoard | None = None, **settings: Any) -> FollowingBoard:
        """Return a board on the store.

        Args:
            through: where what people do goes; without it, it is refused.
            settings: what :class:`~ladderpipe.Board` takes beside those of the projection.

        Raises:
            StoreError: see :class:`Projection`.
            PipelineChangedError: see :class:`Projection`.
        """
        store = open_store(self._store)
        try:
            return FollowingBoard(
                self._pipeline, through=through, store=store, **{**self._settings, **settings}
            )
        except BaseException:
            store.close()
            raise

    @functools.cached_property
    def _board(self) -> FollowingBoard:
        return self.board()

    def activity(self) -> Callable[..., Any]:
        """Return the activity that a deal's workflow calls."""

        async def follow(told: Mapping[str, Any]) -> None:
            events = [Event.from_dict(each) for each in told["events"]]
            await asyncio.to_thread(lambda: self._board.follow(told["deal"], events, told["to"]))

        return activity.defn(name=self.activity_name)(follow)


class FollowingBoard(Board):
    """A board on a store that follows deals which live in workflows.

    It reads as every board does. ``move``, ``override``, ``edit``, ``undo``, ``withdraw`` and
    ``handle`` are asked of the deal's workflow, whose answer they return, and the store has
    followed by then; ``unsubscribe`` and ``subscribe`` are the customer's. All else that writes is
    refused.
    """

    def __init__(
        self, pipeline: Pipeline, *, through: TemporalBoard | None = None, **settings: Any
    ) -> None:
        super().__init__(pipeline.following(), **settings)
        self._through = through

    def follow(self, deal: str, events: Iterable[Event], to: str) -> None:
        """Take what a deal was told, in any order and however often, and fire its timers.

        Args:
            to: the time, as the workflow has it: timers that are due by then have fired there.
        """
        told = [event for event in events if event.type != BASELINE]

        def work() -> None:
            with self._session.writing() as unit:
                for event in told:
                    self._follow_one(unit, event)
                unit.flush()
                stored, _ = unit.load(deal, create=False)
                until = instant(to)
                if stored is not None and stored.due_at is not None and stored.due_at <= until:
                    sweep(unit, stored, until)

        self._session.retried(work)

    def _follow_one(self, unit: Unit, event: Event) -> None:
        try:
            with unit.attempt():
                take(unit, event, hold=True)
        except Exception as error:
            go_on_or_raise(self._session, error, unit.transaction)
            # Two deals may have been told one identity each for itself; here it is one.
            keep(unit, self._session, event, error)

    def _asked(self, name: str, *given: Any, **named: Any) -> Any:
        through = self._through
        if through is None:
            raise InvalidEventError(_refusal(name, "Projection.board(through=TemporalBoard(...))"))
        if name in BY_THE_CUSTOMER:
            return _waited_for(getattr(through, name)(*given, **named))
        deal = self._deal_of(given[0]) if given else str(named["deal"])
        if name == "withdraw":
            given = (deal, *given)

        async def ask() -> Any:
            receipt = await getattr(through, name)(*given, **named)
            return receipt, await through._copy(deal)

        receipt, copy = _waited_for(ask())
        self.follow(deal, copy.events(deal), instant_text(copy.clock.now()))
        return receipt

    def _deal_of(self, asked: Any) -> str:
        """Return the deal that something is about: an event, what names one, or the deal's id."""
        if isinstance(asked, Event):
            return asked.deal
        if not isinstance(asked, tuple):
            return str(asked)
        with self._session.reading() as transaction:
            name = (asked[0], asked[1])
            known = transaction.known_events(self._session.number, [name]).get(name)
            found = None if known is None else transaction.load_by_id(known.deal_id)
        if found is None:
            raise EventNotFoundError(f"no event {asked[1]!r} of source {asked[0]!r} is known here")
        return found[0].deal


def _refusal(name: str, instead: str) -> str:
    return (
        f"board.{name} is refused: the deals of this store live in workflows on Temporal, and the "
        f"store only follows them; ask {instead}"
    )


def _by_the_workflow(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(Board, name))
    def asked(self: FollowingBoard, *given: Any, **named: Any) -> Any:
        return self._asked(name, *given, **named)

    return asked


def _refused(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(Board, name))
    def refused(self: FollowingBoard, *given: Any, **named: Any) -> Any:
        raise InvalidEventError(_refusal(name, "the TemporalBoard"))

    return refused


for _name in (*BY_THE_WORKFLOW, *BY_THE_CUSTOMER):
    setattr(FollowingBoard, _name, _by_the_workflow(_name))
for _name in NOT_HERE:
    setattr(FollowingBoard, _name, _refused(_name))


_loops: dict[str, asyncio.AbstractEventLoop] = {}
_lock: Final = threading.Lock()


def _waited_for(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what comes of *work*, in a thread that waits; its loop is this process's own."""
    with _lock:
        loop = _loops.get("one")
        if loop is None:
            loop = _loops["one"] = asyncio.new_event_loop()
            threading.Thread(
                target=loop.run_forever, name="ladderpipe-temporal", daemon=True
            ).start()
    return asyncio.run_coroutine_threadsafe(work, loop).result()
