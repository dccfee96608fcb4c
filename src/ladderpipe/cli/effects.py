"""``effects`` and ``dead-letters``: what deals ask the world for, and what could not be sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import typer

from ..board.board import Board
from ..model.delivery import EffectState
from ..model.effect import Effect
from .loading import existing_store, reading_board, stored_pipeline
from .options import Allow, By, Json, Name, StoredPipeline, Url
from .printing import console, counted, moment, printable, write_json, write_json_lines

__all__ = ["dead_letters", "effects"]

LIMIT: Final = 50

_Key = Annotated[str, typer.Argument(metavar="KEY", help="of the dead letter, as 'list' shows it")]


def effects(
    url: Url,
    deal: Annotated[
        str | None, typer.Option("--deal", metavar="DEAL", help="only those of this deal")
    ] = None,
    state: Annotated[
        list[EffectState] | None,
        typer.Option("--state", help="only those that stand so; repeatable"),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, metavar="N", help="print at most so many; 0 for all")
    ] = LIMIT,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """List mails, tasks and other effects: where each stands, and why. All of them as JSON."""
    with reading_board(url, pipeline, allow, name) as board:
        found = board.effects(deal, states=state)
    if json:
        write_json_lines(effect.to_dict() for effect in found)
        return
    shown = found[: limit or None]
    _show(shown)
    if not found:
        console().print("no such effects")
    if len(shown) < len(found):
        more = len(found) - len(shown)
        console().print(
            f"… and {more:,} more: the first {len(shown):,} are shown, --limit 0 shows all"
        )


dead_letters = typer.Typer(
    name="dead-letters",
    help="Effects whose last try failed: list, send again, drop.",
    no_args_is_help=True,
)


@dead_letters.command("list")
def list_(
    url: Url,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """List what could not be sent, with what the last try said."""
    with reading_board(url, pipeline, allow, name) as board:
        found = board.dead_letters()
    if json:
        write_json([effect.to_dict() for effect in found])
        return
    console().print(counted(len(found), "dead letter"))
    _show(found)


@dead_letters.command("send-again")
def send_again(
    url: Url,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]...", help="of dead letters, as 'list' shows them"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every dead letter there is")] = False,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Give dead letters all their tries again; a worker sends them."""
    if bool(keys) == every:
        raise typer.BadParameter("name the dead letters, or pass --all", param_hint="KEY")
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        wanted = keys or [effect.key for effect in board.dead_letters()]
        for key in wanted:
            board.send_again(key)
    if json:
        write_json(wanted)
    else:
        console().print(f"{counted(len(wanted), 'dead letter')} to be sent again")


@dead_letters.command()
def drop(
    url: Url,
    key: _Key,
    by: By,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; kept on record")],
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Put a dead letter aside for good: it is not sent, and the record says who and why."""
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        board.drop(key, by=by, reason=reason)
    if json:
        write_json([key])
    else:
        console().print("dropped")


def _show(found: Iterable[Effect]) -> None:
    out = console()
    for effect in found:
        # Not a table: a key is there to be copied whole, and a reason to be read to its end.
        out.print(f"\n{effect.key}", style="bold", soft_wrap=True)
        for line in _lines(effect):
            out.print(printable(f"  {line}"), soft_wrap=not out.is_terminal)


def _lines(effect: Effect) -> Sequence[str]:
    tried = f", tried {counted(effect.attempts, 'time')}" if effect.attempts else ""
    told = [
        f"{_what(effect)} (deal {effect.deal}): {effect.state.value}, due "
        f"{moment(effect.due_at)} UTC{tried}"
    ]
    return [*told, effect.because] if effect.because else told


def _what(effect: Effect) -> str:
    named = effect.payload.get("template") or effect.payload.get("title")
    return f"{effect.name} {named}" if isinstance(named, str) else effect.name
