"""``serve``: the board in a browser, for one machine or, with a token, for a few colleagues."""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import typer

from ..board.board import Board
from ..extras import how_to_install
from ..model.deal import Deal
from .loading import called, existing_store, imported, loaded_pipeline
from .options import Allow, Definition, Url

__all__ = ["serve", "serve_board"]

TOKEN_VARIABLE: Final = "LADDERPIPE_TOKEN"
HOST: Final = "127.0.0.1"
PORT: Final = 8000


def serve(
    pipeline: Definition,
    url: Url,
    host: Annotated[
        str, typer.Option("--host", help="another address than this machine's own takes --token")
    ] = HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 for one that is free")
    ] = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar=TOKEN_VARIABLE, help="who opens the address with it is let in"
        ),
    ] = None,
    language: Annotated[
        Literal["it", "en"] | None,
        typer.Option("--language", "-l", help="of the pages; the pipeline's own when left out"),
    ] = None,
    handlers: Annotated[
        str | None,
        typer.Option(
            "--handlers", metavar="MODULE:NAME", help="called with the board, to register handlers"
        ),
    ] = None,
    allow: Allow = None,
) -> None:
    """Show the board in a browser, with a worker beside it, until Ctrl-C.

    The history tells what is done there by the name of whoever runs this.
    """
    if token is None and not _is_here(host):
        raise typer.BadParameter(
            f"{host} can be reached by others: pass --token, or set {TOKEN_VARIABLE}",
            param_hint="--host",
        )
    with existing_store(url) as store:
        board = Board(loaded_pipeline(pipeline, allow), store=store)
        if handlers is not None:
            called(handlers, imported(handlers), board)
        serve_board(board, host=host, port=port, token=token, language=language)


def serve_board(
    board: Board,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    language: str | None = None,
) -> None:
    """Serve a board, with a worker beside it, until SIGINT or SIGTERM.

    Raises:
        OSError: nothing can be served at that address.
        ModuleNotFoundError: the extra ``serve`` is not installed.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a board is served by uvicorn: {how_to_install('serve')}", name=error.name
        ) from error
    application = _application(board, host, token, language)
    with contextlib.closing(socket.create_server((host, port), family=_family(host))) as listening:
        bound = listening.getsockname()[1]
        query = "" if token is None else f"?token={token}"
        typer.echo(f"The board is at http://{_in_address(host)}:{bound}/{query} (Ctrl-C stops it)")
        settings = uvicorn.Config(application, log_level="warning", server_header=False)
        with _working(board):
            uvicorn.Server(settings).run(sockets=[listening])


def _application(board: Board, host: str, token: str | None, language: str | None) -> Any:
    from ..web import Access, Action, BoardApp, User
    from ..web.gate import TokenGate, only_under

    class Everything(Access):
        """Whoever runs this program may do with the board what it can do."""

        def may(self, user: User, action: Action, deal: Deal | None) -> bool:
            return True

    name = _name()
    application = BoardApp(
        board, user=lambda request: User(name), access=Everything(), language=language
    )
    if token is not None:
        return TokenGate(application, token)
    return only_under(application, [_in_address(host), "localhost", "127.0.0.1", "[::1]"])


@contextlib.contextmanager
def _working(board: Board) -> Iterator[None]:
    stop = threading.Event()
    worker = threading.Thread(target=board.run, kwargs={"stop": stop}, name="worker")
    worker.start()
    before = signal.getsignal(signal.SIGTERM)
    # uvicorn raises what it was stopped by again, once it has stopped.
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        stop.set()
        worker.join()


def _leave(number: int, frame: object) -> None:
    raise typer.Exit


def _is_here(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "operator"
