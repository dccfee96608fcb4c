"""``hubspot``: whether a portal is set up as the map says, keeping it in step, and what drifted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
import typer

from ..board.board import Board
from .loading import called, existing_store, imported, loaded_pipeline
from .options import Allow, Definition, Json, OwnPipeline, Url
from .printing import console, counted, printable, write_json

if TYPE_CHECKING:
    from ..connect import CrmMap, CrmSync, HubSpot

__all__ = ["hubspot"]

hubspot = typer.Typer(
    name="hubspot",
    help="Deals in HubSpot: check what is set up there, keep it in step, see what drifted.",
    no_args_is_help=True,
)

_Map = Annotated[
    Path, typer.Argument(metavar="MAP", help="TOML: which stage of the ladder is which in HubSpot")
]
_Token = Annotated[
    str, typer.Option("--token", envvar="HUBSPOT_TOKEN", help="access token of your private app")
]
_App = Annotated[str, typer.Option("--app", envvar="HUBSPOT_APP", help="id of that app")]
_Api = Annotated[str, typer.Option("--api", envvar="HUBSPOT_API", help="where HubSpot's API is")]
_Ledger = Annotated[
    Path,
    typer.Option("--ledger", metavar="FILE", help="what HubSpot was told, on a disk that stays"),
]
_Recreate = Annotated[
    bool, typer.Option("--recreate", help="make anew what somebody has deleted in HubSpot")
]
_Language = Annotated[
    Literal["it", "en"], typer.Option("--language", "-l", help="of the tasks that owners get")
]
_Handlers = Annotated[
    str | None,
    typer.Option(
        "--handlers", metavar="MODULE:NAME", help="called with the board, to register handlers"
    ),
]
_API = "https://api.hubapi.com"
_LEDGER = Path("hubspot.db")


@hubspot.command()
def check(
    map: _Map,
    token: _Token,
    pipeline: OwnPipeline = None,
    api: _Api = _API,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Say what HubSpot, and the map, lack; writes nothing. Exits with 1 if something is missing."""
    with _connected(map, token, "", api) as (crm, mapping):
        found = crm.check()
    if pipeline is not None:
        found += mapping.mistakes(loaded_pipeline(pipeline, allow).stages)
    if json:
        write_json(found)
    else:
        out = console()
        out.print(f"{counted(len(found), 'thing')} to set up" if found else "HubSpot is set up")
        for each in found:
            out.print(printable(f"  {each}"), soft_wrap=not out.is_terminal)
    if found:
        raise typer.Exit(1)


@hubspot.command()
def run(
    pipeline: Definition,
    url: Url,
    map: _Map,
    token: _Token,
    app: _App,
    ledger: _Ledger = _LEDGER,
    recreate: _Recreate = False,
    language: _Language = "en",
    handlers: _Handlers = None,
    api: _Api = _API,
    allow: Allow = None,
) -> None:
    """Keep HubSpot in step with a board until stopped, and compare the two once a day.

    It may be stopped, or killed, at any time: the next one goes on.
    """
    with _connected(map, token, app, api) as connected, _board(pipeline, url, allow) as board:
        if handlers is not None:
            called(handlers, imported(handlers), board)
        _sync(board, connected, ledger, recreate, language).run()


@hubspot.command()
def reconcile(
    pipeline: Definition,
    url: Url,
    map: _Map,
    token: _Token,
    app: _App,
    ledger: _Ledger = _LEDGER,
    recreate: _Recreate = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="tell HubSpot anew what is not as on the board")
    ] = False,
    language: _Language = "en",
    api: _Api = _API,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Look at every deal in HubSpot and say what drifted apart. Exits with 1 if something has."""
    with _connected(map, token, app, api) as connected, _board(pipeline, url, allow) as board:
        sync = _sync(board, connected, ledger, recreate, language)
        done = sync.reconcile(mend=mend)
        if mend:
            sync.round()
    if json:
        write_json([attrs.asdict(drift) for drift in done.drift])
    else:
        out = console()
        out.print(f"{counted(len(done.drift), 'difference')}" if done.drift else "in step")
        for drift in done.drift:
            how = f"{drift.field} is {drift.crm!r} and not {drift.board!r}"
            what = how if drift.field is not None else "is gone from HubSpot"
            out.print(printable(f"  {drift.deal}: {what}"), soft_wrap=not out.is_terminal)
    if done.drift:
        raise typer.Exit(1)


@contextlib.contextmanager
def _connected(map: Path, token: str, app: str, api: str) -> Iterator[tuple[HubSpot, CrmMap]]:
    from ..connect import CrmMap, HubSpot

    mapping = CrmMap.from_file(map)
    with contextlib.closing(HubSpot(token, mapping, app=app, url=api)) as crm:
        yield crm, mapping


@contextlib.contextmanager
def _board(pipeline: str, url: str, allow: Any) -> Iterator[Board]:
    with existing_store(url) as store:
        yield Board(loaded_pipeline(pipeline, allow), store=store)


def _sync(
    board: Board,
    connected: tuple[HubSpot, CrmMap],
    ledger: Path,
    recreate: bool,
    language: Literal["it", "en"],
) -> CrmSync:
    from ..connect import CrmSync

    return CrmSync(board, *connected, ledger, recreate=recreate, language=language)
