"""A ladder-style pipeline state machine for deals: always in exactly one stage.

Everything public is exported here, or by one of ``ladderpipe.connect``, ``.errors``, ``.guards``,
``.insight``, ``.logs``, ``.mail``, ``.policy``, ``.stores``, ``.templates``, ``.testing`` and
``.web``. Any other module may change.

What few programs need is loaded when it is first asked for, so that the others begin quickly.
``PostgresStore`` is here too; it needs the extra ``postgres``, and so ``from ladderpipe import *``
leaves it out.
"""

from typing import TYPE_CHECKING

from .board.board import Board
from .board.clock_watch import ClockDifference
from .board.listing import Changes, Page
from .board.read import StageTotal
from .board.task_list import TaskPage
from .errors import LadderError, UndeliverableError
from .fold.cart import CartDraft
from .fold.deal_data import DealData
from .fold.reducer import Reducer, cart_reducer
from .ladder.rules import ANY, Rule, Timer, VisitTimes, after, by_hand, on
from .model.clock import Clock, ManualClock, SystemClock
from .model.deal import Cart, CartLine, Deal, Unread
from .model.effect import (
    Backoff,
    Delivery,
    Drop,
    Effect,
    EffectState,
    Handler,
    Later,
    SendDecision,
    Task,
    drop,
    later,
)
from .model.event import Event, Identity
from .model.held import Held, HeldKind
from .model.history import History, SetAside, Withdrawn
from .model.hook import HookContext
from .model.move import Move
from .model.receipt import Outcome, Receipt
from .model.refusals import RefusalGroup
from .model.report import (
    BatchReport,
    DealFailure,
    DeliveryReport,
    Difference,
    EventFailure,
    TickReport,
)
from .model.stage import DoStep, Purpose, Stage, Status, WaitStep, do, wait
from .model.visit import Visit
from .pipeline import Pipeline, dump, load
from .public import publish
from .stores import SqliteStore
from .stores.listing import Scope

if TYPE_CHECKING:
    from .asynchronous import AsyncBoard
    from .board.findings import Health, HealthFinding
    from .board.forget import ForgetReport
    from .board.migrate import MigrationReport
    from .board.publish import Published
    from .board.retention.archive import ArchiveReport
    from .board.retention.restore import RestoreReport
    from .board.verify import VerifyReport, verify
    from .fold.explain import Explanation, Reason, Refusal, Step
    from .fold.options import Consequence, Option
    from .fold.unfolding import Change, Unfolding
    from .ladder.check import Finding
    from .ladder.files import schema
    from .logs.replay import ReplayReport, replay
    from .model.deal_import import ImportReport, OverdueDeal, RefusedDeal, Stay, ToldDeal
    from .observability.backlog import Backlog
    from .stores import MemoryStore
    from .stores import PostgresStore as PostgresStore

    __version__: str

__all__ = [
    "ANY",
    "ArchiveReport",
    "AsyncBoard",
    "Backlog",
    "Backoff",
    "BatchReport",
    "Board",
    "Cart",
    "CartDraft",
    "CartLine",
    "Change",
    "Changes",
    "Clock",
    "ClockDifference",
    "Consequence",
    "Deal",
    "DealData",
    "DealFailure",
    "Delivery",
    "DeliveryReport",
    "Difference",
    "DoStep",
    "Drop",
    "Effect",
    "EffectState",
    "Event",
    "EventFailure",
    "Explanation",
    "Finding",
    "ForgetReport",
    "Handler",
    "Health",
    "HealthFinding",
    "Held",
    "HeldKind",
    "History",
    "HookContext",
    "Identity",
    "ImportReport",
    "LadderError",
    "Later",
    "ManualClock",
    "MemoryStore",
    "MigrationReport",
    "Move",
    "Option",
    "Outcome",
    "OverdueDeal",
    "Page",
    "Pipeline",
    "Published",
    "Purpose",
    "Reason",
    "Receipt",
    "Reducer",
    "Refusal",
    "RefusalGroup",
    "RefusedDeal",
    "ReplayReport",
    "RestoreReport",
    "Rule",
    "Scope",
    "SendDecision",
    "SetAside",
    "SqliteStore",
    "Stage",
    "StageTotal",
    "Status",
    "Stay",
    "Step",
    "SystemClock",
    "Task",
    "TaskPage",
    "TickReport",
    "Timer",
    "ToldDeal",
    "UndeliverableError",
    "Unfolding",
    "Unread",
    "VerifyReport",
    "Visit",
    "VisitTimes",
    "WaitStep",
    "Withdrawn",
    "after",
    "by_hand",
    "cart_reducer",
    "do",
    "drop",
    "dump",
    "later",
    "load",
    "on",
    "replay",
    "schema",
    "verify",
    "wait",
]

_LOADED_WHEN_ASKED_FOR = {
    "ArchiveReport": ".board.retention.archive",
    "AsyncBoard": ".asynchronous",
    "Backlog": ".observability.backlog",
    "Change": ".fold.unfolding",
    "Consequence": ".fold.options",
    "Explanation": ".fold.explain",
    "Finding": ".ladder.check",
    "ForgetReport": ".board.forget",
    "Health": ".board.findings",
    "HealthFinding": ".board.findings",
    "ImportReport": ".model.deal_import",
    "MemoryStore": ".stores",
    "MigrationReport": ".board.migrate",
    "Option": ".fold.options",
    "OverdueDeal": ".model.deal_import",
    "PostgresStore": ".stores",
    "Published": ".board.publish",
    "Reason": ".fold.explain",
    "Refusal": ".fold.explain",
    "RefusedDeal": ".model.deal_import",
    "ReplayReport": ".logs.replay",
    "RestoreReport": ".board.retention.restore",
    "Stay": ".model.deal_import",
    "Step": ".fold.explain",
    "ToldDeal": ".model.deal_import",
    "Unfolding": ".fold.unfolding",
    "VerifyReport": ".board.verify",
    "replay": ".logs.replay",
    "schema": ".ladder.files",
    "verify": ".board.verify",
}

publish(__name__, *(globals()[name] for name in __all__ if name not in _LOADED_WHEN_ASKED_FOR))

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Load what was not loaded yet.

        Raises:
            StoreError: it needs an extra that is not installed.
        """
        if name == "__version__":
            from importlib.metadata import version

            return version(__name__)
        if name not in _LOADED_WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_LOADED_WHEN_ASKED_FOR[name], __name__), name)
