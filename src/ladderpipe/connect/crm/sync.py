"""Keeping a board and a CRM in step, by what stands on both sides and not by what was moved.

The board is told to the CRM; the CRM tells only that somebody has moved a deal there, which is a
hand like any other: the ladder decides. What it refuses is written back, with the reason.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...board.board import Board
from ...board.plain import plain_board
from ...board.worker import stopping_on_signals
from ...errors import (
    DealNotFoundError,
    DefinitionError,
    LadderError,
    PipelineChangedError,
    StoreError,
)
from ...model.clock import instant, instant_text
from ...model.deal import Deal
from ...observability.log_records import record
from .ledger import Entry, Ledger
from .mapping import CrmMap
from .protocol import (
    Asked,
    Assignment,
    Crm,
    CrmDeal,
    CrmError,
    FindsRestored,
    FoundDeal,
    StageChange,
)
from .standing import standing
from .words import CrmLanguage, CrmWords

if TYPE_CHECKING:
    from ...asynchronous import AsyncBoard

__all__ = ["CrmDrift", "CrmRound", "CrmSync"]

SYNC: Final = logging.getLogger("ladderpipe.connect")
_CURSOR: Final = "cursor"
_RECONCILED: Final = "reconciled"
_PAGE: Final = 500
_ERROR_PAUSE: Final = 30.0
"""Seconds before a CRM that could not be asked is asked again."""


@attrs.frozen
class CrmDrift:
    """One thing in which a CRM was not what the board is.

    Attributes:
        deal: our id.
        object: the CRM's.
        field: as the CRM calls it; ``None`` if the whole deal is gone from there.
        board: what it should be.
        crm: what it is.
    """

    deal: str
    object: str | None
    field: str | None
    board: str | None
    crm: str | None


@attrs.define
class CrmRound:
    """What one round did.

    Attributes:
        told: deals that the CRM has taken.
        rejected: why it took a deal, or its contact or company, not.
        moved: deals that people have moved in the CRM.
        refused: why the ladder refused such a move, by deal.
        gone: deals that were deleted in the CRM, or merged into another one.
        drift: what reconciling has found.
    """

    told: list[str] = attrs.field(factory=list)
    rejected: dict[str, str] = attrs.field(factory=dict)
    moved: list[str] = attrs.field(factory=list)
    refused: dict[str, str] = attrs.field(factory=dict)
    gone: list[str] = attrs.field(factory=list)
    drift: list[CrmDrift] = attrs.field(factory=list)


class _Stopped(Exception):
    """Somebody has told to stop, in the middle of a round."""


class CrmSync:
    """Keeps a board and a CRM in step.

    One process does it: :meth:`run` in a thread or a process of its own, or :meth:`round` now and
    then. Others may :meth:`ring`.

    Args:
        board: of an ``AsyncBoard`` the deals are read and moved in the thread that does a round,
            so let ``asyncio.to_thread`` do it.
        ledger: path of an SQLite file, on a disk that stays: what the CRM was told, how far the
            board's changes were read, and what was rung. It may get lost: then all is told again.
        recreate: whether a deal that was deleted in the CRM is made there anew.
        language: of what owners are told in the CRM.
        candid: whether the log quotes why a CRM is behind, which may be personal data.

    Raises:
        DefinitionError: the map does not go with the ladder, or the ledger is another one's, or
            nothing is told in that language, or a hook would have to be awaited.
        CrmError: the ledger cannot be opened.
    """

    def __init__(
        self,
        board: Board | AsyncBoard,
        crm: Crm,
        mapping: CrmMap,
        ledger: str | Path,
        *,
        recreate: bool = False,
        language: CrmLanguage = "en",
        candid: bool = False,
    ) -> None:
        if mistakes := mapping.mistakes(board.pipeline.stages):
            raise DefinitionError(
                f"the map of {crm.name} does not go with {board.pipeline.name!r}: "
                f"{'; '.join(mistakes)}"
            )
        try:
            board.pipeline.bind()
        except DefinitionError as error:
            raise DefinitionError(f"a CrmSync moves deals in a thread: {error}") from None
        self._board, self._crm, self._map = plain_board(board), crm, mapping
        self._ledger = Ledger(ledger)
        self._ledger.belongs_to(f"{crm.name} {mapping.pipeline} {board.pipeline.name}")
        self._recreate, self._candid = recreate, candid
        self._stop = threading.Event()
        self._words = CrmWords(language)

    def ring(self, objects: Iterable[str]) -> None:
        """Say that something happened to objects of the CRM; the next round looks at them."""
        self._ledger.ring(objects)

    def troubles(self) -> dict[str, str]:
        """Return what the CRM does not take, by deal; it is tried again when the deal changes."""
        return self._ledger.troubles()

    def round(self) -> CrmRound:
        """Look at what was rung, tell what has changed, and tell owners what was refused.

        Raises:
            CrmError: the CRM cannot be asked now, or another process is at it.
        """
        done = CrmRound()
        with self._ledger.alone():
            self._pull(done)
            self._push(done)
            self._assign()
        return done

    def reconcile(self, *, mend: bool = True) -> CrmRound:
        """Look at every deal in the CRM: what drifted apart, and what nobody has rung about.

        Args:
            mend: whether the next round tells the CRM again what is not as the board has it.

        Raises:
            CrmError: the CRM cannot be asked now, or another process is at it.
        """
        done = CrmRound()
        with self._ledger.alone():
            self._pull(done)
            self._push(done)
            self._look_for_unknown()
            after = ""
            while entries := self._ledger.page(after, self._crm.batch):
                self._go_on()
                self._compare(entries, done, mend)
                after = entries[-1].deal
            self._ledger.keep(_RECONCILED, instant_text(self._board.clock.now()))
        for drift in done.drift:
            record(
                SYNC,
                logging.WARNING,
                "a CRM is not what the board is",
                crm=self._crm.name,
                deal=drift.deal,
                field=drift.field,
            )
        return done

    def run(
        self,
        stop: threading.Event | None = None,
        *,
        poll: dt.timedelta = dt.timedelta(seconds=5),
        reconcile_every: dt.timedelta = dt.timedelta(days=1),
        on_round: Callable[[CrmRound], object] | None = None,
    ) -> None:
        """Do rounds until told to stop, by *stop*, SIGTERM or SIGINT, and reconcile once a day.

        What a round has not told by then, the next one tells. A CRM that cannot be asked is asked
        again after half a minute.

        Args:
            on_round: told of every round that did something.

        Raises:
            PipelineChangedError: another process has adopted another definition.
            ValueError: the poll is not longer than nothing.
        """
        if poll <= dt.timedelta():
            raise ValueError(f"poll={poll} must be longer than nothing")
        self._stop = stop or threading.Event()
        try:
            with stopping_on_signals(self._stop), contextlib.suppress(_Stopped):
                while not self._stop.is_set():
                    is_told = self._attempt(reconcile_every, on_round)
                    self._stop.wait(poll.total_seconds() if is_told else _ERROR_PAUSE)
        finally:
            self._stop = threading.Event()  # round() does not ask the one that was set

    def _attempt(
        self, reconcile_every: dt.timedelta, on_round: Callable[[CrmRound], object] | None
    ) -> bool:
        """Do a round, after reconciling if that is due; return whether the CRM could be asked."""
        try:
            if self._is_reconciling_due(reconcile_every):
                _say_round(self.reconcile(), on_round)
            _say_round(self.round(), on_round)
        except (PipelineChangedError, _Stopped):
            raise
        except Exception as error:
            record(
                SYNC,
                logging.ERROR,
                "a CRM is behind",
                error=error,
                candid=self._candid,
                crm=self._crm.name,
            )
            return False
        return True

    def _go_on(self) -> None:
        """See that nobody has told to stop; a round may be left wherever the process may die."""
        if self._stop.is_set():
            raise _Stopped

    def _is_reconciling_due(self, every: dt.timedelta) -> bool:
        told = self._ledger.mark(_RECONCILED)
        return told is None or instant(told) + every <= self._board.clock.now()

    # What the CRM tells.

    def _pull(self, done: CrmRound) -> None:
        if isinstance(self._crm, Asked):
            self._ledger.ring(self._crm.changed())
        while rung := self._ledger.rung(self._crm.batch):
            self._go_on()
            found = self._crm.read({object: self._seen(object) for object in rung})
            for object in rung:
                self._learn(object, found.get(object), done)
            self._ledger.answered(rung)

    def _learn(self, object: str, found: FoundDeal | None, done: CrmRound) -> None:
        """Take over what an object tells; a bad one stops none of the others."""
        try:
            if found is None:
                self._is_gone(object, done)
            else:
                self._look_at(object, found, done)
        except (PipelineChangedError, StoreError, CrmError):
            raise
        except LadderError as error:
            deal = None if found is None else found.deal
            message = "a deal of a CRM cannot be looked at"
            record(SYNC, logging.ERROR, message, error=error, crm=self._crm.name, deal=deal)

    def _seen(self, object: str) -> dt.datetime | None:
        """Return up to when changes of an object were looked at, for all deals that stand in it."""
        seen = [entry.seen for entry in self._ledger.of_object(object)]
        return min((at for at in seen if at is not None), default=None) if all(seen) else None

    def _is_gone(self, object: str, done: CrmRound) -> None:
        for entry in self._ledger.of_object(object):
            if entry.state != "here":
                continue
            done.gone.append(entry.deal)
            self._say("a deal is gone from a CRM", entry.deal)
            if self._recreate:
                fresh = Entry(entry.deal, seen=entry.seen)
                self._ledger.save([fresh], wanted=True)
            else:
                self._ledger.save([entry._replace(state="gone")])

    def _look_at(self, asked: str, found: FoundDeal, done: CrmRound) -> None:
        for object in {asked, *found.merged} - {found.object}:
            self._follow(object, found, done)
        if found.deal is None:
            return
        entry = self._ledger.entries([found.deal])[found.deal]
        if entry.state == "here" and entry.object not in (None, asked, found.object, *found.merged):
            self._say("a deal of a CRM is a copy of another one", found.deal)
            return
        if entry.object != found.object or entry.state != "here":
            entry = entry._replace(object=found.object, state="here", fields=None)
        change = _by_people(found.changes, entry.seen)
        if change is not None:
            self._move(found, change, done)
        told = [entry.seen, found.as_of, *(each.at for each in found.changes)]
        seen = max((at for at in told if at is not None), default=None)
        is_wanted = change is not None or entry.fields is None
        self._ledger.save(
            [entry._replace(seen=seen, fields=None if is_wanted else entry.fields)],
            wanted=is_wanted,
        )

    def _follow(self, object: str, found: FoundDeal, done: CrmRound) -> None:
        """Remember of deals that stood in an object that they stand in another one now."""
        for entry in self._ledger.of_object(object):
            if entry.deal == found.deal or entry.state == "merged":
                continue  # who has survived gets its new object below
            done.gone.append(entry.deal)
            self._say("a deal was merged in a CRM", entry.deal)
            told = self._words.merged(entry.deal)
            self._ledger.assign(Assignment(f"{object}@merged", found.deal or entry.deal, *told))
            self._ledger.save([entry._replace(object=found.object, state="merged")])

    def _move(self, found: FoundDeal, change: StageChange, done: CrmRound) -> None:
        """Move a deal as somebody did in the CRM, if the ladder has nothing against it."""
        deal = found.deal
        assert deal is not None
        try:
            current = self._board.deal(deal)
        except DealNotFoundError:
            return
        if self._map.stages[current.stage.key] == change.stage:
            return
        hand = f"{found.object}@{instant_text(change.at)}"
        into = self._map.stage_of(change.stage)
        if into is None:
            done.refused[deal] = f"stage {change.stage!r} of {self._crm.name} is none of ours"
            body = self._words.unknown(change.stage, current.stage)
        else:
            error = self._moved(deal, into, f"{self._crm.name}:{change.by}", hand, found)
            if error is None:
                done.moved.append(deal)
                return
            done.refused[deal] = str(error)
            body = self._words.refused(error, current.stage, self._map.properties)
        self._say("the ladder refuses what was done in a CRM", deal)
        title = self._words.moved_back(current.title or deal, current.stage)
        self._ledger.assign(Assignment(hand, deal, title, body))

    def _moved(
        self, deal: str, into: str, by: str, hand: str, found: FoundDeal
    ) -> LadderError | None:
        """Move a deal on the board; return why not, if the ladder refuses."""
        told = {
            ours: value
            for ours, theirs in self._map.properties.items()
            if (value := found.properties.get(theirs))
        }
        try:
            self._board.move(deal, into, by=by, id=hand, properties=told or None)
        except (PipelineChangedError, StoreError):
            raise
        except LadderError as error:
            is_there = self._board.deal(deal).stage.key == into  # somebody was faster
            return None if is_there else error
        return None

    # What the board tells.

    def _push(self, done: CrmRound) -> None:
        cursor = self._ledger.mark(_CURSOR)
        while True:
            changes = self._board.changes(after=cursor, limit=_PAGE)
            self._tell(changes.deals, done)
            # Kept only now: what is told twice does no harm.
            self._ledger.keep(_CURSOR, changes.cursor)
            if changes.cursor == cursor or not (changes.deals or changes.gone):
                break
            cursor = changes.cursor
        self._tell_again(done)

    def _tell_again(self, done: CrmRound) -> None:
        """Tell deals that stand otherwise in the CRM, although the board has not changed them."""
        names = self._ledger.wanted()
        for start in range(0, len(names), _PAGE):
            part = names[start : start + _PAGE]
            is_open = self._tell(self._deals(part), done)
            told = self._ledger.entries(name for name in part if name not in is_open)
            self._ledger.save(told.values())

    def _deals(self, names: Iterable[str]) -> list[Deal]:
        """Return deals, but those that were removed or archived, or cannot be read."""
        found = []
        for name in names:
            try:
                found.append(self._board.deal(name))
            except DealNotFoundError:
                pass
            except (PipelineChangedError, StoreError):
                raise
            except LadderError as error:
                message = "a deal cannot be told to a CRM"
                record(SYNC, logging.ERROR, message, error=error, crm=self._crm.name, deal=name)
        return found

    def _tell(self, deals: Sequence[Deal], done: CrmRound) -> set[str]:
        """Tell what the CRM does not know yet; return which deals have to be told once more."""
        entries = self._ledger.entries(deal.id for deal in deals)
        waiting: list[CrmDeal] = []
        for deal in deals:
            entry = entries[deal.id]
            told = standing(deal, self._map, entry.object)
            fields, people = self._digests(told)
            is_of_use = entry.state == "here" and entry.refused != fields + people
            if is_of_use and (entry.fields, entry.people) != (fields, people):
                waiting.append(attrs.evolve(told, has_new_people=entry.people != people))
        is_open: set[str] = set()
        for start in range(0, len(waiting), self._crm.batch):
            is_open |= self._write(waiting[start : start + self._crm.batch], entries, done)
        return is_open

    def _write(
        self, deals: Sequence[CrmDeal], entries: Mapping[str, Entry], done: CrmRound
    ) -> set[str]:
        self._go_on()
        written = self._crm.write(deals)
        settled, open_ones = [], []
        for deal in deals:
            entry, (fields, people) = entries[deal.id], self._digests(deal)
            trouble = written.troubles.get(deal.id, written.rejected.get(deal.id))
            if deal.id in written.objects:
                done.told.append(deal.id)
                seen = _LONG_AGO if deal.id in written.created else None
                settled.append(
                    entry._replace(
                        object=written.objects[deal.id],
                        fields=fields,
                        people=people,
                        refused=None,
                        trouble=trouble,
                        seen=entry.seen or seen,
                    )
                )
            elif deal.id in written.rejected:
                settled.append(entry._replace(refused=fields + people, trouble=trouble))
            else:
                open_ones.append(entry)
            if trouble is not None:
                done.rejected[deal.id] = trouble
                self._say("a CRM does not take a deal as it is", deal.id)
        self._ledger.save(settled)
        # Deleted or merged: looking at it will tell.
        self._ledger.save(open_ones, wanted=True)
        self._ledger.ring(entry.object for entry in open_ones if entry.object is not None)
        return {entry.deal for entry in open_ones}

    def _digests(self, deal: CrmDeal) -> tuple[str, str]:
        return _digest(self._crm.fields(deal)), _digest([deal.contact, deal.company])

    def _assign(self) -> None:
        for assignment in self._ledger.assignments():
            entry = self._ledger.entries([assignment.deal])[assignment.deal]
            if entry.object is not None and entry.state != "gone":
                owners = [deal.owner for deal in self._deals([assignment.deal])]
                trouble = self._crm.assign(assignment, entry.object, owners[0] if owners else None)
                if trouble is not None:
                    self._say("a CRM does not take a task", assignment.deal)
            self._ledger.assigned(assignment.key)

    # Whether both are the same.

    def _look_for_unknown(self) -> None:
        """See that no deal of the board is unknown, which was told before the ledger was lost."""
        page: list[str] = []
        for deal in self._board.deals():
            page.append(deal.id)
            if len(page) == _PAGE:
                self._want_unknown(page)
                page = []
        self._want_unknown(page)

    def _want_unknown(self, names: Sequence[str]) -> None:
        entries = self._ledger.entries(names).values()
        unknown = [entry for entry in entries if entry.object is None and entry.state == "here"]
        self._ledger.save((entry._replace(refused=None) for entry in unknown), wanted=True)

    def _compare(self, entries: Sequence[Entry], done: CrmRound, mend: bool) -> None:
        objects = {each.object: each for each in entries if each.object and each.state != "merged"}
        gone = [name for name, each in objects.items() if each.state == "gone"]
        found: Mapping[str, FoundDeal] = {}
        if gone and isinstance(self._crm, FindsRestored):
            found = self._crm.read_restored(gone)
        else:
            gone = []
        asked = {name: each.seen for name, each in objects.items() if name not in gone}
        found = {**found, **self._crm.read(asked)}
        for object, entry in objects.items():
            if object not in found and entry.state == "here":
                done.drift.append(CrmDrift(entry.deal, object, None, None, None))
            self._learn(object, found.get(object), done)
        for deal in self._deals(entry.deal for entry in objects.values()):
            entry = self._ledger.entries([deal.id])[deal.id]
            there = found.get(entry.object or "")
            if there is None or there.deal != deal.id:
                continue
            if deal.id in done.moved or deal.id in done.refused:
                continue  # told anew anyway
            drift = self._drift(standing(deal, self._map, entry.object), there)
            done.drift += drift
            if mend and (drift or entry.trouble is not None):
                fresh = entry._replace(fields=None, people=None, refused=None)
                self._ledger.save([fresh], wanted=True)

    def _drift(self, told: CrmDeal, there: FoundDeal) -> list[CrmDrift]:
        return [
            CrmDrift(told.id, there.object, field, value, there.fields.get(field))
            for field, value in self._crm.fields(told).items()
            if there.fields.get(field) != value
        ]

    def _say(self, message: str, deal: str) -> None:
        record(SYNC, logging.WARNING, message, crm=self._crm.name, deal=deal)


_LONG_AGO: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _by_people(changes: Sequence[StageChange], seen: dt.datetime | None) -> StageChange | None:
    """Return the last move that people have made and nobody has looked at yet.

    What they did just before we wrote over it counts, too: our hand did not know of theirs. Where
    nobody knows what was looked at, only the very last counts.
    """
    fresh = changes[:1] if seen is None else [each for each in changes if each.at > seen]
    return next((each for each in fresh if not each.is_ours), None)


def _say_round(done: CrmRound, on_round: Callable[[CrmRound], object] | None) -> None:
    if on_round is not None and any(attrs.astuple(done, recurse=False)):
        on_round(done)


def _digest(told: Any) -> str:
    text = json.dumps(told, sort_keys=True, default=dict)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
