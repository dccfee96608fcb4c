"""Checking an archive: it is whole, and every deal in it is what the fold makes of its events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import attrs

from ...errors import ArchiveError
from ...ladder.fingerprint import differences, fold_definition
from ...model.report import Difference
from ...pipeline import Pipeline
from .file import ArchiveFile
from .records import ArchivedDeal

__all__ = ["ArchiveCheck", "check"]

KEPT = 100
"""How many differences a check holds; all are counted."""


@attrs.frozen(kw_only=True)
class ArchiveCheck:
    """What was compared, and what did not agree.

    Attributes:
        differing: how many deals do not agree with the fold of their events.
        differences: the first hundred of those.
    """

    pipeline: str
    deals: int
    events: int
    moves: int
    differing: int
    differences: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Whether every deal is what the fold says."""
        return not self.differing


def check(archive: ArchiveFile, pipeline: Pipeline) -> ArchiveCheck:
    """Fold every deal of an archive again and compare with its recorded history.

    Raises:
        ArchiveError: the file is damaged, or its deals were on another ladder than *pipeline*.
    """
    check_ladder(archive, pipeline)
    deals = events = moves = differing = 0
    differences: list[Difference] = []
    for deal in archive.deals():
        deals += 1
        events += len(deal.events)
        moves += len(deal.moves)
        what = _why_open(deal, archive.header.before, pipeline) or deal.first_difference(pipeline)
        if what is not None:
            differing += 1
            differences += [Difference(deal.id, what)][: KEPT - len(differences)]
    return ArchiveCheck(
        pipeline=pipeline.name,
        deals=deals,
        events=events,
        moves=moves,
        differing=differing,
        differences=tuple(differences),
    )


def _why_open(deal: ArchivedDeal, before: dt.datetime, pipeline: Pipeline) -> str | None:
    """Return why a deal should never have been archived: its timers may still send something."""
    is_closed = any(s.key == deal.row.stage and s.is_closed for s in pipeline.stages)
    if is_closed and deal.row.closed_at is not None and deal.row.closed_at < before:
        return None
    return f"it was not closed before {before.isoformat()}, and only such deals are archived"


def checked(archive: ArchiveFile, pipeline: Pipeline) -> ArchiveCheck:
    """Return what :func:`check` does, of an archive in which everything agrees.

    Raises:
        ArchiveError: something does not.
    """
    found = check(archive, pipeline)
    if not found.agrees:
        raise ArchiveError(
            f"{found.differing} of the {found.deals} deals in {archive.path} are not what the fold "
            f"makes of their events, the first: {found.differences[0]}. Nothing is taken from it "
            "or removed because of it: use another copy of it, or delete it and archive again"
        )
    return found


def check_ladder(archive: ArchiveFile, pipeline: Pipeline) -> None:
    """Refuse an archive of another ladder.

    Raises:
        ArchiveError: it is one.
    """
    header = archive.header
    if header.pipeline != pipeline.name:
        raise ArchiveError(
            f"{archive.path} holds deals of pipeline {header.pipeline!r}, and this is "
            f"{pipeline.name!r}: open a board on the other one"
        )
    if header.fingerprint != pipeline.fingerprint:
        raise ArchiveError(
            f"the deals in {archive.path} were folded with another definition of pipeline "
            f"{pipeline.name!r} ({'; '.join(_what_differs(archive, pipeline))}): restore them into "
            "an empty store with that definition, which stands in the archive, and adopt the new "
            "one there with board.migrate"
        )


def _what_differs(archive: ArchiveFile, pipeline: Pipeline) -> Iterator[str]:
    found = differences(archive.header.definition["fold"], fold_definition(pipeline.ladder))
    yield from found or ["the order of rules or stages"]


def deals_of(archive: ArchiveFile, wanted: frozenset[str] | None) -> Iterator[ArchivedDeal]:
    """Yield all deals of an archive, or those with these ids."""
    return (deal for deal in archive.deals() if wanted is None or deal.id in wanted)
