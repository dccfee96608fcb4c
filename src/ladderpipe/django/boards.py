"""``get_board()``: the board on Django's connection, wherever Django is connected to just then."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from ..board.board import Board
from ..board.deliver import register
from ..board.migration_text import as_typed
from ..board.session import Session
from ..errors import PipelineChangedError, StoreError
from ..model.effect import Handler
from ..pipeline import Pipeline
from .conf import configured, database, forget_settings
from .schema import refuse_old_tables
from .signals import TellingObserver
from .store import DjangoStore

Result = TypeVar("Result")

__all__ = [
    "DjangoBoard",
    "adopting_board",
    "advised",
    "forget_boards",
    "get_board",
    "get_boards",
    "open_board",
]

_sessions: Final[dict[tuple[str, str, str], Session]] = {}
"""By Django's alias, the name of the database behind it (another one in tests) and the
pipeline's. Only what is committed is kept: of a pipeline that is noted in a transaction nobody
knows the number before that."""

_boards: Final[dict[str, DjangoBoard]] = {}


class DjangoBoard(Board):
    """A board in Django's own database: :func:`get_board` returns it.

    It has every method of :class:`ladderpipe.Board`. What is done inside ``transaction.atomic()``
    belongs to that transaction, and is undone with it; outside, each call is a transaction of its
    own. It holds no connection: each thread uses Django's own to the database that Django is
    connected to at that moment, which in tests is theirs. So it may be kept, also by a module.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._registered: dict[str, Handler] = {}

    @property
    def _session(self) -> Session:  # type: ignore[override]
        return _session_of(self)

    @property
    def pipeline(self) -> Pipeline:
        """The ladder."""
        return _pipeline(self._name)

    def using(self, connection: Any) -> DjangoBoard:
        """Return this board, which is on Django's connection anyway.

        Raises:
            StoreError: it is another connection than Django's to this database.
        """
        DjangoStore(database()).using(connection)
        return self

    def handle_effect(self, name: str, handler: Handler) -> None:
        """Let *handler* deliver effects of this name; asks no database, so ``ready()`` may call it.

        Raises:
            DefinitionError: the name has a handler already, or the handler is asynchronous.
        """
        self.handles(name)(handler)

    def handles(self, name: str) -> Callable[[Handler], Handler]:
        """Register the decorated function to deliver effects of this name.

        Raises:
            DefinitionError: the name has a handler already, or the function is asynchronous.
        """
        keep = register(dict(self.handlers), name)

        def kept(handler: Handler) -> Handler:
            self._registered[name] = keep(handler)
            _sessions.clear()
            return handler

        return kept

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Who delivers which effects: those of the settings, and those registered here."""
        return {**configured().handlers, **self._registered}

    def _in_thread(self, work: Callable[[Board], Result]) -> Result:
        """Do some work in a thread that Django knows nothing of, and so closes nothing of."""
        try:
            return work(self)
        finally:
            # As Django does after a request, in the threads of its own.
            connections[database()].close_if_unusable_or_obsolete()

    def close(self) -> None:
        """Leave the connection alone: it is Django's."""

    def __repr__(self) -> str:
        return f"<DjangoBoard {self._name!r} on {database()!r}>"


def get_board(pipeline: str | None = None) -> DjangoBoard:
    """Return the board of a pipeline that ``settings.LADDERPIPE`` lists.

        from ladderpipe.django import get_board

        get_board().handle(event)

    No database is asked before something is asked of the board.

    Args:
        pipeline: its name; may be left out where there is one.

    Raises:
        ImproperlyConfigured: the settings list no such pipeline, or several and none is named.
    """
    name = _only() if pipeline is None else _pipeline(pipeline).name
    return _boards.setdefault(name, DjangoBoard(name))


def get_boards() -> list[DjangoBoard]:
    """Return the boards of all pipelines, in the order of the settings.

    Raises:
        ImproperlyConfigured: something in the settings cannot be what it is to be.
    """
    return [get_board(name) for name in configured().pipelines]


def open_board(board: DjangoBoard) -> None:
    """Note a board's pipeline where the database does not know it yet."""
    _session_of(board)


def adopting_board(board: DjangoBoard) -> Board:
    """Return a board in the same database that adopts a changed ladder, and only when told to."""
    settings = {**configured().board, "on_change": "refuse", "adopting": True}
    return _opened(board, database(), **settings)


def advised(message: str, pipeline: str) -> str:
    """Return a message about a pipeline whose advice on adopting it is a command of Django's."""
    return as_typed(message, f"manage.py ladder_migrate {shlex.quote(pipeline)}")


def forget_boards(**changed: Any) -> None:
    """Ask settings and database anew; boards that somebody holds stay good."""
    _sessions.clear()
    forget_settings()


def _session_of(board: DjangoBoard) -> Session:
    alias = database()
    key = (alias, str(connections[alias].settings_dict["NAME"]), board._name)
    if (known := _sessions.get(key)) is not None:
        return known
    try:
        session = _opened(board, alias, **configured().board)._session
    except PipelineChangedError as error:
        raise PipelineChangedError(advised(str(error), board._name)) from error

    def keep() -> None:
        # Tests may call this although nothing is committed (captureOnCommitCallbacks).
        if not connections[alias].in_atomic_block:
            _sessions[key] = session

    transaction.on_commit(keep, using=alias)
    return session


def _opened(board: DjangoBoard, alias: str, **settings: Any) -> Board:
    refuse_old_tables(alias)
    if not connections[alias].settings_dict["AUTOCOMMIT"]:
        raise StoreError(
            f"settings.DATABASES[{alias!r}] says AUTOCOMMIT: False, and then nobody is told when "
            "something is committed: take it out"
        )
    pipeline = board.pipeline
    opened = Board(pipeline, store=DjangoStore(alias), **settings)
    session = opened._session
    session.handlers.update(board.handlers)
    session.observer = TellingObserver(pipeline, alias, session.observer.candid)
    return opened


def _pipeline(name: str) -> Pipeline:
    found = configured().pipelines
    if name not in found:
        raise ImproperlyConfigured(
            f"no pipeline {name!r}: settings.LADDERPIPE lists {', '.join(map(repr, found))}"
        )
    return found[name]


def _only() -> str:
    names = list(configured().pipelines)
    if len(names) > 1:
        raise ImproperlyConfigured(
            f"settings.LADDERPIPE lists {', '.join(map(repr, names))}: say which, "
            f"get_board({names[0]!r})"
        )
    return names[0]
