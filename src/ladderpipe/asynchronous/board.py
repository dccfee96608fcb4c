"""The asynchronous board: every method of a board, to be awaited, and none written twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Literal, ParamSpec, TypeVar, cast

from ..board.board import DEFAULT_CHAIN_EVERY, DEFAULT_POLL, Board
from ..board.listing import PAGE
from ..board.publish import Published
from ..board.session import Session
from ..board.worker import Round
from ..model.clock import Clock
from ..model.report import DeliveryReport, TickReport
from ..pipeline import Pipeline
from ..public import publish
from ..stores import Store, bridge
from .session import BridgedSession
from .strands import Threads, in_greenlet
from .worker import AsyncHandler, Stop, as_plain_handler, stopping_on_signals

if TYPE_CHECKING:
    from ..stores.sealed.ring import KeyRing
    from ..stores.sqlalchemy_url import Engine, RenderedUrl

__all__ = ["AsyncBoard"]

Given = ParamSpec("Given")
Result = TypeVar("Result")
AnyHandler = TypeVar("AnyHandler", bound=AsyncHandler)


class _BridgedBoard(Board):
    """What an asynchronous board calls, in a strand."""

    _bound_by: ClassVar[type[Session]] = BridgedSession


def awaited(
    method: Callable[Concatenate[Board, Given], Result],
) -> Callable[Concatenate[AsyncBoard, Given], Coroutine[Any, Any, Result]]:
    """Return a board's method as one to be awaited, with its parameters and its documentation."""

    @functools.wraps(method)
    async def call(board: AsyncBoard, /, *arguments: Given.args, **named: Given.kwargs) -> Result:
        return await board._in_strand(functools.partial(method, board._board, *arguments, **named))

    return call


def iterated(
    method: Callable[Concatenate[Board, Given], Iterator[Result]],
) -> Callable[Concatenate[AsyncBoard, Given], AsyncIterator[Result]]:
    """Return a board's method that yields as one for ``async for``; it reads page by page."""

    @functools.wraps(method)
    async def call(
        board: AsyncBoard, /, *arguments: Given.args, **named: Given.kwargs
    ) -> AsyncIterator[Result]:
        found = method(board._board, *arguments, **named)
        while page := await board._in_strand(lambda: list(itertools.islice(found, PAGE))):
            for one in page:
                yield one

    return call


def _built_like(
    build: Callable[Concatenate[Board, Given], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[AsyncBoard, Given], None]]:
    def keep(own: Callable[..., None]) -> Callable[Concatenate[AsyncBoard, Given], None]:
        return functools.wraps(build)(own)

    return keep


