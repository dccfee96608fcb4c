"""A ladder-style pipeline state machine for deals: always in exactly one stage."""

from .board import Board
from .clock import Clock, ManualClock, SystemClock
from .deals import Cart, CartLine, Deal, Move, Outcome, Receipt, Visit
from .effects import Backoff, Delivery, Effect, EffectState, Task
from .errors import LadderError, UndeliverableError
from .events import Event
from .files import dump, load
from .history import History
from .hooks import HookContext
from .pipeline import Pipeline
from .rules import ANY, Rule, Timer, VisitTimes, after, by_hand, on
from .stages import Stage, do, wait
from .stores import MemoryStore, SqliteStore

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
