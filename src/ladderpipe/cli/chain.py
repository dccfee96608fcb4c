"""``chain``: how far the hash chain of a pipeline goes, and its next links."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..board.board import Board
from ..board.chain import Chain
from .loading import existing_store, stored_pipeline
from .options import Allow, Json, Name, StoredPipeline, Url
from .printing import console, counted, instant_text, printable, write_json

__all__ = ["chain"]


def chain(
    url: Url,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="append what is not in it yet; begins it, if need be"),
    ] = False,
    json: Json = False,
) -> None:
    """Show how far the hash chain over a pipeline's events goes, and its head, to be noted.

    Writes nothing unless told to --extend it. Exits with 1 if there is no chain. A head that was
    noted elsewhere is held to the chain by ladderpipe verify --head HEAD.
    """
    with existing_store(url) as store:
        ladder = stored_pipeline(store, pipeline, allow, name)
        board = Board(ladder, store=store, read_only=not extend)
        if extend:
            while board.extend_chain().more:
                pass
        found = board.chain()
    if json:
        write_json(None if found is None else _record(ladder.name, found))
    else:
        _show(ladder.name, found)
    if found is None:
        raise typer.Exit(1)


def _record(name: str, found: Chain) -> dict[str, Any]:
    linked_at, complete_to = found.linked_at, found.complete_to
    return {
        "pipeline": name,
        "head": found.head,
        "links": found.links,
        "events": found.events,
        "forgotten": found.forgotten,
        "removed": found.removed,
        "late": found.late,
        "linked_at": None if linked_at is None else instant_text(linked_at),
        "complete_to": None if complete_to is None else instant_text(complete_to),
    }


def _show(name: str, found: Chain | None) -> None:
    out = console()
    if found is None:
        said = f"{name}: no hash chain; ladderpipe chain --extend begins one"
        out.print(printable(said), soft_wrap=True)
        return
    besides = [
        f"{count:,} {what}"
        for what, count in (
            ("forgotten", found.forgotten),
            ("removed", found.removed),
            ("late", found.late),
        )
        if count
    ]
    told = ", ".join([counted(found.events, "event"), counted(found.links, "link"), *besides])
    out.print(printable(f"{name}: {told}"), soft_wrap=True)
    if found.head is not None:
        # It is to be noted to the letter, and by programs: nothing else stands on its line.
        out.print(found.head, soft_wrap=True)
