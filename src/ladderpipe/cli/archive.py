"""``archive``: writes old closed deals to a file, checks such a file, puts deals back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..board.board import Board
from ..board.retention.check import check
from ..board.retention.file import ArchiveFile
from ..errors import DefinitionError, InstantError
from ..model.clock import instant
from ..pipeline import Pipeline
from ..stores.sealed.renewal import sealer_of
from .loading import existing_store, find_modules_here, loaded_pipeline, stored_pipeline
from .options import Allow, Json, Name, OwnPipeline, StoredPipeline, Url
from .printing import console, counted, printable, write_json

__all__ = ["archive"]

archive = typer.Typer(
    name="archive", help="Old closed deals: into a file, checked, and back.", no_args_is_help=True
)

SHOWN = 20
"""How many deals the terminal is told; --json has all of them."""

_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="an archive, for example closed-2025.jsonl.gz")
]
_Existing = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="an archive")
]


@archive.command()
def write(
    url: Url,
    file: _File,
    before: Annotated[
        str,
        typer.Option(
            "--before",
            metavar="INSTANT",
            help="deals that were closed before it, for example 2026-01-01T00:00:00Z",
        ),
    ],
    keep: Annotated[bool, typer.Option("--keep", help="leave the deals in the store, too")] = False,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Write deals that were closed long ago to a file, check it, then remove them.

    After a crash, or without --keep, the same command goes on where it stopped.
    """
    try:
        limit = instant(before)
    except InstantError as error:
        raise typer.BadParameter(str(error), param_hint="--before") from None
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        report = board.archive(before=limit, to=file, remove=not keep)
    if json:
        told = {"deals": report.deals, "removed": report.removed, "kept": list(report.kept)}
        write_json({"file": str(report.path) if report.deals else None, **told})
        return
    out = console()
    out.print(
        f"{report.path}: {counted(report.deals, 'deal')}, {report.removed:,} removed from the store"
        if report.deals
        else f"nothing was closed before {limit.isoformat()} that could go: no file was written",
        soft_wrap=True,
    )
    _show("stays in the store for now", report.kept)


@archive.command()
def verify(
    file: _Existing,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="of a sealed archive, the store that it is of; its keys are where LADDERPIPE_KEYS "
            "says",
        ),
    ] = None,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Fold every deal of an archive again and compare with its recorded history.

    Exits with 0 only if the file is whole and everything agrees. It needs no store, unless it is
    sealed: the definition is in the file.
    """
    with contextlib.ExitStack() as stack:
        sealer = None if store is None else sealer_of(stack.enter_context(existing_store(store)))
        found = ArchiveFile(file, sealer)
        checked = check(found, _ladder_of(found, pipeline, allow))
    if json:
        write_json(
            {
                "pipeline": checked.pipeline,
                "agrees": checked.agrees,
                "deals": checked.deals,
                "forgotten": list(found.forgotten),
                "events": checked.events,
                "moves": checked.moves,
                "differing": checked.differing,
                "differences": [{"deal": d.deal, "what": d.what} for d in checked.differences],
            }
        )
    else:
        said = "everything agrees" if checked.agrees else f"{checked.differing:,} do not agree"
        console().print(
            f"{printable(checked.pipeline)}: {counted(checked.deals, 'deal')}, "
            f"{counted(checked.events, 'event')}, {counted(checked.moves, 'move')}: {said}",
            style="green" if checked.agrees else "red",
            soft_wrap=True,
        )
        _show("was forgotten: nobody can read it any more", found.forgotten)
        _show("", [str(difference) for difference in checked.differences])
    if not checked.agrees:
        raise typer.Exit(1)


@archive.command()
def restore(
    url: Url,
    file: _Existing,
    deal: Annotated[
        list[str] | None,
        typer.Option("--deal", metavar="DEAL", help="only this one; may be repeated"),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Put deals of an archive back as they were; what waited to be sent then is not sent now."""
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        report = board.restore(file, deals=deal)
    if json:
        told = {"restored": report.restored, "present": report.present}
        write_json({**told, "forgotten": list(report.forgotten)})
        return
    there = f", {report.present:,} there already" if report.present else ""
    console().print(f"{counted(report.restored, 'deal')} restored{there}", soft_wrap=True)
    _show("was forgotten: nobody can read it any more", report.forgotten)


def _ladder_of(file: ArchiveFile, named: str | None, allow: Sequence[str] | None) -> Pipeline:
    if named is not None:
        return loaded_pipeline(named, allow)
    whole = file.header.definition["whole"]
    if whole is None:
        raise DefinitionError(
            f"pipeline {file.header.pipeline!r} cannot be read from the archive alone, because it "
            "holds a function without an import path: pass --pipeline module:name"
        )
    find_modules_here()
    return Pipeline.from_dict(whole, allow or ())


def _show(what: str, lines: Sequence[str]) -> None:
    out = console()
    for line in lines[:SHOWN]:
        out.print(printable(f"{line}: {what}" if what else line), soft_wrap=True)
    if len(lines) > SHOWN:
        out.print(f"… and {len(lines) - SHOWN:,} more")
