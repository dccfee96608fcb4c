"""What-if: what the recorded events would have come to on a changed ladder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import polars as pl

from ...board.board import Board
from ...errors import ClockError, DefinitionError
from ...model.clock import instant
from ...pipeline import Pipeline
from ..buckets.folder import ReplayedFolder
from ..frames.from_board import Progress
from ..frames.tables import Problem
from ..report import Report
from ..words import Words
from .comparison import (
    deals_of,
    hooks_of,
    in_ladder_order,
    outcomes_of,
    reminders_of,
    rules_of,
    stages_of,
    times_of,
)
from .folding import Sides, fold_buckets_twice, fold_twice
from .reports import reports_of
from .words import notes_of

__all__ = ["WhatIf", "what_if"]


@attrs.frozen(eq=False, kw_only=True)
class WhatIf:
    """What a changed ladder makes of the recorded events, beside what the present one does.

    In every table ``_before`` is the board's ladder and ``_after`` the changed one. Stages are
    called as the changed ladder calls them.

    Attributes:
        pipeline: the changed ladder.
        as_of: the instant up to which both were folded.
        deals: a row for every deal that either ladder opens: its last stage and status, how many
            moves it made and how many of them by hand, how many reminders of its stages'
            sequences came due, and ``differs_at``, the instant of the first move that is
            another one or is missing; null where every move is the same.
        times: a row for every deal and stage: visits, and time spent in it.
        outcomes: how many deals end in which status before and in which after; null for deals
            that a ladder does not open.
        stages: the deals of ``times`` added up, and how many stand in the stage at the end.
        rules: how often each rule moved a deal, with its trigger.
        reminders: the effects that sequences ask for, by stage: how often they were asked for,
            and how often they came due while the deal was still there (or run to completion).
        hooks: hooks written in Python: how often they would have been called. They are not.
        hands_refused: moves by hand that the changed ladder does not allow any more; they moved
            nothing.
        with_baseline: deals with a baseline whose whole past is folded; see the notes.
        excluded: deals whose events before a baseline are gone, so that nothing can be folded.
        removed: how many deals were removed from the store with their history.
        problems: deals that one of the two ladders could not fold, and why.
    """

    pipeline: Pipeline
    as_of: dt.datetime
    deals: pl.DataFrame
    times: pl.DataFrame
    outcomes: pl.DataFrame
    stages: pl.DataFrame
    rules: pl.DataFrame
    reminders: pl.DataFrame
    hooks: pl.DataFrame
    hands_refused: int
    with_baseline: int
    excluded: tuple[str, ...]
    removed: int
    problems: tuple[Problem, ...]

    @property
    def timers(self) -> pl.DataFrame:
        """The rows of ``rules`` that are timers."""
        return self.rules.filter(pl.col("trigger") == "timer")

    @property
    def different(self) -> pl.DataFrame:
        """The rows of ``deals`` whose moves are not all the same."""
        return self.deals.filter(pl.col("differs_at").is_not_null())

    @property
    def notes(self) -> tuple[Words, ...]:
        """What nobody can know from this, and what was left out, in words."""
        return notes_of(
            hooks=self.hooks.height,
            hands_refused=self.hands_refused,
            with_baseline=self.with_baseline,
            excluded=len(self.excluded),
            removed=self.removed,
            problems=len(self.problems),
        )

    @property
    def reports(self) -> tuple[Report, ...]:
        """The tables with their definitions, for people: totals first, then deal by deal."""
        tables = {
            "what_if_outcomes": self.outcomes,
            "what_if_stages": self.stages,
            "what_if_rules": self.rules,
            "what_if_reminders": self.reminders,
            "what_if_hooks": self.hooks,
            "what_if_deals": self.different,
        }
        return reports_of(tables, self.pipeline.stages, self.as_of, self.notes)


def what_if(
    board: Board | ReplayedFolder,
    changed: Pipeline,
    *,
    renamed: Mapping[str, str] | None = None,
    as_of: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> WhatIf:
    """Fold a board's recorded events over a changed ladder, and compare.

    The events of every deal are folded twice: over the board's ladder and over *changed*. Moves
    by hand and overrides take part as they were made; one that *changed* does not allow moves
    nothing, and is counted. Baselines take no part, hooks are not run, and nothing is written or
    sent. How customers would have reacted, nobody knows: the notes say so.

    Args:
        board: or the folder of a replay, whose events are folded twice bucket by bucket.
        changed: the other ladder; its name does not matter.
        renamed: from keys of the board's stages to what they are called in *changed*. Stages
            that it does not name are matched by key.
        as_of: the instant up to which both ladders are folded; when left out the board's present,
            or the replay's ``until``.
        progress: told how many deals, or buckets, of how many are done.

    Raises:
        ClockError: *as_of* lies after the board's clock, or the replay's ``until``.
        DefinitionError: *renamed* names a stage that there is not, or no instant is known.
        PipelineChangedError: the store holds another definition than the board.
        StoreError: the folder does not keep its events any more.
    """
    if isinstance(board, ReplayedFolder):
        renames = _checked(board.ladder(), changed, renamed or {})
        sides = fold_buckets_twice(board, changed, renames, _ends(board, as_of), progress)
        return _added(changed, [_compared(changed, part) for part in sides])
    renames = _checked(board.pipeline, changed, renamed or {})
    return _compared(changed, fold_twice(board, changed, renames, as_of, progress))


def _ends(found: ReplayedFolder, as_of: dt.datetime | str | None) -> dt.datetime:
    at = found.until if as_of is None else instant(as_of)
    if at is None:
        raise DefinitionError(
            "in this replay each history ends with its own deal's last event: say up to which "
            "instant both ladders are folded, with as_of="
        )
    if found.until is not None and at > found.until:
        raise ClockError(
            f"this replay ends at {found.until.isoformat()} and knows nothing of {at.isoformat()}: "
            "ask for an earlier instant, or replay anew"
        )
    return at


def _added(changed: Pipeline, parts: Sequence[WhatIf]) -> WhatIf:
    """Return what is found in several buckets, none of which has a deal of another."""

    def summed(name: str, *keys: str) -> pl.DataFrame:
        tables: list[pl.DataFrame] = [getattr(part, name) for part in parts]
        whole = pl.concat(tables).group_by(_KEYS[name]).agg(pl.all().sum())
        return in_ladder_order(whole.select(tables[0].columns), changed, *keys)

    deals = pl.concat([part.deals for part in parts]).sort("deal")
    times = in_ladder_order(pl.concat([part.times for part in parts]), changed, "deal", "stage")
    return WhatIf(
        pipeline=changed,
        as_of=parts[0].as_of,
        deals=deals,
        times=times,
        outcomes=outcomes_of(deals),
        stages=in_ladder_order(stages_of(times, deals, changed), changed, "stage"),
        rules=summed("rules", "into", "rule"),
        reminders=summed("reminders", "stage", "after", "effect"),
        hooks=summed("hooks", "stage", "direction", "hook"),
        hands_refused=sum(part.hands_refused for part in parts),
        with_baseline=sum(part.with_baseline for part in parts),
        excluded=(),
        removed=0,
        problems=tuple(problem for part in parts for problem in part.problems),
    )


_KEYS: Final = {
    "rules": ("rule", "trigger", "into"),
    "reminders": ("stage", "effect", "after"),
    "hooks": ("stage", "direction", "hook"),
}
"""What a row of a table that adds up is of."""


def _checked(present: Pipeline, changed: Pipeline, renamed: Mapping[str, str]) -> dict[str, str]:
    renames = {str(old): str(new) for old, new in renamed.items()}
    for pipeline, keys in ((present, renames), (changed, renames.values())):
        known = [stage.key for stage in pipeline.stages]
        for key in keys:
            if key not in known:
                whose = "the board's" if pipeline is present else "the changed"
                raise DefinitionError(
                    f"renamed: {whose} ladder has no stage {key!r}: it has {', '.join(known)}"
                )
    return renames


def _compared(changed: Pipeline, sides: Sides) -> WhatIf:
    before, after = sides.before, sides.after
    times = times_of(sides)
    deals = deals_of(sides)
    return WhatIf(
        pipeline=changed,
        as_of=sides.as_of,
        deals=deals,
        times=in_ladder_order(times, changed, "deal", "stage"),
        outcomes=outcomes_of(deals),
        stages=in_ladder_order(stages_of(times, deals, changed), changed, "stage"),
        rules=in_ladder_order(rules_of(before, after), changed, "into", "rule"),
        reminders=in_ladder_order(reminders_of(sides), changed, "stage", "after", "effect"),
        hooks=in_ladder_order(hooks_of(sides), changed, "stage", "direction", "hook"),
        hands_refused=sides.hands_refused.height,
        with_baseline=sides.with_baseline,
        excluded=tuple(sides.excluded),
        removed=sides.removed,
        problems=tuple(sides.problems),
    )
