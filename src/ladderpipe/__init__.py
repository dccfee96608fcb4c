"""A ladder-style pipeline state machine for deals: always in exactly one stage.

Everything public is exported here, or by one of ``ladderpipe.connect``, ``.errors``, ``.fastapi``,
``.guards``, ``.insight``, ``.logs``, ``.mail``, ``.policy``, ``.problems``, ``.stores``,
``.templates``, ``.testing`` and ``.web``. Any other module may change.

A name is loaded when it is first asked for: who only folds events loads no board, and what few
programs need keeps nobody waiting.
``PostgresStore`` is here too; it needs the extra ``postgres``, and so ``from ladderpipe import *``
leaves it out.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .asynchronous import AsyncBoard
    from .board.board import Board
    from .board.chain import Chain, ChainExtension
    from .board.chain_check import ChainReport
    from .board.clock_watch import ClockDifference
    from .board.encrypt import EncryptReport, encrypt
    from .board.findings import Health, HealthFinding
    from .board.forget import ForgetReport
    from .board.listing import Changes, Page
    from .board.migrate import MigrationPlan, MigrationReport
    from .board.publish import Published
    from .board.read import StageTotal
    from .board.retention.archive import ArchiveReport
    from .board.retention.restore import RestoreReport
    from .board.rota import AssignOwner, Rota
    from .board.task_list import TaskPage
    from .board.verify import VerifyReport, verify
    from .errors import LadderError, UndeliverableError
    from .fold.cart import CartDraft
    from .fold.deal_data import DealData
    from .fold.explain import Explanation, Reason, Refusal, Step
    from .fold.options import Consequence, Option
    from .fold.reducer import Reducer, cart_reducer
    from .fold.unfolding import Change, Unfolding
    from .ladder.check import Finding
    from .ladder.files import schema
    from .ladder.holidays import public_holidays
    from .ladder.rules import ANY, Rule, Timer, VisitTimes, after, by_hand, on
    from .logs.replay import ReplayReport, replay
    from .model.calendar import Calendar, CalendarSpan
    from .model.clock import Clock, ManualClock, SystemClock
    from .model.deal import Cart, CartLine, Deal, Unread
    from .model.deal_import import ImportReport, OverdueDeal, RefusedDeal, Stay, ToldDeal
    from .model.delivery import Backoff, EffectState
    from .model.effect import (
        Delivery,
        Drop,
        Effect,
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
    from .observability.backlog import Backlog
    from .pipeline import Pipeline, dump, load
    from .stores import MemoryStore, SqliteStore
    from .stores import PostgresStore as PostgresStore
    from .stores.filters import Scope

    __version__: str

__all__ = [
    "ANY",
    "ArchiveReport",
    "AssignOwner",
    "AsyncBoard",
    "Backlog",
    "Backoff",
    "BatchReport",
    "Board",
    "Calendar",
    "CalendarSpan",
    "Cart",
    "CartDraft",
    "CartLine",
    "Chain",
    "ChainExtension",
    "ChainReport",
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
    "EncryptReport",
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
    "MigrationPlan",
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
    "Rota",
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
    "encrypt",
    "later",
    "load",
    "on",
    "public_holidays",
    "replay",
    "schema",
    "verify",
    "wait",
]

_HOMES = {
    "ANY": ".ladder.rules",
    "ArchiveReport": ".board.retention.archive",
    "AssignOwner": ".board.rota",
    "AsyncBoard": ".asynchronous",
    "Backlog": ".observability.backlog",
    "Backoff": ".model.delivery",
    "BatchReport": ".model.report",
    "Board": ".board.board",
    "Calendar": ".model.calendar",
    "CalendarSpan": ".model.calendar",
    "Cart": ".model.deal",
    "CartDraft": ".fold.cart",
    "CartLine": ".model.deal",
    "Change": ".fold.unfolding",
    "Changes": ".board.listing",
    "Clock": ".model.clock",
    "ClockDifference": ".board.clock_watch",
    "Consequence": ".fold.options",
    "Deal": ".model.deal",
    "DealData": ".fold.deal_data",
    "DealFailure": ".model.report",
    "Delivery": ".model.effect",
    "DeliveryReport": ".model.report",
    "Difference": ".model.report",
    "DoStep": ".model.stage",
    "Drop": ".model.effect",
    "Effect": ".model.effect",
    "EffectState": ".model.delivery",
    "EncryptReport": ".board.encrypt",
    "Event": ".model.event",
    "EventFailure": ".model.report",
    "Explanation": ".fold.explain",
    "Finding": ".ladder.check",
    "ForgetReport": ".board.forget",
    "Handler": ".model.effect",
    "Health": ".board.findings",
    "HealthFinding": ".board.findings",
    "Held": ".model.held",
    "HeldKind": ".model.held",
    "History": ".model.history",
    "HookContext": ".model.hook",
    "Identity": ".model.event",
    "ImportReport": ".model.deal_import",
    "LadderError": ".errors",
    "Later": ".model.effect",
    "ManualClock": ".model.clock",
    "MemoryStore": ".stores",
    "MigrationPlan": ".board.migrate",
    "MigrationReport": ".board.migrate",
    "Move": ".model.move",
    "Option": ".fold.options",
    "Outcome": ".model.receipt",
    "OverdueDeal": ".model.deal_import",
    "Page": ".board.listing",
    "Pipeline": ".pipeline",
    "PostgresStore": ".stores",
    "Published": ".board.publish",
    "Chain": ".board.chain",
    "ChainExtension": ".board.chain",
    "ChainReport": ".board.chain_check",
    "Purpose": ".model.stage",
    "Reason": ".fold.explain",
    "Receipt": ".model.receipt",
    "Reducer": ".fold.reducer",
    "Refusal": ".fold.explain",
    "RefusalGroup": ".model.refusals",
    "RefusedDeal": ".model.deal_import",
    "ReplayReport": ".logs.replay",
    "RestoreReport": ".board.retention.restore",
    "Rota": ".board.rota",
    "Rule": ".ladder.rules",
    "Scope": ".stores.filters",
    "SendDecision": ".model.effect",
    "SetAside": ".model.history",
    "SqliteStore": ".stores",
    "Stage": ".model.stage",
    "StageTotal": ".board.read",
    "Status": ".model.stage",
    "Stay": ".model.deal_import",
    "Step": ".fold.explain",
    "SystemClock": ".model.clock",
    "Task": ".model.effect",
    "TaskPage": ".board.task_list",
    "TickReport": ".model.report",
    "Timer": ".ladder.rules",
    "ToldDeal": ".model.deal_import",
    "UndeliverableError": ".errors",
    "Unfolding": ".fold.unfolding",
    "Unread": ".model.deal",
    "VerifyReport": ".board.verify",
    "Visit": ".model.visit",
    "VisitTimes": ".ladder.rules",
    "WaitStep": ".model.stage",
    "Withdrawn": ".model.history",
    "after": ".ladder.rules",
    "by_hand": ".ladder.rules",
    "cart_reducer": ".fold.reducer",
    "do": ".model.stage",
    "drop": ".model.effect",
    "dump": ".pipeline",
    "encrypt": ".board.encrypt",
    "later": ".model.effect",
    "load": ".pipeline",
    "on": ".ladder.rules",
    "public_holidays": ".ladder.holidays",
    "replay": ".logs.replay",
    "schema": ".ladder.files",
    "verify": ".board.verify",
    "wait": ".model.stage",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Load what was not loaded yet.

        Raises:
            StoreError: it needs an extra that is not installed.
        """
        if name == "__version__":
            from importlib.metadata import version

            found = version(__name__)
        elif name in _HOMES:
            found = getattr(import_module(_HOMES[name], __name__), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
