"""``unsubscribe`` and ``subscribe``: who wants to be written to."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ..board.board import Board
from .loading import existing_store, stored_pipeline
from .options import Allow, Json, Name, StoredPipeline, Url
from .printing import console, write_json

__all__ = ["subscribe", "unsubscribe"]

_Address = Annotated[
    str,
    typer.Argument(metavar="ADDRESS", help="an address; or a customer's key, for all addresses"),
]
_Channel = Annotated[
    Literal["email", "phone"], typer.Option("--channel", help="which kind of address")
]


def unsubscribe(
    url: Url,
    address: _Address,
    channel: _Channel = "email",
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Note that whoever an address belongs to wants nothing more there.

    Only a hash of the address is kept, and nothing of who noted it.
    """
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        board.unsubscribe(address, channel)
    _show("unsubscribed", json)


def subscribe(
    url: Url,
    address: _Address,
    channel: _Channel = "email",
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Note that whoever an address belongs to wants to be written to there again."""
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        board.subscribe(address, channel)
    _show("subscribed", json)


def _show(done: str, json: bool) -> None:
    if json:
        write_json({"outcome": done})
    else:
        console().print(done)
