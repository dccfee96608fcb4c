"""The board: a pipeline bound to a store and a clock; what a shop's backend holds."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

import attrs

from ..model.clock import Clock, SystemClock, instant
from ..model.deal import KEEP, Deal
from ..model.delivery import Backoff, EffectState, StaleEffects
from ..model.event import OWN_SOURCE, Event, Identity
from ..model.history import History
from ..model.receipt import Receipt
from ..model.stage import Stage, Status
from ..observability.observer import Observer
from ..pipeline import Pipeline
from ..public import publish
from ..stores import Store, open_store, seal, store_of
from . import handle, hold, read
from .clock_watch import DEFAULT_BOUND, ClockWatch
from .handle import BATCH
from .hooks import refuse_inside_hook
from .session import Session
from .stale import checked

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from ..fold.explain import Explanation
    from ..fold.options import Option
    from ..model.deal_import import ImportReport, OverdueDeal, RefusedDeal, ToldDeal
    from ..model.effect import Effect, Handler, Task
    from ..model.held import Held
    from ..model.report import BatchReport, DeliveryReport, TickReport
    from ..stores.filters import Scope
    from ..stores.sealed.ring import KeyRing
    from ..stores.sqlalchemy_url import Engine, RenderedUrl
    from . import forget, listing, migrate, task_list, worker
    from .chain import Chain, ChainExtension
    from .findings import Health
    from .publish import Published
    from .retention import archive, restore

__all__ = ["Board"]

Result = TypeVar("Result")

DEFAULT_SKEW = dt.timedelta(minutes=5)
DEFAULT_LEASE = dt.timedelta(minutes=5)
DEFAULT_POLL = dt.timedelta(seconds=2)
DEFAULT_CHAIN_EVERY = dt.timedelta(minutes=5)
DEFAULT_BATCH = 500
DEFAULT_ARCHIVE_BATCH = 100
DEFAULT_LINKS = 100


class Board:
    """A pipeline at work: takes events, moves deals, keeps them in exactly one stage.

    Threads and processes may share a board or a store. Inside a hook no board may be called.

    Args:
        pipeline: the ladder; it takes no further hooks once a board is bound.
        store: where the deals are; in this process's memory when left out.
        clock: tells the time; the machine's when left out.
        max_skew: how far in the future an event may be.
        lease: how long a worker may take over one delivery before another may try.
        backoff: when failed deliveries and sweeps are tried again.
        adopting: open although the store holds another definition, to call :meth:`migrate`.
        on_change: ``migrate`` adopts a changed definition at once, where no stage is gone; for
            development, and wherever one process has the store to itself. Others that still run
            the old definition are refused from then on.
        read_only: write nothing, not even titles that have changed; for reports.
        max_clock_difference: how far the machine's clock may be from the database's for
            sweeping and delivering; ``None`` to compare none.
        candid: name deals and quote errors in log records and spans, which may be personal data.
        stale_effects: what becomes of effects that have been ready for more than a week: ``hold``
            sends a few and keeps back ten or more, which reports, the log and the worker say;
            ``send`` sends them, ``expire`` drops them, on record. Left out, a worker
            (:meth:`run`) holds, and :meth:`deliver`, which somebody calls, sends.

    Raises:
        ValueError: *stale_effects* or *on_change* is none of these.
        PipelineChangedError: the store holds another definition of this pipeline; with
            ``on_change="migrate"``, one with a stage that is gone.
        MigrationError: a deal cannot be carried over by ``on_change="migrate"``.
        StoreError: the board only reads, and the store does not know the pipeline.
    """

    _bound_by: ClassVar[type[Session]] = Session

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        max_skew: dt.timedelta = DEFAULT_SKEW,
        lease: dt.timedelta = DEFAULT_LEASE,
        backoff: Backoff | None = None,
        adopting: bool = False,
        on_change: Literal["refuse", "migrate"] = "refuse",
        read_only: bool = False,
        max_clock_difference: dt.timedelta | None = DEFAULT_BOUND,
        candid: bool = False,
        stale_effects: StaleEffects | None = None,
    ) -> None:
        refuse_inside_hook("Board(...)")
        if on_change not in ("refuse", "migrate"):
            raise ValueError(f"on_change={on_change!r}: it is 'refuse' or 'migrate'")
        self._session = self._bound_by(
            pipeline=pipeline,
            store=open_store("memory:") if store is None else store,
            clock=SystemClock() if clock is None else clock,
            max_skew=max_skew,
            lease=lease,
            backoff=backoff or Backoff(),
            read_only=read_only,
            clock_watch=ClockWatch(max_clock_difference),
            observer=Observer(pipeline.name, candid),
            stale_effects=checked(stale_effects),
        )
        self._session.adopt_or_refuse(refuse=not adopting and on_change == "refuse")
        pipeline.bind(asynchronous=self._bound_by is not Session)
        if on_change == "migrate" and self._session.has_changed():
            from . import migrate

            migrate.migrate(self._session, None, DEFAULT_BATCH)

    @classmethod
    def open(
        cls,
        pipeline: Pipeline,
        url: str | RenderedUrl | None = None,
        clock: Clock | None = None,
        *,
        engine: Engine | None = None,
        keys: KeyRing | str | None = None,
        **settings: Any,
    ) -> Board:
        """Open a board on the store that a URL names, for example ``sqlite:///shop.db``.

        Args:
            url: one of ours or one of SQLAlchemy's, such as ``postgresql+psycopg://host/shop``.
            engine: instead of a URL, an SQLAlchemy ``Engine`` on the database; the board has
                connections of its own there.
            keys: encrypt personal data with the keys of this ring, or of the one in the store
                that a URL names, which is another database than that of the deals.
            settings: what :class:`Board` takes beside these.

        Raises:
            TypeError: neither a URL nor an engine is given, or both.
            StoreError: the URL names no store, or it cannot be opened.
            PipelineChangedError: the store holds another definition of this pipeline.
        """
        store = _opened(url, engine)
        try:
            if keys is not None:
                store = seal(store, keys, read_only=bool(settings.get("read_only")))
            return cls(pipeline, store=store, clock=clock, **settings)
        except BaseException:
            store.close()
            raise

    @property
    def pipeline(self) -> Pipeline:
        """The ladder."""
        return self._session.pipeline

    @property
    def clock(self) -> Clock:
        """What tells the board the time."""
        return self._session.clock

    @property
    def store(self) -> Store:
        """Where the deals are."""
        return self._session.store

    def using(self, connection: Any) -> Board:
        """Return this board on the caller's own connection, inside its transaction.

        The move and the caller's rows then commit together or not at all: it is the caller who
        commits. Inside, savepoints undo what fails.

        Raises:
            StoreError: the store cannot be used on that connection.
        """
        refuse_inside_hook("board.using")
        joined = object.__new__(type(self))
        joined._session = attrs.evolve(self._session, store=self._session.store.using(connection))
        return joined

    # -- events -------------------------------------------------------------------------------

    def handle(self, event: Event, hold: bool = False, *, quiet: bool = False) -> Receipt:
        """Take one event, and say what became of it.

        Args:
            hold: refuse no fact: what cannot be used now is kept with the reason, and the receipt
                says ``HELD``. Whoever receives events from elsewhere wants this.
            quiet: record what it asks for as expired instead of sending it.

        Raises:
            InvalidEventError: the reducer cannot understand it; nothing is stored.
            EventConflictError: its identity is known with other content.
            EventFromFutureError: it lies further in the future than ``max_skew``.
            GuardError: a guard raised; nothing is stored.
            HookError: a hook raised; nothing is stored.
            PipelineChangedError: another definition was adopted meanwhile.
        """
        refuse_inside_hook("board.handle")
        return handle.handle(self._session, event, hold, quiet)

    def handle_many(
        self,
        events: Iterable[Event],
        quiet: bool = False,
        hold: bool = False,
        *,
        batch: int = BATCH,
    ) -> BatchReport:
        """Take many events, *batch* to a transaction, keeping the bad ones from the good.

        Args:
            hold: as :meth:`handle` takes it.
            quiet: record effects as expired instead of sending them; for replays of the past.
                It stays quiet about timers that were due before, whoever notices them later.
        """
        refuse_inside_hook("board.handle_many")
        from .batch import handle_many

        return handle_many(self._session, events, quiet, batch, hold)

    def import_deals(
        self,
        deals: Iterable[ToldDeal | RefusedDeal],
        *,
        source: str = "import",
        grace: dt.timedelta | None = None,
        start_sequences: bool = False,
        dry_run: bool = False,
        on_overdue: Callable[[OverdueDeal], None] | None = None,
        on_refused: Callable[[str, str], None] | None = None,
    ) -> ImportReport:
        """Bring deals over from another system, their past as it was (S13a).

        Whatever the ladder would have made of it, what is told of the past is taken as it was; no
        hook runs for it and nothing of it is sent. From this instant on the ladder's rules hold:
        timers that are overdue fire with the next tick, dated now. Done again it changes nothing;
        with a newer export it adds what is new.

        Args:
            deals: for example :func:`ladderpipe.logs.told_deals` of a CRM's export. They are read
                two hundred at a time, each two hundred in a transaction.
            source: who tells: of the events, and so of what is known again.
            grace: let what is overdue move that much later instead of now.
            start_sequences: count the sequences of the open deals' stages from now, instead of
                from when they were entered; what was due by now is expired then.
            dry_run: write nothing; only say what would come of it.
            on_overdue: told of every deal of which a timer is overdue.
            on_refused: told of the place and the reason of every deal that is left out.

        Raises:
            ValueError: the grace is negative.
        """
        from . import deal_import

        refuse_inside_hook("board.import_deals")
        return deal_import.import_deals(
            self._session,
            deals,
            source=source,
            grace=grace,
            start_sequences=start_sequences,
            dry_run=dry_run,
            on_overdue=on_overdue,
            on_refused=on_refused,
        )

    def held(self, deal: str | None = None) -> list[Held]:
        """Return the events that are held, of one deal or of all, the longest held first."""
        refuse_inside_hook("board.held")
        return hold.held(self._session, deal)

    def held_of_deals(
        self, *, owner: str | None = None, scope: Scope | None = None, limit: int = 50
    ) -> list[Held]:
        """Return events that are held of open deals, the longest held first.

        Args:
            owner: only of this owner's deals.
            scope: the deals that whoever asks may see.
            limit: the most to return, from 1 to 1,000.

        Raises:
            ValueError: *limit* is out of range.
        """
        refuse_inside_hook("board.held_of_deals")
        from . import listing

        wanted = listing.filter_of(self.pipeline, owner=owner, scope=scope)
        most = listing.checked_limit(limit, 1, "events")
        return hold.held_of_deals(self._session, wanted, most)

    def held_among(self, deals: Iterable[str]) -> set[str]:
        """Return those of these deals of which something is held, by their ids."""
        refuse_inside_hook("board.held_among")
        return hold.held_among(self._session, deals)

    def release(self, held: Held | str, *, id: str | None = None) -> Receipt:
        """Try a held event again, now that what kept it back may be gone.

        Args:
            held: the event, or its key.
            id: tell it under this id instead of its own, which another event has.

        Raises:
            HeldNotFoundError: it is not held any more (a ``LookupError``).
            InvalidEventError: it conflicts with another event and has no id of its own.
            EventFromFutureError: its time is still to come.
            HookError: a hook raised again.
        """
        refuse_inside_hook("board.release")
        from . import release

        return release.release(self._session, held if isinstance(held, str) else held.key, id)

    def discard(self, held: Held | str, *, by: str, reason: str) -> None:
        """Put a held event aside for good; told again, it is a duplicate.

        Raises:
            HeldNotFoundError: it is not held any more (a ``LookupError``).
            InvalidEventError: nobody, or no reason, was named.
        """
        refuse_inside_hook("board.discard")
        key = held if isinstance(held, str) else held.key
        from . import release

        release.discard(self._session, key, by, reason)

    def move(
        self,
        deal: str,
        into: Stage | str,
        *,
        by: str,
        reason: str | None = None,
        properties: Mapping[str, Any] | None = None,
        at: dt.datetime | str | None = None,
        expecting: Stage | str | None = None,
        id: str | None = None,
        quiet: bool = False,
    ) -> Receipt:
        """Move a deal by hand, as the ``by_hand`` rules allow; the history tells who and why.

        Args:
            by: who moves it.
            properties: set on the deal with the move, for example what the stage requires.
            at: when it happened, for what is entered later; the rules are asked about the deal as
                it stood then. Left out, now, or a little later: after all that the deal has seen.
            expecting: the stage, or the key of the visit, in which you saw the deal.
            id: makes a request that is told again harmless: the same id for the same deal and
                stage is a duplicate, whatever else it says.
            quiet: record what the move asks for by now as expired, instead of sending it.

        Raises:
            MoveNotAllowedError: no rule allows it now, or the deal is not where it was expected;
                the message says where it may go, or who moved it.
            MissingPropertyError: the stage requires what is not filled.
            EventConflictError: *id* was given to a hand that asked for something else.
            EventFromFutureError: *at* is still to come.
            GuardError: a guard, or the rule's ``may``, raised.
        """
        from . import hand

        refuse_inside_hook("board.move")
        asked = hand.hand(
            self.pipeline,
            into,
            by=by,
            reason=reason,
            properties=properties,
            at=at,
            expecting=expecting,
            id=id,
            quiet=quiet,
        )
        return hand.move(self._session, deal, asked)

    def move_many(
        self,
        deals: Iterable[str],
        into: Stage | str,
        *,
        by: str,
        reason: str | None = None,
        properties: Mapping[str, Any] | None = None,
        at: dt.datetime | str | None = None,
        expecting: Stage | str | None = None,
        id: str | None = None,
        quiet: bool = False,
    ) -> BatchReport:
        """Move many deals by hand; those that are refused are in the report, the others go on.

        Each failure has the place of its deal in *deals*, and the error that :meth:`move` raises.

        Args:
            id: each deal's hand has this and the deal's id as its own, so that all of it can be
                asked for again.

        The other arguments are those of :meth:`move`.
        """
        from . import hand

        refuse_inside_hook("board.move_many")
        asked = hand.hand(
            self.pipeline,
            into,
            by=by,
            reason=reason,
            properties=properties,
            at=at,
            expecting=expecting,
            id=id,
            quiet=quiet,
        )
        return hand.move_many(self._session, deals, asked)

    def override(
        self,
        deal: str,
        into: Stage | str,
        *,
        by: str,
        reason: str | None = None,
        properties: Mapping[str, Any] | None = None,
        at: dt.datetime | str | None = None,
        expecting: Stage | str | None = None,
        id: str | None = None,
        quiet: bool = False,
    ) -> Receipt:
        """Move a deal past the rules, always; the history says so.

        The arguments are those of :meth:`move`.

        Raises:
            DealNotFoundError: no event of that deal is known.
            MoveNotAllowedError: the deal is not where it was expected, or was not open then.
            EventConflictError: *id* was given to a hand that asked for something else.
            EventFromFutureError: *at* is still to come.
        """
        from . import hand

        refuse_inside_hook("board.override")
        asked = hand.hand(
            self.pipeline,
            into,
            by=by,
            reason=reason,
            properties=properties,
            at=at,
            expecting=expecting,
            id=id,
            quiet=quiet,
            override=True,
        )
        return hand.move(self._session, deal, asked)

    def edit(
        self,
        deal: str,
        *,
        by: str,
        owner: str | None = KEEP,
        value: Decimal | int | float | str | None = KEEP,
        currency: str = KEEP,
        title: str | None = KEEP,
        contact: Mapping[str, Any] | None = KEEP,
        company: str | Mapping[str, Any] | None = KEEP,
        properties: Mapping[str, Any] = KEEP,
        note: str | None = None,
        expecting: Stage | str | None = None,
        id: str | None = None,
    ) -> Receipt:
        """Correct what is known of a deal, closed ones too; the history tells who.

        It is an event, ``deal.edited``, and no activity: nobody's timer starts anew because a deal
        was handed over. Open tasks follow a new owner, unless they were given to somebody.

        Args:
            by: who corrects it.
            owner: who has it from now on; ``None`` for nobody.
            value: what it is worth; ``None`` takes an amount back that was said.
            currency: another label for the amounts; nothing is converted.
            contact: fields to correct; ``{"phone": None}`` erases one.
            properties: set one by one.
            note: kept in the history.
            expecting: the stage, or the key of the visit, in which you saw the deal.
            id: makes a request that is told again harmless, as :meth:`move` takes it.

        Raises:
            DealNotFoundError: no event of that deal is known.
            InvalidEventError: a field cannot be what it is to be, or nothing is said.
            MoveNotAllowedError: the deal is not where it was expected.
            EventConflictError: *id* was given to a hand that asked for something else.
        """
        from . import edit

        refuse_inside_hook("board.edit")
        fields = {
            "owner": owner,
            "value": value,
            "currency": currency,
            "title": title,
            "contact": contact,
            "company": company,
            "properties": properties,
        }
        seen = None if expecting is None else str(expecting)
        asked = edit.edit_of(fields, by=by, note=note, expecting=seen, id=id)
        return edit.edit(self._session, deal, asked)

    def withdraw(
        self,
        event: Event | Held | Identity | tuple[str, str] | str,
        *,
        by: str,
        reason: str | None = None,
        source: str = "",
        id: str | None = None,
    ) -> Receipt:
        """Take an event back: the deal becomes as if it had never been told.

        History and explanation still show that it was told, and who took it back. What is withdrawn
        already is a duplicate, and nothing is written.

        Args:
            event: an event, what ``receipt.event`` names, a held event, or an id.
            source: of the event, if only its id is given.
            id: makes a request that is told again harmless, as :meth:`move` takes it.

        Raises:
            EventNotFoundError: no such event is known, or held (a ``LookupError``).
            MoveNotAllowedError: it stands in a baseline; the message says what to do instead.
            EventConflictError: *id* was given to a hand that asked for something else.
        """
        from . import withdraw

        refuse_inside_hook("board.withdraw")
        asked = withdraw.take_back(event, by=by, reason=reason, id=id, source=source)
        return withdraw.withdraw(self._session, event, asked)

    def undo(
        self,
        deal: str,
        *,
        by: str,
        event: Event | Identity | tuple[str, str] | str | None = None,
        expecting: Stage | str | None = None,
        reason: str | None = None,
        id: str | None = None,
    ) -> Receipt:
        """Take back a move, override or edit by hand: the one named, or the last one.

        One of *event* and *expecting* is needed, so that a double click does not undo two.

        Args:
            event: what ``receipt.event`` named, or the id that the hand was given.
            expecting: the stage, or the key of the visit, in which you see the deal.
            id: makes a request that is told again harmless, as :meth:`move` takes it.

        Raises:
            DealNotFoundError: no event of that deal is known.
            InvalidEventError: neither is given, or *event* was nothing done by hand.
            MoveNotAllowedError: the deal is not where it was expected, there is nothing to undo, or
                it stands in a baseline.
            EventConflictError: *id* was given to a hand that asked for something else.
        """
        from . import withdraw

        refuse_inside_hook("board.undo")
        asked = withdraw.take_back(
            event,
            by=by,
            reason=reason,
            expecting=None if expecting is None else str(expecting),
            id=id,
            source=OWN_SOURCE,
        )
        return withdraw.undo(self._session, deal, asked)

    def options(self, deal: str, by: str | None = None) -> tuple[Option, ...]:
        """Say of every stage whether a hand may move the deal there now, and what would follow.

        ``allowed`` is what :meth:`move` would do with nothing but ``by=``. Nothing is written:
        timers that are due are counted as fired.

        Args:
            by: who; left out, no rule's ``may`` is asked.

        Raises:
            DealNotFoundError: the deal was removed.
        """
        from . import options

        refuse_inside_hook("board.options")
        return options.options_of(self._session, deal, by)

    # -- customers ----------------------------------------------------------------------------

    def unsubscribe(self, key: str, channel: str = "email") -> None:
        """Note that the holder of an address wants nothing more there.

        It is kept as a hash, and outlives :meth:`forget` and :meth:`archive`. What is written
        already is dropped when it would be sent, by a policy with ``unsubscribed``.

        Args:
            key: the address; a key of a customer, for the addresses of the customer's deals; or
                what a delivery's ``recipient`` names.
            channel: ``"email"``, or ``"phone"`` (also ``"sms"``, ``"whatsapp"``).

        Raises:
            InvalidEventError: the key stands for no address on that channel.
        """
        from .subscribe import set_subscription

        refuse_inside_hook("board.unsubscribe")
        set_subscription(self._session, key, channel, wanted=False)

    def subscribe(self, key: str, channel: str = "email") -> None:
        """Note that the holder of an address wants to be written to there again.

        Args are those of :meth:`unsubscribe`. Whatever was said last counts.

        Raises:
            InvalidEventError: the key stands for no address on that channel.
        """
        from .subscribe import set_subscription

        refuse_inside_hook("board.subscribe")
        set_subscription(self._session, key, channel, wanted=True)

    # -- time ---------------------------------------------------------------------------------

    def tick(
        self, limit: int | None = None, *, until: dt.datetime | str | None = None
    ) -> TickReport:
        """Fire every timer that is due by now, of at most *limit* deals.

        When, how often and whether this runs changes no history, only when effects go out.

        Args:
            until: go only as far as this instant, to see the board as it stood then.

        Raises:
            ClockError: *until* lies after the clock's time, or this machine's clock is too far
                from the database's.
        """
        refuse_inside_hook("board.tick")
        from . import sweep

        return sweep.tick(self._session, limit, until)

    def handle_effect(self, name: str, handler: Handler) -> None:
        """Let *handler* deliver effects of this name: ``board.handle_effect("email", mailbox)``.

        Raises:
            DefinitionError: the name has a handler already, or the handler is asynchronous.
        """
        from . import deliver

        deliver.register(self._session.handlers, name)(handler)

    def handles(self, name: str) -> Callable[[Handler], Handler]:
        """Register the decorated function to deliver effects of this name.

        Raises:
            DefinitionError: the name has a handler already, or the function is asynchronous.
        """
        from . import deliver

        return deliver.register(self._session.handlers, name)

    def deliver(self, limit: int | None = None) -> DeliveryReport:
        """Deliver at most *limit* effects that are due and have a handler.

        Before each claim the deal's due timers fire: nothing is claimed for a visit that ended.
        Many that are older than a week are sent too, unless the board's ``stale_effects`` says
        otherwise.

        Raises:
            ClockError: this machine's clock is too far from the database's.
        """
        from . import deliver

        refuse_inside_hook("board.deliver")
        return deliver.deliver(self._session, limit)

    def run(
        self,
        *,
        stop: threading.Event | None = None,
        poll: dt.timedelta = DEFAULT_POLL,
        on_round: worker.Round | None = None,
        alive: str | PathLike[str] | None = None,
        chain_every: dt.timedelta | None = DEFAULT_CHAIN_EVERY,
    ) -> None:
        """Work until told to stop: sweep, deliver, sleep until something is due.

        SIGTERM and SIGINT finish what is under way and return, when this runs in the main thread.
        A service of systemd's whose main thread this is tells that it is ready and goes on.

        Args:
            stop: set it to stop from another thread.
            poll: the longest sleep, since other processes may bring new work.
            on_round: told of every round that did something.
            alive: a file that is touched as long as the work goes on, once a second at most and
                once in *poll* at least: one that is older tells that the worker hangs.
            chain_every: how often to extend the hash chain, once it is begun; ``None`` for never.

        Raises:
            OSError: the file cannot be written.
        """
        from . import worker

        refuse_inside_hook("board.run")
        worker.run(self._session, stop, poll, on_round, alive, chain_every)

    # -- reading ------------------------------------------------------------------------------

    def deal(self, deal: str) -> Deal:
        """Return a deal as it is stored.

        Raises:
            DealNotFoundError: no such deal has been opened (a ``LookupError``).
        """
        refuse_inside_hook("board.deal")
        return read.deal(self._session, deal)

    def deals(
        self,
        *,
        stage: Stage | str | None = None,
        status: Status | None = None,
        owner: str | None = None,
        source: str | None = None,
        search: str | None = None,
        customer: str | None = None,
        scope: Scope | None = None,
        sort: listing.Sort | None = None,
    ) -> Iterator[Deal]:
        """Yield the deals that match, in the order in which they were first heard of.

        One that cannot be read is left out and logged; :func:`~ladderpipe.verify` names it.

        Args are those of :meth:`page`.

        Raises:
            ValueError: there is no such *sort*.
        """
        refuse_inside_hook("board.deals")
        from . import listing

        wanted = listing.filter_of(
            self.pipeline,
            stage=stage,
            status=status,
            owner=owner,
            source=source,
            search=search,
            customer=customer,
            scope=scope,
        )
        return listing.deals(self._session, wanted, sort)

    def page(
        self,
        stage: Stage | str | None = None,
        *,
        sort: listing.Sort = "age",
        after: str | None = None,
        limit: int = 50,
        status: Status | None = None,
        owner: str | None = None,
        source: str | None = None,
        search: str | None = None,
        customer: str | None = None,
        scope: Scope | None = None,
    ) -> listing.Page:
        """Return a page of deals: a column of a board, or what a search finds.

        A page goes on where the one before it ended, so that no deal is left out or told twice
        because others have moved meanwhile. Only one that has itself got another place in the
        order since, further on, is met there again.

        Args:
            stage: only deals in this stage; every stage when left out.
            sort: ``age`` has the longest in their stage first, ``value`` the most valuable,
                whatever the currency, ``recent`` those that something happened to last, ``due``
                those whose timer is due next, ``title`` goes by the first 64 letters, large and
                small ones alike. What is not known comes last. Equals are in the order in which
                they were first heard of, with ``value`` and ``recent`` the other way round.
            after: ``next`` of the page before; the first page when left out.
            limit: the most deals to return, from 1 to 1,000.
            status: only deals in a stage of this status.
            owner: only this owner's deals.
            source: only deals that came from there.
            search: words that must all stand in title, contact, company or id, each anywhere in
                them; the first ten count. Large and small letters are the same on every store,
                and so are the ways of writing an accent; no sign has a meaning of its own.
            customer: only deals with this key, as :meth:`customer` takes it.
            scope: what whoever asks may see.

        Raises:
            CursorError: *after* is no cursor, or one of another *sort* (a ``ValueError``).
            ValueError: there is no such *sort*, or *limit* is out of range.
        """
        refuse_inside_hook("board.page")
        from . import listing

        wanted = listing.filter_of(
            self.pipeline,
            stage=stage,
            status=status,
            owner=owner,
            source=source,
            search=search,
            customer=customer,
            scope=scope,
        )
        return listing.page(self._session, wanted, sort, after, limit)

    def changes(self, after: str | None = None, *, limit: int = 500) -> listing.Changes:
        """Return deals that were written since, whatever wrote them, as they are now.

        Every change is told at least once, and a deal that was written often perhaps only once.
        What was recorded in the last minute and a half is told again together with what comes
        after it, because a transaction may commit later than another that recorded later. Whoever
        keeps one open for longer than that after the board has written in it
        (:meth:`using`), or has clocks further apart, may have changes go unnoticed.

        Ask until fewer than *limit* deals come back, and then again after a while.

        Args:
            after: ``cursor`` of the last answer; from the very first deal when left out.
            limit: the most deals to return, to 1,000. With 0 there are none, and the cursor, if
                *after* is left out, is for what is written from now on.

        Raises:
            CursorError: *after* is no cursor (a ``ValueError``).
            ValueError: *limit* is out of range.
        """
        refuse_inside_hook("board.changes")
        from . import listing

        return listing.changes(self._session, after, limit)

    def publish(
        self,
        send: Callable[[dict[str, Any]], object],
        after: str | None = None,
        *,
        source: str | None = None,
        limit: int = 500,
    ) -> Published:
        """Hand on moves that were recorded since, as CloudEvents, in order for each deal.

        At least once: what *send* has taken comes again, under the same id, if this does not
        return, and what was recorded in the last minute and a half comes again with what is new.
        A move has its number ``n``, and takes the place of what was told with that number or a
        higher one; where late events or withdrawals leave fewer moves than were told,
        ``ladderpipe.deal.undone`` says how many there are. See :meth:`Pipeline.asyncapi`.

        One process at a time should publish to a receiver; two would tell all twice, and in an
        order of their own.

        Args:
            send: hands one message, a structured CloudEvent, on; what it raises ends this.
            after: ``cursor`` of the last answer; every move that stands when left out.
            source: of the messages, a URI reference; ``/pipelines/`` and the pipeline's name
                when left out.
            limit: the most deals to look at, to 1,000. With 0 nothing is told, and the cursor,
                if *after* is left out, is for what is recorded from now on.

        Raises:
            CursorError: *after* is no cursor of this (a ``ValueError``).
            ValueError: *limit* is out of range, or *source* is no URI reference.
        """
        from . import publish

        refuse_inside_hook("board.publish")
        return publish.publish_moves(self._session, send, after, source, limit)

    def chain(self) -> Chain | None:
        """Return how far the hash chain over this pipeline's events goes; ``None`` without one.

        Its ``head`` names all of it: noted elsewhere, on paper, in a mail, in another system, and
        given to ``verify`` later, it shows that nothing that was in the chain then was altered.
        Whoever can write the database can make another chain, but not one with that head.
        """
        refuse_inside_hook("board.chain")
        from . import chain

        return chain.chain(self._session)

    def extend_chain(self, *, limit: int = DEFAULT_LINKS) -> ChainExtension:
        """Append to the hash chain what was recorded since, and begin the chain if there is none.

        A worker does so every five minutes once it is begun. Writers do not wait for it: what they
        are at comes with a later link. Beside others, in other processes, it is well, too.

        Args:
            limit: the most links to append; each has up to a thousand events.

        Raises:
            ValueError: *limit* is less than 1.
        """
        refuse_inside_hook("board.extend_chain")
        from . import chain

        return chain.extend(self._session, limit)

    def customer(
        self,
        key: str,
        *,
        scope: Scope | None = None,
        also: Mapping[Pipeline, Scope | None] | None = None,
    ) -> list[Deal]:
        """Return the deals with a customer or a company, in the order they were first heard of.

        Of a key that stands for nobody, because too many deals hold it, the first 201.

        Args:
            key: an e-mail address, or a key as ``Pipeline(customer=...)`` works them out, for
                example ``"id:shop:7"``; or ``"company:"`` with the name of a company, large and
                small letters alike.
            scope: what whoever asks may see of this pipeline.
            also: further pipelines of this store whose deals are wanted, each with what whoever
                asks may see of it, ``None`` for all; none when left out. ``deal.pipeline`` says
                whose a deal is.

        Raises:
            PipelineChangedError: the store holds another definition of one of them.
        """
        refuse_inside_hook("board.customer")
        from . import listing

        return listing.deals_of_customer(self._session, key, scope, also or {})

    def history(self, deal: str) -> History:
        """Return everything a deal has been through.

        Raises:
            DealNotFoundError: no such deal has been opened.
        """
        refuse_inside_hook("board.history")
        return read.history(self._session, deal)

    def events(self, deal: str) -> list[Event]:
        """Return a deal's stored events by time, those that wait for an opening included."""
        refuse_inside_hook("board.events")
        return read.events(self._session, deal)

    def explain(self, deal: str) -> Explanation:
        """Say of every event, hand and timer of a deal what it did, and why others did not.

        Raises:
            DealNotFoundError: no event of such a deal is known.
        """
        refuse_inside_hook("board.explain")
        return read.explain(self._session, deal)

    def summary(self, scope: Scope | None = None) -> list[read.StageTotal]:
        """Return count, value and weighted value per stage and currency, in ladder order.

        Args:
            scope: what whoever asks may see.
        """
        refuse_inside_hook("board.summary")
        return read.summary(self._session, scope)

    def health(self, *, thorough: bool = False) -> Health:
        """Say how board and store are doing, and what a person should look at; writes nothing.

        Args:
            thorough: let the database look for damage too, which reads all of a SQLite file.
        """
        from . import health

        refuse_inside_hook("board.health")
        return health.of_session(self._session, thorough)

    # -- effects and tasks --------------------------------------------------------------------

    def effects(
        self, deal: str | None = None, *, states: Sequence[EffectState] | None = None
    ) -> list[Effect]:
        """Return effects, of one deal or of all, in some states or in any, by due time."""
        from . import outbox

        refuse_inside_hook("board.effects")
        return outbox.effects(self._session, deal, states)

    def unsent(self, deals: Iterable[str]) -> dict[str, list[Effect]]:
        """Return what these deals ask for and was not sent, by deal, those without left out.

        That is what the send policy or a handler put off or dropped, what waits for an address,
        and dead letters; :attr:`Effect.because` says why. Of what came to nothing only that
        counts which was asked for when the deal came into the stage it is in.

        Args:
            deals: their ids; they are all looked up at once.
        """
        from . import outbox

        refuse_inside_hook("board.unsent")
        return outbox.unsent(self._session, deals)

    def dead_letters(self) -> list[Effect]:
        """Return the effects whose last try failed."""
        return self.effects(states=[EffectState.DEAD])

    def send_again(self, effect: Effect | str) -> None:
        """Give a dead letter all its tries again.

        Raises:
            EffectNotFoundError: it is no dead letter, or an event that came late did away with the
                visit that asked for it; then it is cancelled.
        """
        from . import outbox

        refuse_inside_hook("board.send_again")
        outbox.send_again(self._session, effect if isinstance(effect, str) else effect.key)

    def drop(self, effect: Effect | str, *, by: str, reason: str) -> None:
        """Put a dead letter aside for good: it is not sent, and its decisions say who and why.

        Raises:
            InvalidEventError: it is not said who drops it, or why.
            EffectNotFoundError: it is no dead letter.
        """
        from . import outbox

        refuse_inside_hook("board.drop")
        key = effect if isinstance(effect, str) else effect.key
        outbox.drop(self._session, key, by, reason)

    def tasks(
        self,
        *,
        owner: str | None = None,
        deal: str | Collection[str] | None = None,
        due_by: dt.datetime | str | None = None,
    ) -> list[Task]:
        """Return all open tasks, the most urgent first; those of the future too.

        Where there may be many, :meth:`task_page` returns them page by page.

        Args:
            deal: only tasks of this deal, or of these.
            due_by: only tasks that are to be done by then.
        """
        from . import task_list

        refuse_inside_hook("board.tasks")
        until = None if due_by is None else instant(due_by)
        wanted = task_list.task_filter(self._session, owner=owner, deal=deal, due_by=until)
        return task_list.tasks(self._session, wanted)

    def task_page(
        self,
        *,
        owner: str | None = None,
        deal: str | Collection[str] | None = None,
        due_by: dt.datetime | str | None = None,
        after: str | None = None,
        limit: int = 50,
        scope: Scope | None = None,
    ) -> task_list.TaskPage:
        """Return a page of the open tasks, the most urgent first, and how many there are in all.

        A page goes on where the one before it ended, whatever was done meanwhile.

        Args:
            owner: only tasks of this person.
            deal: only tasks of this deal, or of these.
            due_by: only tasks that are to be done by then.
            after: ``next`` of the page before; the first page when left out.
            limit: the most tasks to return, from 1 to 1,000.
            scope: the deals that whoever asks may see.

        Raises:
            CursorError: *after* is no cursor of a page of tasks (a ``ValueError``).
            ValueError: *limit* is out of range.
        """
        from . import task_list

        refuse_inside_hook("board.task_page")
        until = None if due_by is None else instant(due_by)
        wanted = task_list.task_filter(
            self._session, owner=owner, deal=deal, due_by=until, scope=scope
        )
        return task_list.task_page(self._session, wanted, after, limit)

    def assign(self, task: Task | str, to: str | None, *, by: str) -> Task:
        """Give an open task to somebody; it stays theirs when the deal is handed over.

        Args:
            to: ``None`` gives it back to whoever owns the deal.
            by: who gives it; the task's payload says so, as ``assigned_by``.

        Raises:
            EffectNotFoundError: it is not open any more; the deal may have moved on.
            InvalidEventError: *to* or *by* is no name.
        """
        from . import options, outbox

        refuse_inside_hook("board.assign")
        options.check_actor(by)
        if to is not None:
            options.check_actor(to)
        return outbox.assign(self._session, task if isinstance(task, str) else task.key, to, by)

    def complete(self, task: Task | str) -> Task:
        """Note that a person has done a task.

        Raises:
            EffectNotFoundError: it is not open any more; the deal may have moved on.
        """
        from . import outbox

        refuse_inside_hook("board.complete")
        return outbox.complete(self._session, task if isinstance(task, str) else task.key)

    # -- the past -----------------------------------------------------------------------------

    def migration_plan(
        self, mapping: Mapping[str, Stage] | None = None, *, batch: int = DEFAULT_BATCH
    ) -> migrate.MigrationPlan:
        """Say what :meth:`migrate` would do, by doing and undoing it; nothing is changed.

        It takes the store's write lock for a batch at a time, as :meth:`migrate` does.

        Raises:
            PipelineChangedError: a migration to another definition is under way.
            DefinitionError: the mapping names a stage that is in neither definition.
        """
        from . import migrate

        refuse_inside_hook("board.migration_plan")
        return migrate.plan(self._session, mapping, batch)

    def migrate(
        self, mapping: Mapping[str, Stage] | None = None, *, batch: int = DEFAULT_BATCH
    ) -> migrate.MigrationReport:
        """Adopt this board's definition for every deal in the store; call again to resume.

        Args:
            mapping: old stage key to new stage, for every stage that is gone.

        Raises:
            PipelineChangedError: a stage that is gone is not in the mapping.
            DefinitionError: the mapping names a stage that is in neither definition.
            MigrationError: a deal cannot be carried over; nothing was changed.
        """
        from . import migrate

        refuse_inside_hook("board.migrate")
        return migrate.migrate(self._session, mapping, batch)

    def forget(
        self, /, *, properties: Iterable[str] = (), **contact: str | int
    ) -> forget.ForgetReport:
        """Remove personal data of a contact, for example ``forget(email="ada@example.com")``.

        Contacts, titles and reasons go from events and deals; the contact's own values go, as
        words of their own, from companies, properties, cart lines' titles, tasks and effects.
        The moves stay, and so do amounts, keys, stages and times, whatever they look like.

        Args:
            properties: names of deal properties to remove entirely.
            contact: one key of the contact and its value.

        Raises:
            InvalidEventError: not exactly one contact key is given.
        """
        from . import forget

        refuse_inside_hook("board.forget")
        return forget.forget(self._session, contact, properties)

    def remove(self, deal: str) -> None:
        """Remove a closed deal with its history; events for it answer ``ARCHIVED`` afterwards.

        Raises:
            DealNotFoundError: there is no such deal.
            MoveNotAllowedError: it is not closed.
        """
        from . import forget

        refuse_inside_hook("board.remove")
        forget.remove(self._session, deal)

    def archive(
        self,
        *,
        before: dt.datetime | str,
        to: Path | str,
        batch: int = DEFAULT_ARCHIVE_BATCH,
        remove: bool = True,
    ) -> archive.ArchiveReport:
        """Write deals closed before an instant to a file, check it, and remove them.

        Tombstones stay, as after :meth:`remove`. Calling it again with the same arguments goes on
        after a crash, or removes what was only written.

        Args:
            before: compared with ``closed_at``.
            to: a new file, JSON lines; compressed if its name ends in ``.gz``.
            batch: how many deals to a transaction.
            remove: ``False`` leaves the deals in the store.

        Raises:
            ArchiveError: the file is there and is another archive, or it turned out damaged;
                nothing is removed then.
            OSError: it cannot be written.
        """
        from .retention import archive

        refuse_inside_hook("board.archive")
        return archive.archive(self._session, before, to, batch, remove)

    def restore(
        self,
        path: Path | str,
        *,
        deals: Iterable[str] | None = None,
        batch: int = DEFAULT_ARCHIVE_BATCH,
    ) -> restore.RestoreReport:
        """Put deals of an archive back as they were; nothing that waited then is sent now.

        Calling it again goes on after a crash.

        Args:
            deals: ids of those wanted; all when left out.

        Raises:
            ArchiveError: the archive is damaged or another ladder's, or one of the deals is in
                the store, and not as it was archived.
            DealNotFoundError: one that is wanted is not in the archive.
        """
        from .retention import restore

        refuse_inside_hook("board.restore")
        return restore.restore(self._session, path, deals, batch)

    # -- end ----------------------------------------------------------------------------------

    def _in_thread(self, work: Callable[[Board], Result]) -> Result:
        """Do some work in a thread of a server's, which ends when the server likes."""
        return work(self)

    def close(self) -> None:
        """Let go of the store's connections."""
        self._session.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self.close()
        return False

    def __repr__(self) -> str:
        return f"<Board {self.pipeline.name!r} on {self.store!r}>"

    def _repr_html_(self) -> str:
        """Return what lies in its stages as a notebook shows it."""
        from ..model.notebook import table

        return table(
            self.pipeline.title,
            ("stage", "currency", "deals", "value", "weighted value"),
            [
                (one.stage.title, one.currency, one.count, one.value, one.weighted_value)
                for one in self.summary()
            ],
        )


def _opened(url: str | RenderedUrl | None, engine: Engine | None) -> Store:
    if url is not None and engine is None:
        return open_store(url)
    if engine is not None and url is None:
        return store_of(engine)
    raise TypeError("a board is opened by a URL, or by engine=: give one of them")


publish("ladderpipe", Board)
