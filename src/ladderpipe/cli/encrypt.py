"""``encrypt``: encrypts what is plain in a store, whose personal data is sealed from then on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..board.board import Board
from ..board.encrypt import EncryptReport
from ..board.encrypt import encrypt as encrypt_board
from ..stores import Store, open_store, seal
from .loading import KEYS, only_existing, stored_pipeline
from .options import Allow, Json, Name, StoredPipeline, Url
from .printing import console, counted, printable, progress, write_json

__all__ = ["encrypt"]


def encrypt(
    url: Url,
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            metavar="URL",
            envvar=KEYS,
            help="the ring of keys, a store of its own, for example sqlite:///keys.db",
        ),
    ],
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Encrypt personal data in a store; from then on it opens only with its ring of keys.

    Stop what runs without keys first. After a crash the same command goes on.
    """
    store = open_store(url, **only_existing(url))
    try:
        store = seal(store, keys)
        reports = {
            board.pipeline.name: _encrypted(board)
            for board in _boards(store, pipeline, allow, name)
        }
    finally:
        store.close()
    if json:
        write_json(
            {
                name: {
                    "deals": report.deals,
                    "held": report.held,
                    "failures": [str(failure) for failure in report.failures],
                }
                for name, report in reports.items()
            }
        )
    else:
        for told, report in reports.items():
            console().print(
                f"{printable(told)}: {counted(report.deals, 'deal')} and "
                f"{counted(report.held, 'held event')} encrypted",
                soft_wrap=True,
            )
            for failure in report.failures:
                console().print(printable(str(failure)), style="red", soft_wrap=True)
    if any(report.failures for report in reports.values()):
        raise typer.Exit(1)


def _boards(
    store: Store, pipeline: str | None, allow: Sequence[str] | None, name: str | None
) -> list[Board]:
    with store.transaction(write=False) as transaction:
        known: list[str | None] = [row.name for row in transaction.pipelines()]
    names = [name] if name or pipeline else known
    return [Board(stored_pipeline(store, pipeline, allow, each), store=store) for each in names]


def _encrypted(board: Board) -> EncryptReport:
    with progress() as bar:
        task = bar.add_task(printable(board.pipeline.name), total=None)

        def on_progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return encrypt_board(board, on_progress=on_progress)
