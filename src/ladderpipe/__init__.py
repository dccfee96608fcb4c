"""A ladder-style pipeline state machine for deals: always in exactly one stage.

``AsyncBoard`` and ``PostgresStore`` are here too, and are loaded when they are first asked for:
they need an event loop, or the extra ``postgres``. That is why ``from ladderpipe import *`` leaves
them out. So are, to begin quickly, some that most programs do without.
"""

from typing import TYPE_CHECKING

from .board.board import Board
from .errors import LadderError, UndeliverableError
from .ladder.rules import ANY, Rule, Timer, VisitTimes, after, by_hand, on
from .model.clock import Clock, ManualClock, SystemClock
from .model.deal import Cart, CartLine, Deal
from .model.effect import Backoff, Delivery, Effect, EffectState, Task
from .model.event import Event
from .model.history import History
from .model.hook import HookContext
from .model.move import Move
from .model.receipt import Outcome, Receipt
from .model.stage import Stage, do, wait
from .model.visit import Visit
from .pipeline import Pipeline, dump, load
from .stores import SqliteStore

if TYPE_CHECKING:
    from .asynchronous import AsyncBoard as AsyncBoard
    from .stores import MemoryStore
    from .stores import PostgresStore as PostgresStore

__all__ = [
    "ANY",
    "Backoff",
    "Board",
    "Cart",
    "CartLine",
    "Clock",
    "Deal",
    "Delivery",
    "Effect",
    "EffectState",
    "Event",
    "History",
    "HookContext",
    "LadderError",
    "ManualClock",
    "MemoryStore",
    "Move",
    "Outcome",
    "Pipeline",
    "Receipt",
    "Rule",
    "SqliteStore",
    "Stage",
    "SystemClock",
    "Task",
    "Timer",
    "UndeliverableError",
    "Visit",
    "VisitTimes",
    "after",
    "by_hand",
    "do",
    "dump",
    "load",
    "on",
    "wait",
]

_LOADED_WHEN_ASKED_FOR = {
    "AsyncBoard": ".asynchronous",
    "MemoryStore": ".stores",
    "PostgresStore": ".stores",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Load what was not loaded yet.

        Raises:
            StoreError: it needs an extra that is not installed.
        """
        if name not in _LOADED_WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_LOADED_WHEN_ASKED_FOR[name], __name__), name)
