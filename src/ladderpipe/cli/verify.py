"""``verify``: folds every stored deal again and says what does not agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import attrs
import typer

from ..board.board import Board
from ..board.chain_check import ChainReport
from ..board.verify import VerifyReport
from ..board.verify import verify as verify_board
from ..stores import Store
from .loading import existing_store, stored_pipeline
from .options import Allow, Json, Name, StoredPipeline, Url
from .printing import console, counted, printable, progress, write_json

__all__ = ["verify"]


def verify(
    url: Url,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
    recount: Annotated[
        bool,
        typer.Option("--recount", help="make totals right that are not what the deals come to"),
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="HEAD", help="of the hash chain, noted elsewhere: it has to be in it"
        ),
    ] = None,
) -> None:
    """Fold every deal again from its stored events and compare; writes nothing unless told to.

    Exits with 0 only if everything agrees. Without --pipeline and --name, every pipeline in the
    store is verified with the definition that the store keeps.
    """
    with existing_store(url) as store:
        names = [name] if name or pipeline or head else _names(store)
        reports = [_verify(store, pipeline, allow, each, recount, head) for each in names or [None]]
    if json:
        write_json([_record(report) for report in reports])
    else:
        for report in reports:
            _show(report)
    if not all(report.agrees for report in reports):
        raise typer.Exit(1)


def _names(store: Store) -> list[str | None]:
    with store.transaction(write=False) as transaction:
        return [row.name for row in transaction.pipelines()]


def _verify(
    store: Store,
    pipeline: str | None,
    allow: Sequence[str] | None,
    name: str | None,
    recount: bool,
    head: str | None,
) -> VerifyReport:
    board = Board(stored_pipeline(store, pipeline, allow, name), store=store, read_only=True)
    with progress() as bar:
        task = bar.add_task(printable(board.pipeline.name), total=None)

        def on_progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return verify_board(board, on_progress=on_progress, recount=recount, head=head)


def _show(report: VerifyReport) -> None:
    out = console()
    tombstones = f", {report.tombstones:,} tombstones" if report.tombstones else ""
    compared = (
        f"{printable(report.pipeline)}: {report.deals:,} deals{tombstones}, {report.events:,} "
        f"events, {report.moves:,} moves, {report.effects:,} effects"
    )
    if report.chain is not None:
        _show_chain(report.chain)
    if report.agrees:
        out.print(f"{compared}: everything agrees", style="green", soft_wrap=True)
        return
    out.print(f"{compared}: {report.differing:,} do not agree", style="red", soft_wrap=True)
    for difference in report.differences:
        out.print(printable(str(difference)), soft_wrap=True)
    if report.differing > len(report.differences):
        out.print(f"… and {report.differing - len(report.differences):,} more")


def _show_chain(chain: ChainReport) -> None:
    out = console()
    counts = (
        ("not in it yet", chain.not_chained),
        ("forgotten", chain.forgotten),
        ("removed", chain.removed),
        ("forgotten or removed since", chain.not_noted),
        ("late", chain.late),
    )
    told = [f"hash chain: {chain.events:,} events in {counted(chain.links, 'link')}"]
    told += [f"{count:,} {what}" for what, count in counts if count]
    out.print(", ".join(told), soft_wrap=True)
    for missed in chain.missed:
        said = f"not in the chain, and should be: {missed}"
        out.print(printable(said), style="yellow", soft_wrap=True)


def _record(report: VerifyReport) -> dict[str, Any]:
    return {
        "pipeline": report.pipeline,
        "agrees": report.agrees,
        "deals": report.deals,
        "tombstones": report.tombstones,
        "events": report.events,
        "moves": report.moves,
        "effects": report.effects,
        "differing": report.differing,
        "differences": [
            {"deal": difference.deal, "what": difference.what} for difference in report.differences
        ],
        "chain": None if report.chain is None else attrs.asdict(report.chain),
    }