class AsyncBoard:
    """A pipeline at work in a program with an event loop: a :class:`Board` to be awaited.

    Its methods, their arguments and what they raise are those of :class:`Board`. Hooks and
    handlers may be ``async def``. One board serves all tasks of one event loop.

    On PostgreSQL it runs on the loop, through psycopg's asynchronous connection, which needs
    the extras ``async`` and ``postgres``. Every other store is used in worker threads.

    A task that is cancelled leaves nothing half done: what the call was about is stored, or
    nothing is. Doing the same again is harmless.

    Args are those of :class:`Board`. Making a board asks its store for the pipeline, which keeps
    the loop waiting for a moment; :meth:`open` does not.
    """

    @_built_like(Board.__init__)
    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._bind(_BridgedBoard(*arguments, **named), Threads())

    def _bind(self, board: Board, threads: Threads) -> AsyncBoard:
        self._board = board
        self._threads = threads
        self._is_on_loop: bool = getattr(board.store, "is_awaited", False)
        return self

    @classmethod
    async def open(
        cls,
        pipeline: Pipeline,
        url: str | RenderedUrl | None = None,
        clock: Clock | None = None,
        *,
        engine: Engine | None = None,
        keys: KeyRing | str | None = None,
        **settings: Any,
    ) -> AsyncBoard:
        """Open a board on the store that a URL names, for example ``postgresql://host/shop``.

        Args:
            url: one of ours or one of SQLAlchemy's, such as ``postgresql+psycopg://host/shop``.
            engine: instead of a URL, an SQLAlchemy ``AsyncEngine`` or ``Engine`` on the database;
                the board has connections of its own there.
            keys: encrypt personal data with the keys of this ring, or of the one in the store
                that a URL names, which is another database than that of the deals.
            settings: what :class:`Board` takes beside these.

        Raises:
            TypeError: neither a URL nor an engine is given, or both.
            StoreError: the URL names no store, or it cannot be opened.
            PipelineChangedError: the store holds another definition of this pipeline.
        """
        if engine is not None and url is None and hasattr(engine, "sync_engine"):
            from ..stores.sqlalchemy_url import awaited_url_of

            url, engine = await awaited_url_of(engine), None
        given = {**settings, "engine": engine, "keys": keys}
        opening = asyncio.ensure_future(
            asyncio.to_thread(_BridgedBoard.open, pipeline, url, clock, **given)
        )
        try:
            board = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        return object.__new__(cls)._bind(board, Threads())

    @property
    def pipeline(self) -> Pipeline:
        """The ladder."""
        return self._board.pipeline

    @property
    def clock(self) -> Clock:
        """What tells the board the time."""
        return self._board.clock

    @property
    def store(self) -> Store:
        """Where the deals are."""
        return self._board.store

    async def using(self, connection: Any) -> AsyncBoard:
        """Return this board on the caller's own connection, inside its transaction.

        It is an ``AsyncConnection`` of psycopg, a connection of asyncpg, or an ``AsyncConnection``
        or ``AsyncSession`` of SQLAlchemy over one of them.
        The move and the caller's rows then commit together or not at all: it is the caller who
        commits. Inside, savepoints undo what fails.

        Raises:
            StoreError: the store cannot be used on that connection.
        """
        joined = await self._in_strand(lambda: self._board.using(connection))
        return object.__new__(type(self))._bind(joined, self._threads)

    # -- events -------------------------------------------------------------------------------

    handle = awaited(Board.handle)
    handle_many = awaited(Board.handle_many)
    import_deals = awaited(Board.import_deals)
    held = awaited(Board.held)
    held_among = awaited(Board.held_among)
    held_of_deals = awaited(Board.held_of_deals)
    release = awaited(Board.release)
    discard = awaited(Board.discard)
    move = awaited(Board.move)
    move_many = awaited(Board.move_many)
    override = awaited(Board.override)
    edit = awaited(Board.edit)
    withdraw = awaited(Board.withdraw)
    undo = awaited(Board.undo)
    options = awaited(Board.options)

    # -- customers ----------------------------------------------------------------------------

    unsubscribe = awaited(Board.unsubscribe)
    subscribe = awaited(Board.subscribe)

    # -- time ---------------------------------------------------------------------------------

    tick = awaited(Board.tick)
    deliver = awaited(Board.deliver)

    def handle_effect(self, name: str, handler: AsyncHandler) -> None:
        """Let *handler*, plain or asynchronous, deliver effects of this name.

        A plain one runs in a worker thread.

        Raises:
            DefinitionError: the name has a handler already.
        """
        self._board.handle_effect(name, as_plain_handler(handler))

    def handles(self, name: str) -> Callable[[AnyHandler], AnyHandler]:
        """Register the decorated function, plain or ``async def``, to deliver these effects.

        A plain one runs in a worker thread.

        Raises:
            DefinitionError: the name has a handler already.
        """
        register = self._board.handles(name)

        def keep(handler: AnyHandler) -> AnyHandler:
            register(as_plain_handler(handler))
            return handler

        return keep

    async def run(
        self,
        *,
        stop: asyncio.Event | None = None,
        poll: dt.timedelta = DEFAULT_POLL,
        on_round: Round | None = None,
        alive: str | PathLike[str] | None = None,
        chain_every: dt.timedelta | None = DEFAULT_CHAIN_EVERY,
    ) -> None:
        """Work until told to stop or cancelled: sweep, deliver, sleep until something is due.

        SIGTERM and SIGINT finish what is under way and return, when this runs in the main thread
        and nobody else, such as a web server, minds them.

        Args:
            stop: set it to stop.
            poll: the longest sleep, since other processes may bring new work.
            on_round: told, on the loop, of every round that did something.
            alive: a file that is touched as long as the work goes on: see :meth:`Board.run`.
            chain_every: how often to extend the hash chain, once it is begun; ``None`` for never.
        """
        told = Stop(asyncio.Event() if stop is None else stop)
        tell = None if on_round is None else _on_loop(on_round)
        # A Stop is used as a threading.Event is.
        run: Any = functools.partial(self._board.run, stop=told, poll=poll, on_round=tell)  # type: ignore[arg-type]
        work: Any = functools.partial(run, alive=alive, chain_every=chain_every)
        with stopping_on_signals(told):
            await self._in_strand(work)

    # -- reading ------------------------------------------------------------------------------

    deal = awaited(Board.deal)
    deals = iterated(Board.deals)
    page = awaited(Board.page)
    changes = awaited(Board.changes)

    async def publish(
        self,
        send: Callable[[dict[str, Any]], object | Awaitable[object]],
        after: str | None = None,
        *,
        source: str | None = None,
        limit: int = 500,
    ) -> Published:
        """Hand on moves that were recorded since, as CloudEvents: see :meth:`Board.publish`.

        Args:
            send: plain or asynchronous; a plain one runs in a worker thread.
        """
        plain: Any = as_plain_handler(cast("AsyncHandler", send))
        publish = self._board.publish
        return await self._in_strand(lambda: publish(plain, after, source=source, limit=limit))

    chain = awaited(Board.chain)
    extend_chain = awaited(Board.extend_chain)
    customer = awaited(Board.customer)
    history = awaited(Board.history)
    events = awaited(Board.events)
    explain = awaited(Board.explain)
    summary = awaited(Board.summary)
    health = awaited(Board.health)

    # -- effects and tasks --------------------------------------------------------------------

    effects = awaited(Board.effects)
    unsent = awaited(Board.unsent)
    dead_letters = awaited(Board.dead_letters)
    send_again = awaited(Board.send_again)
    drop = awaited(Board.drop)
    tasks = awaited(Board.tasks)
    task_page = awaited(Board.task_page)
    complete = awaited(Board.complete)
    assign = awaited(Board.assign)

    # -- the past -----------------------------------------------------------------------------

    migrate = awaited(Board.migrate)
    migration_plan = awaited(Board.migration_plan)
    forget = awaited(Board.forget)
    remove = awaited(Board.remove)
    archive = awaited(Board.archive)
    restore = awaited(Board.restore)

    # -- end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let go of the store's connections."""
        await self._in_strand(self._board.close)
        self._threads.close()

    async def __aenter__(self) -> AsyncBoard:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        await self.close()
        return False

    def __repr__(self) -> str:
        return f"<AsyncBoard {self.pipeline.name!r} on {self.store!r}>"

    async def _in_strand(self, work: Callable[[], Result]) -> Result:
        if self._is_on_loop:
            return await in_greenlet(work)
        return await self._threads.run(work)


def _on_loop(on_round: Round) -> Round:
    def tell(swept: TickReport, delivered: DeliveryReport) -> None:
        async def call() -> None:
            on_round(swept, delivered)

        bridge.await_(call())

    return tell


def _close_unwanted(opening: asyncio.Future[Board]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


publish("ladderpipe", AsyncBoard)
